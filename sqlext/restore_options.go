package sqlext

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// Level says how much something is wanted.
type Level string

// The levels of ANALYZE.
const (
	LevelOff      Level = "off"
	LevelOptional Level = "optional"
	LevelRequired Level = "required"
)

// Backend is the way that rows take into the cluster.
type Backend string

// The backends. The empty one leaves the choice to Sluice.
const (
	// BackendLocal writes sorted files into TiKV.
	BackendLocal Backend = "local"
	// BackendTiDB sends INSERT statements.
	BackendTiDB Backend = "tidb"
)

// EncryptionMethod is how the files of a backup are encrypted.
type EncryptionMethod string

// The methods of BR.
const (
	EncryptionPlaintext EncryptionMethod = "plaintext"
	EncryptionAES128    EncryptionMethod = "aes128-ctr"
	EncryptionAES192    EncryptionMethod = "aes192-ctr"
	EncryptionAES256    EncryptionMethod = "aes256-ctr"
)

// CSVHeaderColumns is the value of RestoreOptions.CSVHeader that maps a file's fields by the names in its first line.
const CSVHeaderColumns = -1

// RestoreOptions are the options of RESTORE in TiDB's grammar, and Sluice's own. Those that only BACKUP or
// RESTORE POINT have are refused when the statement is parsed.
type RestoreOptions struct {
	// Job holds what a restore has in common with an import, and nothing of its other members:
	//
	//   - Thread (CONCURRENCY; 0 = not given), MaxWriteSpeed (RATE_LIMIT, bytes per second and TiKV),
	//     ChecksumTable (CHECKSUM), OnDuplicate (ON_DUPLICATE)
	//   - Detached, DryRun, CharacterSet (of a dump's CSV files), DiskQuota, GroupKey, Priority, MaxErrors, MaxLatency,
	//     SkipPrechecks, KeepPartial, by their names as in IMPORT INTO
	//   - Specified, with the names of RESTORE's options in lower case
	Job Options
	// ChecksumConcurrency is the number of checksum requests at a time; 0 = not given.
	ChecksumConcurrency int64
	// SendCredentials lets TiKV have the credentials of the location (default true).
	SendCredentials bool
	// Online leaves TiKV and PD in their normal mode.
	Online bool
	// Checkpoint (default true) keeps what is done, so that the job can go on.
	Checkpoint bool
	// WaitTiFlashReady waits for TiFlash replicas.
	WaitTiFlashReady bool
	// WithSysTable (default true) restores users, bindings and the like from a backup that has them.
	WithSysTable bool
	// Compact has TiKV compact what was restored.
	Compact bool
	// LoadStats (default true) restores statistics that a backup has.
	LoadStats bool
	// LastBackup is the timestamp (TSO) at which the target was when an incremental backup began, 0 = not given;
	// LastBackupTime the same as a date and time of the session's time zone, "" = not given.
	LastBackup     uint64
	LastBackupTime string
	// Encryption and EncryptionKeyFile, an absolute path on Sluice's machine: "" unless Encryption needs one.
	Encryption        EncryptionMethod
	EncryptionKeyFile string

	// Backend is "" unless given.
	Backend Backend
	// Analyze (default LevelOptional) collects statistics of tables that come from a dump.
	Analyze Level
	// SkipSchemaFiles takes the tables as they are in the cluster.
	SkipSchemaFiles bool
	// StrictFormat lets a file be cut where a line ends.
	StrictFormat bool
	// Resume is the value of RESUME; nil = not given.
	Resume *int64
	// TiKVImporter is an address; "" = not given.
	TiKVImporter string

	// CSVHeader is CSVHeaderColumns (the default), or the number of lines to skip: then fields go by the table's order.
	CSVHeader int64
	// CSVSeparator is not empty, CSVDelimiter at most one byte long. CSVNull is the unquoted text that means NULL.
	CSVSeparator, CSVDelimiter, CSVNull string
	// CSVNotNull: no text means NULL. CSVBackslashEscape (default true): \ escapes. CSVTrimLastSeparators: a
	// separator at a line's end is none.
	CSVNotNull, CSVBackslashEscape, CSVTrimLastSeparators bool

	// Filters are rules of TiDB's table filter over the names in the source, in order; the last that fits a table counts.
	Filters []string
	// Routes say where tables go, by their names in the source; the first that fits counts.
	Routes []Route
	// Files say what the files of a dump are; the first that fits counts. Without any, and with DefaultFileRules for those that none fits, files
	// are what their names say.
	Files            []FileRule
	DefaultFileRules bool
}

func defaultRestoreOptions() RestoreOptions {
	return RestoreOptions{
		SendCredentials: true, Checkpoint: true, WithSysTable: true, LoadStats: true, Encryption: EncryptionPlaintext, Analyze: LevelOptional,
		CSVHeader: CSVHeaderColumns, CSVSeparator: ",", CSVDelimiter: `"`, CSVNull: `\N`, CSVBackslashEscape: true,
	}
}

// brieSpec is the rule of an option that TiDB's parser reads.
type brieSpec struct {
	name string
	// kind is how the value is written.
	kind brieKind
	// set returns false if the value is not acceptable; without it the option is one of other statements.
	set func(o *RestoreOptions, v *ast.BRIEOption) bool
}

