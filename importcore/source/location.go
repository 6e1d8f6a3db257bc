package source

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
)

// TiDB's error numbers for sources, see pkg/errno of TiDB.
const (
	codeInvalidURI = 8158
	codeCantAccess = 8159
	codeCantRead   = 8160
	codePrecheck   = 8173
)

// Open returns the store that the location names, without touching files yet:
// an absolute path, file:// or local:// is local disk; s3://, gs:// (or gcs://) and azure:// (or azblob://) name a bucket. A location that can't
// be used is a *fault.Error of the user with TiDB's code 8158. The file name, in a
// bucket the whole path, may be a pattern of path/filepath.Match with * and [...]; ? stands for itself.
func Open(ctx context.Context, location string, cfg Config) (Store, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	scheme, path := splitScheme(location)
	switch scheme {
	case "", "local", "file":
		return openLocal(path)
	case "s3", "gs", "gcs", "azure", "azblob":
		return openObjects(scheme, location, cfg)
	default:
		return nil, unknownStorage(scheme)
	}
}

func unknownStorage(scheme string) error {
	switch scheme {
	case "ks3", "oss", "hdfs":
		return invalidURI("storage %s is not supported yet", scheme)
	}
	return invalidURI("storage %s not support yet", scheme)
}

// splitScheme returns the lower-cased scheme, empty for a plain path, and the
// rest: the path for local locations.
func splitScheme(location string) (scheme, path string) {
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok || strings.ContainsAny(scheme, "/*[") {
		return "", location
	}
	return strings.ToLower(scheme), rest
}

func invalidURI(format string, args ...any) error {
	e := fault.New(fault.User, codeInvalidURI, format, args...)
	e.Message = "The URI of data source is invalid. Reason: " + e.Message + ". Please provide a valid URI, such as " + exampleURI
	return e
}

// exampleURI is part of TiDB's text for 8158.
const exampleURI = "'s3://import/test.csv?access-key={your_access_key_id ID}&secret-access-key={your_secret_access_key}&session-token={your_session_token}'"

// dataSuffixes are the endings that TiDB accepts for files on the server's
// disk (a guard against reading system files), compressed ones apart.
var dataSuffixes = map[string]bool{".csv": true, ".sql": true, ".parquet": true}

func checkSuffix(path string) error {
	if c, _ := CompressionOf(path); c == Plain && !dataSuffixes[strings.ToLower(filepath.Ext(path))] {
		return invalidURI("the file suffix is not supported when import from server disk")
	}
	return nil
}

// checkPattern returns the pattern with ? as a plain character: it would start a
// URL's query, so that TiDB takes it for no wildcard.
func checkPattern(name string) (string, error) {
	name = strings.ReplaceAll(name, "?", `\?`)
	if _, err := filepath.Match(name, ""); err != nil {
		return "", invalidURI("Glob pattern error: %s", err)
	}
	return name, nil
}

// wildcards are the characters that make a name a pattern.
const wildcards = "*["

// nothingMatches is the error of a location without a byte of data.
func nothingMatches() error {
	return fault.New(fault.User, codePrecheck,
		"PreCheck failed: No file matched, or the file is empty. Please provide a valid file location.")
}
