package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/restore/systables"
	"github.com/sluicedb/sluice/sqlext"
)

// RestoreSpec is what a restore has beside an import. Its names are part of the durable form, see durable.go.
type RestoreSpec struct {
	// All, Databases and Tables are as in sqlext.Restore, but each table has its DB.
	All       bool
	Databases []sqlext.RestoreDatabase
	Tables    []sqlext.RestoreTable
	// Options without Job, which Spec.Options is.
	Options sqlext.RestoreOptions
	// Exclude are databases that RESTORE DATABASE * leaves out.
	Exclude []string
}

// Restored is what a finished restore did. It is the Result of its row, by these names.
type Restored struct {
	// Size is in bytes, of data files.
	Size int64 `json:"size"`
	// BackupTS is when the source was taken, 0 if it doesn't say; ClusterTS when the restore was over. Both are timestamps of PD.
	BackupTS  uint64 `json:"backup_ts"`
	ClusterTS uint64 `json:"cluster_ts"`
	// So many of each.
	Databases int `json:"databases"`
	Tables    int `json:"tables"`
	Views     int `json:"views"`
	Sequences int `json:"sequences"`
}

// restoreColumns are those of TiDB's RESTORE.
var restoreColumns = []Column{
	textColumn("Destination"), unsignedColumn("Size"), unsignedColumn("BackupTS"), unsignedColumn("Cluster TS"),
	datetimeColumn("Queue Time"), datetimeColumn("Execution Time"),
}

// runRestore accepts a restore and runs it, in the order of importInto.
func (e *Executor) runRestore(ctx context.Context, s Session, st *sqlext.Restore) (*Result, error) {
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, err
	}
	spec, err := e.restoreSpec(ctx, s, st, state)
	if err != nil {
		return nil, err
	}
	if st.DryRun() {
		return e.explainRestore(ctx, spec)
	}
	store, engine, err := e.services.get(ctx)
	if err != nil {
		return nil, err
	}
	record, warnings, err := e.acceptRestore(ctx, engine, st, state, spec)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	record.Connection = int64(s.ConnectionID())
	created, err := store.Create(context.WithoutCancel(ctx), record)
	if err != nil {
		return nil, refusedTable(err)
	}
	created.Task = record.Task
	e.log.Info("restore job accepted", zap.Int64("job", created.ID), zap.String("targets", created.Targets), zap.Int("tables", len(record.Tables)),
		zap.Int64("source_bytes", created.SourceBytes), zap.String("created_by", created.CreatedBy), zap.String("group", created.GroupKey))
	ended, err := e.runAccepted(ctx, store, engine, created, spec, warnings)
	if err != nil {
		return nil, err
	}
	if spec.Options.Detached {
		return jobResult([]job.Job{ended}, state.timeZone), nil
	}
	return restoreResult(&ended, state.timeZone)
}

// restoreResult is the row of TiDB's RESTORE for a job that has finished.
func restoreResult(j *job.Job, zone *time.Location) (*Result, error) {
	done, err := restoredOf(j)
	if err != nil {
		return nil, err
	}
	return &Result{Columns: restoreColumns, Rows: [][]Value{{
		Value(j.DataSource), intValue(done.Size), unsignedValue(done.BackupTS), unsignedValue(done.ClusterTS),
		secondsValue(j.CreateTime, zone), secondsValue(j.StartTime, zone),
	}}}, nil
}

// restoredOf reads what a restore did from its row; nothing if it has not finished.
func restoredOf(j *job.Job) (Restored, error) {
	var done Restored
	if j.Result == "" {
		return done, nil
	}
	if err := json.Unmarshal([]byte(j.Result), &done); err != nil {
		return done, fmt.Errorf("result of job %d: %w", j.ID, err)
	}
	return done, nil
}

// restoreSpec makes every check that needs no look at the source.
func (e *Executor) restoreSpec(ctx context.Context, s Session, st *sqlext.Restore, state *sessionState) (*Spec, error) {
	if state.inTxn {
		return nil, unknownError("cannot run RESTORE in explicit transaction")
	}
	if state.snapshot != "" {
		return nil, unknownError("can not execute RESTORE statement when 'tidb_snapshot' is set")
	}
	if err := checkCharset(st.Redacted()+st.Location.Raw, state.charset); err != nil {
		return nil, err
	}
	if err := privilege.CheckRestore(ctx, s, state.server == "", st.Location.ReadsDisk() || st.Options.EncryptionKeyFile != ""); err != nil {
		return nil, err
	}
	if err := checkRestoreSupported(st, state.server); err != nil {
		return nil, err
	}
	if wantsSystemTables(&st.Options, &st.Options.Job) && state.server == "" {
		if err := checkSystemTables(ctx, s); err != nil {
			return nil, err
		}
	}
	what := &RestoreSpec{All: st.All, Databases: st.Databases, Options: st.Options}
	what.Options.Job = sqlext.Options{}
	var err error
	if what.Options.LastBackup, err = lastBackup(&st.Options, state.timeZone); err != nil {
		return nil, err
	}
	what.Options.LastBackupTime = ""
	if st.All {
		what.Exclude = []string{e.cfg.Schema}
	}
	for _, t := range st.Tables {
		if t.DB == "" {
			t.DB = state.db
		}
		if t.DB == "" {
			return nil, codedError(errno.ErrNoDB)
		}
		what.Tables = append(what.Tables, t)
	}
	if err := e.checkRestoreTargets(what); err != nil {
		return nil, err
	}
	return &Spec{
		Location: st.Location.Raw, Options: st.Options.Job, SQLMode: state.sqlMode, SysVars: state.sysVars, User: state.user, Account: state.account,
		CurrentDB: state.db, IgnoreForeignKeys: !state.foreignKeys, TimeZone: state.timeZone, Restore: what,
	}, nil
}