type brieKind int

const (
	brieInt brieKind = iota
	brieBool
	brieText
	brieWord
	brieLevel
	brieHeader
	brieRate
)

// brieSpecs are all of the parser's options.
var brieSpecs = map[ast.BRIEOptionType]brieSpec{
	ast.BRIEOptionRateLimit:   {"rate_limit", brieRate, func(o *RestoreOptions, v *ast.BRIEOption) bool { return whole(&o.Job.MaxWriteSpeed, v, 1<<20) }},
	ast.BRIEOptionConcurrency: {"concurrency", brieInt, func(o *RestoreOptions, v *ast.BRIEOption) bool { return whole(&o.Job.Thread, v, 1) }},
	ast.BRIEOptionChecksum: {"checksum", brieLevel, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		o.Job.ChecksumTable = Checksum(levelOf(v))
		return true
	}},
	ast.BRIEOptionChecksumConcurrency: {"checksum_concurrency", brieInt, func(o *RestoreOptions, v *ast.BRIEOption) bool { return whole(&o.ChecksumConcurrency, v, 1) }},
	ast.BRIEOptionSendCreds:           boolSpec("send_credentials_to_tikv", func(o *RestoreOptions) *bool { return &o.SendCredentials }),
	ast.BRIEOptionOnline:              boolSpec("online", func(o *RestoreOptions) *bool { return &o.Online }),
	ast.BRIEOptionCheckpoint:          boolSpec("checkpoint", func(o *RestoreOptions) *bool { return &o.Checkpoint }),
	ast.BRIEOptionWaitTiflashReady:    boolSpec("wait_tiflash_ready", func(o *RestoreOptions) *bool { return &o.WaitTiFlashReady }),
	ast.BRIEOptionWithSysTable:        boolSpec("with_sys_table", func(o *RestoreOptions) *bool { return &o.WithSysTable }),
	ast.BRIEOptionLoadStats:           boolSpec("load_stats", func(o *RestoreOptions) *bool { return &o.LoadStats }),
	ast.BRIEOptionLastBackupTSO: {"last_backup", brieInt, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		o.LastBackup = v.UintValue
		return v.UintValue > 0
	}},
	ast.BRIEOptionLastBackupTS:      textSpec("last_backup", func(o *RestoreOptions) *string { return &o.LastBackupTime }, notEmpty),
	ast.BRIEOptionEncryptionMethod:  {"encryption_method", brieText, setEncryption},
	ast.BRIEOptionEncryptionKeyFile: textSpec("encryption_keyfile", func(o *RestoreOptions) *string { return &o.EncryptionKeyFile }, filepath.IsAbs), // a key in its place gets into no log

	ast.BRIEOptionAnalyze: {"analyze", brieLevel, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		o.Analyze = levelOf(v)
		return true
	}},
	ast.BRIEOptionBackend: {"backend", brieWord, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		s := v.StrValue
		o.Backend = Backend(s)
		return lowerIn(&s, "local", "tidb")
	}},
	ast.BRIEOptionOnDuplicate: {"on_duplicate", brieWord, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		s := v.StrValue
		o.Job.OnDuplicate = OnDuplicate(s)
		return lowerIn(&s, "error", "replace", "ignore", "capture")
	}},
	ast.BRIEOptionSkipSchemaFiles: boolSpec("skip_schema_files", func(o *RestoreOptions) *bool { return &o.SkipSchemaFiles }),
	ast.BRIEOptionStrictFormat:    boolSpec("strict_format", func(o *RestoreOptions) *bool { return &o.StrictFormat }),
	ast.BRIEOptionTiKVImporter:    textSpec("tikv_importer", func(o *RestoreOptions) *string { return &o.TiKVImporter }, notEmpty),
	ast.BRIEOptionResume: {"resume", brieInt, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		o.Resume = new(int64)
		return whole(o.Resume, v, 0)
	}},

	ast.BRIEOptionCSVHeader: {"csv_header", brieHeader, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		if v.UintValue == ast.BRIECSVHeaderIsColumns {
			o.CSVHeader = CSVHeaderColumns
			return true
		}
		return whole(&o.CSVHeader, v, 0)
	}},
	ast.BRIEOptionCSVSeparator:          textSpec("csv_separator", func(o *RestoreOptions) *string { return &o.CSVSeparator }, notEmpty),
	ast.BRIEOptionCSVDelimiter:          textSpec("csv_delimiter", func(o *RestoreOptions) *string { return &o.CSVDelimiter }, func(s string) bool { return len(s) <= 1 }),
	ast.BRIEOptionCSVNull:               textSpec("csv_null", func(o *RestoreOptions) *string { return &o.CSVNull }, func(string) bool { return true }),
	ast.BRIEOptionCSVNotNull:            boolSpec("csv_not_null", func(o *RestoreOptions) *bool { return &o.CSVNotNull }),
	ast.BRIEOptionCSVBackslashEscape:    boolSpec("csv_backslash_escape", func(o *RestoreOptions) *bool { return &o.CSVBackslashEscape }),
	ast.BRIEOptionCSVTrimLastSeparators: boolSpec("csv_trim_last_separators", func(o *RestoreOptions) *bool { return &o.CSVTrimLastSeparators }),

	// Of BACKUP, RESTORE POINT and the log backup.
	ast.BRIEOptionBackupTimeAgo:     {name: "snapshot"},
	ast.BRIEOptionBackupTS:          {name: "snapshot"},
	ast.BRIEOptionBackupTSO:         {name: "snapshot"},
	ast.BRIEOptionCompressionLevel:  {name: "compression_level"},
	ast.BRIEOptionCompression:       {name: "compression_type"},
	ast.BRIEOptionIgnoreStats:       {name: "ignore_stats"},
	ast.BRIEOptionFullBackupStorage: {name: "full_backup_storage"},
	ast.BRIEOptionRestoredTS:        {name: "restored_ts"},
	ast.BRIEOptionStartTS:           {name: "start_ts"},
	ast.BRIEOptionUntilTS:           {name: "until_ts"},
	ast.BRIEOptionGCTTL:             {name: "gc_ttl"},
}

