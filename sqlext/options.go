package sqlext

import (
	"math"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// Checksum says what becomes of an import whose checksum differs from the
// cluster's.
type Checksum string

// The levels of CHECKSUM_TABLE.
const (
	// ChecksumRequired fails the import on a difference or when the cluster
	// can't compute the checksum.
	ChecksumRequired Checksum = "required"
	// ChecksumOptional fails on a difference only.
	ChecksumOptional Checksum = "optional"
	// ChecksumOff compares nothing.
	ChecksumOff Checksum = "off"
)

// OnDuplicate says what becomes of rows that share the value of a primary key
// or a unique index, with each other or with rows of the table.
type OnDuplicate string

// The strategies of ON_DUPLICATE, an option that TiDB doesn't have.
const (
	// DuplicateError fails the import and names both rows.
	DuplicateError OnDuplicate = "error"
	// DuplicateReplace keeps the last row by file and position.
	DuplicateReplace OnDuplicate = "replace"
	// DuplicateIgnore keeps the first.
	DuplicateIgnore OnDuplicate = "ignore"
	// DuplicateCapture keeps none of the source's rows that collide and records them all.
	DuplicateCapture OnDuplicate = "capture"
)

// Options are the WITH options of IMPORT INTO, checked as TiDB 8.5.4 checks
// them. Sizes are bytes.
type Options struct {
	// CharacterSet of the files, lower case: binary, utf8, utf8mb4, gb18030,
	// gbk, latin1 or ascii.
	CharacterSet string
	// FieldsTerminatedBy is not empty.
	FieldsTerminatedBy string
	// FieldsEnclosedBy and FieldsEscapedBy are at most one byte long; "" = none.
	FieldsEnclosedBy string
	FieldsEscapedBy  string
	// FieldsDefinedNullBy is the unquoted field text that means NULL.
	FieldsDefinedNullBy string
	// LinesTerminatedBy is "" for automatic: \n, \r or \r\n.
	LinesTerminatedBy string
	// SkipRows is the number of rows to drop at the front of each file.
	SkipRows int64
	// CSVHeader says that the first row of each file, behind SkipRows, names the
	// columns. TiDB's IMPORT INTO doesn't have it; its RESTORE has an option of the name.
	CSVHeader bool
	// SplitFile allows a file to be cut at line ends.
	SplitFile bool
	// DiskQuota in bytes of local sorting; 0 = not given.
	DiskQuota int64
	// Thread is the wanted concurrency; 0 = not given.
	Thread int64
	// MaxWriteSpeed in bytes per second and TiKV; 0 = unlimited.
	MaxWriteSpeed int64
	// MaxLatency is what a read at a TiKV may take before that is written to more slowly; nil = not
	// given, 0 = any time.
	MaxLatency *time.Duration
	// ChecksumTable is ChecksumRequired unless given.
	ChecksumTable Checksum
	// RecordErrors is validated as in TiDB, which doesn't use it either.
	RecordErrors int64
	// Detached makes the statement return at once with the job's row.
	Detached bool
	// DisableTiKVImportMode leaves TiKV in its normal mode.
	DisableTiKVImportMode bool
	// CloudStorageURI selects global sort; it may hold credentials. nil = not
	// given, "" = local sort in any case.
	CloudStorageURI *string
	// DisablePrecheck skips the CDC and PITR check.
	DisablePrecheck bool
	// SkipPrechecks names the prechecks to leave out, lower case; whether there are
	// such checks is not looked at.
	SkipPrechecks []string
	// DryRun makes the statement the same as EXPLAIN IMPORT INTO.
	DryRun bool
	// MaxEngineSize in bytes (hidden option); 0 = not given.
	MaxEngineSize int64
	// ForceMergeStep is a hidden test option of TiDB.
	ForceMergeStep bool
	// GroupKey is the user's name for a group of jobs, of letters, digits, _ and
	// -; "" for none. TiDB 8.5 doesn't have it, newer ones do.
	GroupKey string
	// Priority is PriorityMedium unless given: among jobs that wait.
	Priority Priority
	// OnDuplicate is DuplicateError unless given.
	OnDuplicate OnDuplicate
	// MaxErrors is how many rows that can't be imported the job records and
	// leaves out before it fails.
	MaxErrors int64
	// AllowNonEmpty lets the import add to a table that has rows.
	AllowNonEmpty bool
	// KeepPartial leaves in the table what a failed or cancelled job has ingested.
	KeepPartial bool
	// Specified holds what the user wrote, credentials replaced, for the job's
	// row: option name to string or int64, nil for flags.
	Specified map[string]any
}

// optionSpec is one option's rule. set gets the literal, nil for a flag, and
// returns false when the value is not acceptable.
type optionSpec struct {
	flag    bool
	csvOnly bool
	// wants says in an error what the value should be; "" where TiDB says nothing.
	wants string
	set   func(o *Options, v *literal) bool
}

// optionSpecs is the table of all options by lower-case name.
var optionSpecs = map[string]optionSpec{
	"character_set": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.CharacterSet) && lowerIn(&o.CharacterSet,
			"binary", "utf8", "utf8mb4", "gb18030", "gbk", "latin1", "ascii")
	}},
	"fields_terminated_by": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.FieldsTerminatedBy) && o.FieldsTerminatedBy != ""
	}},
	"fields_enclosed_by": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.FieldsEnclosedBy) && len(o.FieldsEnclosedBy) <= 1
	}},
	"fields_escaped_by": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.FieldsEscapedBy) && len(o.FieldsEscapedBy) <= 1
	}},
	"fields_defined_null_by": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.FieldsDefinedNullBy)
	}},
	"lines_terminated_by": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.string(&o.LinesTerminatedBy) && o.LinesTerminatedBy != ""
	}},
	"skip_rows": {csvOnly: true, set: func(o *Options, v *literal) bool {
		return v.int(&o.SkipRows) && o.SkipRows >= 0
	}},
	"csv_header": {csvOnly: true, set: func(o *Options, v *literal) bool {
		var s string
		o.CSVHeader = v.string(&s) && lowerIn(&s, "columns", "fields")
		return o.CSVHeader
	}},
	"split_file": {flag: true, csvOnly: true, set: func(o *Options, _ *literal) bool { o.SplitFile = true; return true }},
	"disk_quota": {set: func(o *Options, v *literal) bool { return v.size(&o.DiskQuota) && o.DiskQuota > 0 }},
	"thread":     {set: func(o *Options, v *literal) bool { return v.int(&o.Thread) && o.Thread > 0 }},
	"max_write_speed": {set: func(o *Options, v *literal) bool {
		return v.size(&o.MaxWriteSpeed) && o.MaxWriteSpeed >= 0
	}},
	"max_latency":    {wants: "a time from '1ms' to '1m', or '0' for any", set: setMaxLatency},
	"checksum_table": {set: setChecksum},
	"record_errors": {set: func(o *Options, v *literal) bool {
		return v.int(&o.RecordErrors) && o.RecordErrors >= -1
	}},
	"detached": {flag: true, set: func(o *Options, _ *literal) bool { o.Detached = true; return true }},
	"disable_tikv_import_mode": {flag: true, set: func(o *Options, _ *literal) bool {
		o.DisableTiKVImportMode = true
		return true
	}},
	"cloud_storage_uri": {set: func(o *Options, v *literal) bool {
		o.CloudStorageURI = new(string)
		return v.string(o.CloudStorageURI) && validCloudStorage(*o.CloudStorageURI)
	}},
	"disable_precheck": {flag: true, set: func(o *Options, _ *literal) bool { o.DisablePrecheck = true; return true }},
	"skip_prechecks":   {set: setSkipPrechecks},
	"dry_run":          {flag: true, set: func(o *Options, _ *literal) bool { o.DryRun = true; return true }},
	"__max_engine_size": {set: func(o *Options, v *literal) bool {
		return v.size(&o.MaxEngineSize) && o.MaxEngineSize >= 0
	}},
	"group_key":          {set: setGroupKey},
	"job_priority":       {set: setPriority},
	"on_duplicate":       {set: setOnDuplicate},
	"max_errors":         {set: func(o *Options, v *literal) bool { return v.int(&o.MaxErrors) && o.MaxErrors >= 0 }},
	"allow_non_empty":    {flag: true, set: func(o *Options, _ *literal) bool { o.AllowNonEmpty = true; return true }},
	"keep_partial":       {flag: true, set: func(o *Options, _ *literal) bool { o.KeepPartial = true; return true }},
	"__force_merge_step": {flag: true, set: func(o *Options, _ *literal) bool { o.ForceMergeStep = true; return true }},
}

