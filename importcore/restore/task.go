package restore

import (
	"context"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

// Restorer runs restores for one cluster, or one server that isn't TiDB. It is safe for concurrent use and holds nothing that has to be closed.
type Restorer struct {
	core *importcore.Core // nil for a server that isn't TiDB
	// account is how rows are brought in by SQL.
	account logical.Params
	// inspect and read are how sources are looked at for somebody who waits, and read by jobs.
	inspect, read source.Config
	log           *zap.Logger
}

// New returns a Restorer over a core, which stays the caller's to close.
func New(core *importcore.Core) *Restorer {
	r := &Restorer{core: core, inspect: core.SourceConfig(), read: core.PatientSourceConfig(), log: core.Logger()}
	r.account.Addrs, r.account.User, r.account.Password = core.Account()
	return r
}

// SQLConfig says where a Restorer without a core works.
type SQLConfig struct {
	// Server is how the server is reached; its Session and Connections are the Restorer's own.
	Server logical.Params
	// Source is how files are reached that are not on this machine, by jobs that run.
	Source source.Config
	// Logger is required.
	Logger *zap.Logger
}

// inspectPatience is how long a store that fails is tried for somebody who waits for the answer.
const inspectPatience = 5 * time.Second

// NewBySQL returns a Restorer for a server that isn't TiDB: all rows go in by SQL.
func NewBySQL(cfg SQLConfig) *Restorer {
	inspect := cfg.Source
	inspect.Patience, inspect.Stall = inspectPatience, inspectPatience
	return &Restorer{account: cfg.Server, inspect: inspect, read: cfg.Source, log: cfg.Logger}
}

// Name names a table, view or sequence, or with Table "" a whole database. Case makes no difference.
type Name struct{ DB, Table string }

// String returns the name as statements have it.
func (n Name) String() string {
	if n.Table == "" {
		return sqlconn.QuoteName(n.DB)
	}
	return sqlconn.QuoteName(n.DB) + "." + sqlconn.QuoteName(n.Table)
}

// Rename is RESTORE DATABASE a AS b, without tables, or RESTORE TABLE a.t AS b.u.
type Rename struct{ From, To Name }

// Route sends what fits two patterns of TiDB's table router (* at the end, ?, [a-z]) to other names. Table "" is all of a
// database; an empty ToTable leaves the name.
type Route struct{ DB, Table, ToDB, ToTable string }

// Selection says what of the source is restored. Exactly one of Everything, Databases and Tables is given.
type Selection struct {
	// Everything is all but system schemas, and databases that Exclude names.
	Everything bool
	Exclude    []string
	Databases  []string
	// Tables each have a DB. They may be views and sequences too.
	Tables []Name
	// Renames are of what Databases or Tables name.
	Renames []Rename
	// Filters are rules of TiDB's table filter over the names in the source, for what the above selects; none is all.
	Filters []string
	// Routes are for names in the source without a rename. One that two rules of a kind fit is an error.
	Routes []Route
}

// Options are those of the statement.
type Options struct {
	// CSV says how CSV files are written; see DefaultCSV. CSVHeader says that their first rows name the columns.
	CSV       csv.Config
	CSVHeader bool
	// BySQL brings rows in by INSERT and REPLACE, into tables that may hold rows. A Restorer without a core does so always.
	BySQL bool
	// Files say what the files of a dump are, DefaultFiles what those are that none of them fits; see dump.NewRules.
	Files        []dump.Rule
	DefaultFiles bool
	// SkipSchemaFiles restores rows only: the tables must exist.
	SkipSchemaFiles bool
	OnDuplicate     importcore.OnDuplicate
	// MaxErrors is how many rows of a dump, of all tables together, are left out and recorded before the restore fails; it needs Task.BadRows.
	MaxErrors int64
	Checksum  importcore.ChecksumLevel
	Analyze   importcore.AnalyzeLevel
	// ChecksumConcurrency is how many requests of a kind that sum up pairs are made at a time; 0 is the cluster's own number for tables
	// of a dump, and 8 tables at a time for an archive.
	ChecksumConcurrency int
	// KeepCredentials keeps those of an archive's location from the stores, which then use their own.
	KeepCredentials bool
	// WaitTiFlashReady waits for the TiFlash replicas that tables of an archive had.
	WaitTiFlashReady bool
	// LoadStats brings in the statistics that an archive has; Analyze is then for tables without, unless it is required.
	LoadStats bool
	// SystemTables brings in accounts, privileges and bindings of an archive of everything.
	SystemTables bool
	// Compact has the stores compact what was restored, at the end.
	Compact bool
	// DisableImportMode leaves the stores in normal mode.
	DisableImportMode bool
	// Concurrency is how many small tables of a dump are imported, or key ranges of an archive downloaded, at a time; 0 is as many tables as
	// memory allows, up to 8, or 16 ranges or more. By SQL it is how many connections bring rows in.
	Concurrency int
	// KeepPartial leaves what a failed job has made.
	KeepPartial bool
	// LastBackup is the timestamp of the archive that the target's tables hold, and which the one that is restored must continue; 0: it continues none.
	LastBackup uint64
	// Cipher is how a BR archive is encrypted; nil: it is not.
	Cipher *archive.Cipher
	// ForDumps and ForArchives are names of options, as the user wrote them, that only the one kind of source has: with the other they are an error.
	ForDumps, ForArchives []string
	// SkipPrechecks are left out.
	SkipPrechecks []precheck.Name
}

// DefaultCSV is how Dumpling and mydumper write CSV files.
func DefaultCSV() csv.Config {
	cfg := csv.DefaultConfig()
	cfg.FieldsTerminatedBy, cfg.FieldsEnclosedBy, cfg.FieldsEscapedBy = ",", `"`, `\`
	return cfg
}

// Session is what of the session holds for the whole job.
type Session struct {
	SQLMode  mysql.SQLMode
	TimeZone *time.Location // nil is UTC
	// SysVars and User are as in importcore.ImportTask.
	SysVars map[string]string
	User    string
	// Account is CURRENT_USER(), the user@host of the account: views without a definer are its. "" is the account by which the Restorer works.
	Account           string
	IgnoreForeignKeys bool
}

// Task is one restore as the caller wants it. Its contents are not changed.
type Task struct {
	JobID int64
	// Location is the folder of the dump or the archive, as source.OpenFolder takes it.
	Location  string
	Selection Selection
	Options   Options
	Session   Session
	// Threads, MemoryBudget, MaxWriteSpeed (bytes per second and store), DiskQuota and MaxLatency are of the whole
	// job, and otherwise as in importcore.ImportTask.
	Threads                                int
	MemoryBudget, MaxWriteSpeed, DiskQuota int64
	MaxLatency                             time.Duration
	// Now is the job's NOW(); zero is the cluster's clock when it is planned.
	Now time.Time
	// Checkpoints, Owned, Hold and Observer are as in importcore.ImportTask.
	Checkpoints importcore.Checkpoints
	Owned, Hold func(context.Context) error
	Observer    importcore.Observer
	// Restored says of each of some tables of the target what has been restored into it last, in their order. nil is never asked.
	Restored func(ctx context.Context, tables []Name) ([]Restored, error)
	// Reserve takes the target's tables for the job before anything is created. It is called at the beginning of each Run,
	// with the same tables but for those whose names the job has given up; an error ends the restore. nil is never asked.
	Reserve func(ctx context.Context, tables []Name) error
	// BadRows gives the sink for rows of a table that are left out, because of MaxErrors or importcore.DuplicateCapture. The number, from 1
	// on, is the table's in all runs of the job. Sinks of different tables are used at a time.
	BadRows func(number int, table Name) badrows.Sink
	// Events is told of tables, by one goroutine at a time. It must not block, and may be nil.
	Events func(Event)
}

// Restored is what is known of a table's last restore; the zero value is nothing.
type Restored struct {
	JobID int64
	// Finished tells that all was restored: what was there at BackupTS, by ClusterTS. Otherwise a part of it may be there.
	Finished            bool
	BackupTS, ClusterTS uint64
}

// TableState is where a table is.
type TableState string

// The states of tables.
const (
	TablePending TableState = "pending"
	TableRunning TableState = "running"
	TableDone    TableState = "done"
	TableFailed  TableState = "failed"
)

// Event tells of a table that has come to another state.
type Event struct {
	Table       Name
	State       TableState
	Rows, Bytes int64
	// BadRows were left out because of MaxErrors.
	BadRows int64
	Err     error
}