// wantsSystemTables tells whether a statement asks for accounts, privileges and bindings. Unlike TiDB's it has to say so.
func wantsSystemTables(o *sqlext.RestoreOptions, given *sqlext.Options) bool {
	_, ok := given.Specified["with_sys_table"]
	return ok && o.WithSysTable
}

// checkSystemTables returns nil if the user may write to the system tables that a restore writes to: who may do that can make any account already.
func checkSystemTables(ctx context.Context, s Session) error {
	for _, table := range systables.Names() {
		_, err := s.Query(ctx, systables.Probe(table))
		if err != nil && sqlconn.Code(err) != errno.ErrNoSuchTable { // an older TiDB has not all of them
			return err
		}
	}
	return nil
}

// checkRestoreTargets refuses what would be written where no user's tables are.
func (e *Executor) checkRestoreTargets(r *RestoreSpec) error {
	var to []string
	for _, d := range r.Databases {
		to = append(to, d.As)
		if d.As == "" {
			to = append(to, d.Name)
		}
	}
	for _, t := range r.Tables {
		to = append(to, t.AsDB)
		if t.AsDB == "" {
			to = append(to, t.DB)
		}
	}
	for _, route := range r.Options.Routes {
		to = append(to, route.ToSchema)
	}
	for _, db := range to {
		if e.isSystemSchema(db) {
			return codedError(errno.ErrLoadDataPreCheckFailed, "target database "+privilege.QuoteTable("", db)+" is a system database")
		}
	}
	return nil
}

// checkRestoreSupported refuses what the core can't honour yet, by name. Nothing that a user asks for is ignored silently.
func checkRestoreSupported(st *sqlext.Restore, server string) error {
	o := &st.Options
	switch {
	case !readable(st.Location):
		return notSupportedYet("a data source of scheme " + st.Location.Scheme)
	case o.Backend == sqlext.BackendLocal && server != "":
		return needsTiDB("BACKEND = 'local'", server)
	case o.Resume != nil:
		return notSupportedYet("RESUME in RESTORE: RESUME IMPORT JOB and RETRY IMPORT JOB go on with a restore; it")
	case o.TiKVImporter != "":
		return notSupportedYet("TIKV_IMPORTER")
	case !o.Checkpoint:
		return notSupportedYet("CHECKPOINT = FALSE")
	}
	if o.Backend == sqlext.BackendTiDB || server != "" {
		if err := checkOptionsBySQL(o); err != nil {
			return err
		}
	}
	if err := checkDiskQuota(&o.Job); err != nil {
		return err
	}
	return checkPrechecks(&o.Job)
}

// physicalOptions are about TiDB's stores and the files that are made for them: there are none when rows go in by SQL.
var physicalOptions = []string{"disk_quota", "max_latency", "rate_limit", "online", "send_credentials_to_tikv", "tikv_importer", "checksum_concurrency",
	"compact", "load_stats", "wait_tiflash_ready"}

// checkOptionsBySQL refuses what can't be done with rows that go in by SQL.
func checkOptionsBySQL(o *sqlext.RestoreOptions) error {
	for _, name := range physicalOptions {
		if _, given := o.Job.Specified[name]; given {
			return notSupportedYet(strings.ToUpper(name) + " for rows that go in by SQL")
		}
	}
	if o.Job.OnDuplicate == sqlext.DuplicateCapture {
		return notSupportedYet("ON_DUPLICATE = CAPTURE for rows that go in by SQL")
	}
	return nil
}

// acceptRestore makes the prechecks and describes the job for its row. warnings are for its message.
func (e *Executor) acceptRestore(ctx context.Context, engine Engine, st *sqlext.Restore, state *sessionState, spec *Spec) (
	_ job.Job, warnings []string, err error) {
	facts, warnings, err := e.precheck(ctx, engine, spec)
	if err != nil {
		return job.Job{}, nil, err
	}
	options, err := json.Marshal(st.Options.Job.Specified)
	if err != nil {
		return job.Job{}, nil, fmt.Errorf("options of the job: %w", err)
	}
	spec.Source, spec.Now = facts.Source, facts.Now
	durable, err := settle(spec, Keeper{Instance: e.cfg.Instance, Process: processID()})
	if err != nil {
		return job.Job{}, nil, fmt.Errorf("task of the job: %w", err)
	}
	return job.Job{
		Kind: job.Restore, GroupKey: st.Options.Job.GroupKey, DataSource: st.Location.Redacted(), Targets: st.Targets(), Tables: facts.Tables,
		Statement: redactText(st.Redacted()), Options: string(options), Task: durable, SourceBytes: facts.SourceBytes, CreatedBy: state.account,
	}, warnings, nil
}

// refusedTable is the error of a restore one of whose tables another job has.
func refusedTable(err error) error {
	busy := (*jobstore.BusyError)(nil)
	switch {
	case errors.As(err, &busy):
		return codedError(errno.ErrLoadDataPreCheckFailed, fmt.Sprintf("there is active job on the table %s already: job %d",
			privilege.QuoteTable(busy.DB, busy.Table), busy.JobID))
	case errors.Is(err, jobstore.ErrTableBusy):
		return errTableBusy()
	}
	return err
}
