package executor

import (
	"slices"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/sqlext"
)

// checkSupported refuses what the import core can't honour yet. Nothing that a
// user asks for is ignored silently. RECORD_ERRORS passes: TiDB 8.5 doesn't use it either.
func checkSupported(st *sqlext.ImportInto) error {
	o := &st.Options
	switch {
	case st.Format != sqlext.FormatCSV && st.Format != sqlext.FormatSQL:
		return notSupportedYet("FORMAT '" + string(st.Format) + "'")
	case !readable(st.Location):
		return notSupportedYet("a data source of scheme " + st.Location.Scheme)
	case o.SplitFile:
		return notSupportedYet("SPLIT_FILE")
	case o.CloudStorageURI != nil && *o.CloudStorageURI != "":
		return notSupportedYet("CLOUD_STORAGE_URI")
	case o.MaxEngineSize != 0:
		return notSupportedYet("__MAX_ENGINE_SIZE")
	case o.ForceMergeStep:
		return notSupportedYet("__FORCE_MERGE_STEP")
	}
	if err := checkDiskQuota(o); err != nil {
		return err
	}
	return checkPrechecks(o)
}

// readable tells whether there is a reader for locations of that kind.
func readable(l sqlext.Location) bool {
	return l.IsLocal() || slices.Contains([]string{"s3", "gs", "gcs", "azure", "azblob"}, l.Scheme)
}

func checkDiskQuota(o *sqlext.Options) error {
	if q := o.DiskQuota; q != 0 && q < importcore.MinDiskQuota {
		return &sqlext.Error{Code: errno.ErrInvalidOptionVal, Message: tidbText(errno.ErrInvalidOptionVal, "disk_quota") +
			": the least is " + size(importcore.MinDiskQuota)}
	}
	return nil
}

// checkCharset refuses texts whose meaning depends on a client character set
// that the parser wasn't told of.
func checkCharset(text, charset string) error {
	switch charset {
	case "utf8mb4", "utf8", "ascii", "binary":
		return nil
	}
	for i := range len(text) {
		if text[i] >= 0x80 {
			return notSupportedYet("a statement with other than ASCII characters and character_set_client = " + charset)
		}
	}
	return nil
}