func boolSpec(name string, field func(*RestoreOptions) *bool) brieSpec {
	return brieSpec{name, brieBool, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		*field(o) = v.UintValue != 0
		return true
	}}
}

func textSpec(name string, field func(*RestoreOptions) *string, valid func(string) bool) brieSpec {
	return brieSpec{name, brieText, func(o *RestoreOptions, v *ast.BRIEOption) bool {
		*field(o) = v.StrValue
		return valid(v.StrValue)
	}}
}

func notEmpty(s string) bool { return s != "" }

// whole takes a number that is at least least and fits int64.
func whole(to *int64, v *ast.BRIEOption, least uint64) bool {
	*to = int64(v.UintValue)
	return v.UintValue >= least && v.UintValue <= math.MaxInt64
}

func levelOf(v *ast.BRIEOption) Level {
	switch ast.BRIEOptionLevel(v.UintValue) {
	case ast.BRIEOptionLevelOff:
		return LevelOff
	case ast.BRIEOptionLevelOptional:
		return LevelOptional
	default:
		return LevelRequired
	}
}

func setEncryption(o *RestoreOptions, v *ast.BRIEOption) bool {
	s := v.StrValue
	ok := lowerIn(&s, string(EncryptionPlaintext), string(EncryptionAES128), string(EncryptionAES192), string(EncryptionAES256))
	o.Encryption = EncryptionMethod(s)
	return ok
}

// forRow is the value for Options.Specified, and text the option as SQL. Neither has a credential.
func (s *brieSpec) forRow(v *ast.BRIEOption) (value any, text string) {
	name := strings.ToUpper(s.name) + " = "
	switch s.kind {
	case brieText:
		value = RedactURL(v.StrValue)
		return value, name + quoteText(RedactURL(v.StrValue))
	case brieWord:
		return v.StrValue, name + quoteText(v.StrValue)
	case brieLevel:
		return string(levelOf(v)), name + strings.ToUpper(string(levelOf(v)))
	case brieRate:
		return int64(v.UintValue), name + strconv.FormatUint(v.UintValue>>20, 10) + " MB/SECOND"
	case brieHeader:
		if v.UintValue == ast.BRIECSVHeaderIsColumns {
			return "columns", name + "COLUMNS"
		}
	}
	return int64(v.UintValue), name + strconv.FormatUint(v.UintValue, 10)
}

// setBRIE sets the options that TiDB's parser has read. text is what they are as SQL, a blank before each.
func (o *RestoreOptions) setBRIE(list []*ast.BRIEOption) (text string, err *Error) {
	for _, v := range list {
		spec, ok := brieSpecs[v.Tp]
		switch {
		case !ok:
			return "", newError(errno.ErrUnknownOption, v.Tp.String())
		case spec.set == nil:
			return "", newError(errno.ErrLoadDataUnsupportedOption, spec.name, "RESTORE")
		}
		if _, seen := o.Job.Specified[spec.name]; seen {
			return "", newError(errno.ErrDuplicateOption, spec.name)
		}
		if !spec.set(o, v) {
			return "", newError(errno.ErrInvalidOptionVal, spec.name)
		}
		value, sql := spec.forRow(v)
		o.Job.Specified[spec.name] = value
		text += " " + sql
	}
	switch needsKey := o.Encryption != EncryptionPlaintext; {
	case needsKey && o.EncryptionKeyFile == "":
		return "", newError(errno.ErrInvalidOptionVal, "encryption_method, which needs encryption_keyfile")
	case !needsKey && o.EncryptionKeyFile != "":
		return "", newError(errno.ErrInvalidOptionVal, "encryption_keyfile, which needs another encryption_method than plaintext")
	case o.CSVDelimiter != "" && (strings.HasPrefix(o.CSVDelimiter, o.CSVSeparator) || strings.HasPrefix(o.CSVSeparator, o.CSVDelimiter)):
		return "", newError(errno.ErrInvalidOptionVal, "csv_delimiter: neither it nor csv_separator may begin with the other")
	}
	return text, nil
}