// defaultOptions are TiDB's defaults that don't depend on the machine.
func defaultOptions() Options {
	return Options{
		CharacterSet:        mysql.UTF8MB4Charset,
		FieldsTerminatedBy:  ",",
		FieldsEnclosedBy:    `"`,
		FieldsEscapedBy:     `\`,
		FieldsDefinedNullBy: `\N`,
		ChecksumTable:       ChecksumRequired,
		RecordErrors:        100,
		Priority:            PriorityMedium,
		OnDuplicate:         DuplicateError,
		Specified:           map[string]any{},
	}
}

func parseOptions(list []*ast.LoadDataOpt, f Format) (Options, *Error) {
	o := defaultOptions()
	seen := make(map[string]bool, len(list))
	for _, opt := range list {
		spec, ok := optionSpecs[opt.Name]
		if !ok {
			return o, newError(errno.ErrUnknownOption, opt.Name)
		}
		if spec.flag != (opt.Value == nil) {
			return o, newError(errno.ErrInvalidOptionVal, opt.Name)
		}
		if seen[opt.Name] {
			return o, newError(errno.ErrDuplicateOption, opt.Name)
		}
		seen[opt.Name] = true
	}
	for _, opt := range list {
		if optionSpecs[opt.Name].csvOnly && f != FormatCSV {
			return o, newError(errno.ErrLoadDataUnsupportedOption, opt.Name, "non-CSV format")
		}
	}
	for _, opt := range list {
		v := literalOf(opt.Value)
		if spec := optionSpecs[opt.Name]; !spec.set(&o, v) {
			return o, newError(errno.ErrInvalidOptionVal, spec.refusal(opt.Name))
		}
		o.Specified[opt.Name] = v.forRow(opt.Name)
	}
	if o.SplitFile && o.SkipRows > 1 {
		return o, newError(errno.ErrInvalidOptionVal, "skip_rows, should be <= 1 when split-file is enabled")
	}
	if o.SplitFile && o.LinesTerminatedBy == "" {
		return o, newError(errno.ErrInvalidOptionVal, "lines_terminated_by, should not be empty when use split_file")
	}
	return o, nil
}

// refusal is what an error says of an option with a bad value.
func (s optionSpec) refusal(name string) string {
	if s.wants == "" {
		return name
	}
	return name + ", should be " + s.wants
}

func setMaxLatency(o *Options, v *literal) bool {
	var s string
	if !v.string(&s) {
		return false
	}
	d, err := time.ParseDuration(s)
	o.MaxLatency = &d
	return err == nil && ValidMaxLatency(d)
}

// ValidMaxLatency tells whether a latency can be the bound of one: 0, which is none, or from a millisecond, less
// than which no network takes, to a minute.
func ValidMaxLatency(d time.Duration) bool {
	return d == 0 || d >= time.Millisecond && d <= time.Minute
}

func setChecksum(o *Options, v *literal) bool {
	var s string
	if !v.string(&s) {
		return false
	}
	switch strings.ToLower(s) {
	case "required", "true":
		o.ChecksumTable = ChecksumRequired
	case "optional":
		o.ChecksumTable = ChecksumOptional
	case "off", "false":
		o.ChecksumTable = ChecksumOff
	default:
		return false
	}
	return true
}

// maxGroupKey is in bytes.
const maxGroupKey = 256

func setGroupKey(o *Options, v *literal) bool {
	return v.string(&o.GroupKey) && o.GroupKey != "" && len(o.GroupKey) <= maxGroupKey &&
		!strings.ContainsFunc(o.GroupKey, func(r rune) bool {
			return !(r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-')
		})
}

// Priority is a job's among those that wait.
type Priority string

// The priorities. "" is PriorityMedium, for jobs from before there were any.
const (
	PriorityLow    Priority = "low"
	PriorityMedium Priority = "medium"
	PriorityHigh   Priority = "high"
)

func setPriority(o *Options, v *literal) bool {
	var s string
	if !v.string(&s) || !lowerIn(&s, "low", "medium", "high") {
		return false
	}
	o.Priority = Priority(s)
	return true
}

func setOnDuplicate(o *Options, v *literal) bool {
	var s string
	if !v.string(&s) || !lowerIn(&s, "error", "replace", "ignore", "capture") {
		return false
	}
	o.OnDuplicate = OnDuplicate(s)
	return true
}

// setSkipPrechecks takes a list of names, separated by commas.
func setSkipPrechecks(o *Options, v *literal) bool {
	var s string
	if !v.string(&s) {
		return false
	}
	for _, name := range strings.Split(s, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			return false
		}
		o.SkipPrechecks = append(o.SkipPrechecks, name)
	}
	return true
}

func lowerIn(s *string, allowed ...string) bool {
	*s = strings.ToLower(*s)
	for _, a := range allowed {
		if *s == a {
			return true
		}
	}
	return false
}

// literal is an option's value. Options are type-strict: a number in quotes is
// no int, TRUE is no int either.
type literal struct {
	value    *driver.ValueExpr
	negative bool
}

// literalOf unwraps the sign that the grammar allows in front of numbers.
func literalOf(expr ast.ExprNode) *literal {
	l := &literal{}
	if u, ok := expr.(*ast.UnaryOperationExpr); ok {
		l.negative = u.Op == opcode.Minus
		expr = u.V
	}
	l.value, _ = expr.(*driver.ValueExpr)
	return l
}

func (l *literal) string(to *string) bool {
	if l.value == nil || l.value.IsNull() || l.value.GetType().GetType() != mysql.TypeVarString {
		return false
	}
	s, err := l.value.ToString()
	*to = s
	return err == nil
}

func (l *literal) int(to *int64) bool {
	if l.value == nil || l.value.IsNull() || l.value.GetType().GetType() != mysql.TypeLonglong ||
		mysql.HasIsBooleanFlag(l.value.GetType().GetFlag()) {
		return false
	}
	// Literals above int64 arrive as uint64, whose sign bit GetInt64 shows.
	n := l.value.GetInt64()
	if n < 0 && n != math.MinInt64 || n == math.MinInt64 && !l.negative {
		return false
	}
	if l.negative {
		n = -n
	}
	*to = n
	return true
}

func (l *literal) size(to *int64) bool {
	var s string
	if !l.string(&s) {
		return false
	}
	n, err := units.RAMInBytes(s)
	*to = n
	return err == nil
}

// forRow is the value for Options.Specified.
func (l *literal) forRow(option string) any {
	var s string
	if l.string(&s) {
		if option == "cloud_storage_uri" {
			return RedactURL(s)
		}
		return s
	}
	var n int64
	if l.int(&n) {
		return n
	}
	return nil
}
