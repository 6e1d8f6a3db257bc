// Package executor runs the statements that sqlext recognises, one file per
// kind of statement, for a client session of the proxy.
//
// # What it may assume and what it asks
//
// Nothing about the client's session is shadowed: the current database, the SQL
// mode, the time zone, whether a transaction is open and what the user may do
// are asked on the user's own connection (Session.Query) at the moment a
// statement arrives. Job rows are kept by executor/jobstore with the service
// account, so every Sluice in front of the same cluster sees the same jobs.
//
// # A job's life here
//
// Accepted (row exists, table reserved by a unique key; import.go) or adopted from
// an owner that is gone (takeover.go) -> claimed by this process with a lease
// (runner.go, lease.go) -> run by the Engine -> finished, failed, cancelled, paused
// or given back (outcome.go). What another process needs to go on is in the row
// (durable.go). A job runs in a goroutine that the Executor owns and waits for
// in Close; neither a client that goes away nor a panic ends the process.
package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/sqlext"
)

// Session is the client session on whose behalf a statement runs. The
// executor uses it only while Execute runs and from one goroutine at a time.
type Session interface {
	// Query runs sql (text protocol) on the user's own backend connection and
	// returns its result, or the cluster's error as *mysql.MyError.
	Query(ctx context.Context, sql string) (*mysql.Result, error)
	// ClientAddr is the client's host:port, for logs.
	ClientAddr() string
	// ConnectionID is the cluster's id of the user's connection, for logs.
	ConnectionID() uint64
}

// Value is one cell of a Result in text protocol form; nil is NULL, an empty
// non-nil Value is the empty string.
type Value []byte

// Column describes one column of a Result as it is sent in a
// Protocol::ColumnDefinition41 packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
type Column struct {
	// Name is the column's label.
	Name string
	// Type is one of mysql.MYSQL_TYPE_*.
	Type uint8
	// Charset is the collation id (63 = binary for numbers and times).
	Charset uint16
	// Length is the display length in bytes.
	Length uint32
	// Flags are mysql.*_FLAG bits.
	Flags uint16
	// Decimals is the number of digits after the decimal point.
	Decimals uint8
}

// Result is what a statement answers: a result set when Columns is not empty,
// otherwise an OK packet. The caller owns it.
type Result struct {
	// Columns is empty for an OK packet.
	Columns []Column
	// Rows holds len(Columns) values each.
	Rows [][]Value
	// AffectedRows, Warnings and Info are those of the OK packet.
	AffectedRows uint64
	Warnings     uint16
	Info         string
}

// ServiceAccount is the cluster user with which Sluice does its own work. It
// needs all privileges on the job schema, SELECT on information_schema and
// mysql, and for the core what an import needs. Never logged.
type ServiceAccount struct {
	User     string
	Password string
}

// Config is what an Executor is built from. The caller has validated it.
type Config struct {
	// Instance names this process among all Sluices of the cluster. It is
	// written as the owner into job rows, so it must be unique (for example
	// host:port) and should be stable across restarts.
	Instance string
	// Schema is where the job tables live; "" means "sluice".
	Schema string
	// ServiceAccount is used for job rows and by the core.
	ServiceAccount ServiceAccount
	// Backends are the SQL addresses (host:port) of the cluster's TiDB
	// servers; at least one. They are tried in turn.
	Backends []string
	// SortDir is the local directory for sorting, absolute.
	SortDir string
	// SortCompression of what is spilled to SortDir; see importcore.Config.
	SortCompression string
	// CheckpointBytes and CheckpointInterval bound what is done again after an
	// interruption; 0 means the core's defaults.
	CheckpointBytes    int64
	CheckpointInterval time.Duration
	// MaxLatency is the option max_latency of jobs without one; 0 means none.
	MaxLatency time.Duration
	// S3 holds for s3:// locations that don't say otherwise.
	S3 source.S3
	// SourcePatience is how long a job waits for a source whose store fails; 0
	// means source.DefaultPatience.
	SourcePatience time.Duration
	// JobMemory is the memory of the jobs in bytes, for all together; 0 means the core's default for each.
	// Each job gets an equal part of it.
	JobMemory int64
	// MemoryAdvice tells users how to give each job so many bytes; nil only tells their number.
	MemoryAdvice func(job int64) string
	// DiskQuota is how many bytes a job may have in SortDir whose statement says nothing else; 0 means any number.
	DiskQuota int64
	// Concurrency is how many jobs run at a time; 0 means 1.
	Concurrency int
	// Lease is how long a job's owner may be silent before others may count it
	// as dead; 0 means jobstore.DefaultLease.
	Lease time.Duration
	// TakeoverTimeout is how long a job without an owner waits for a Sluice that
	// can read its source before it fails; 0 means DefaultTakeoverTimeout.
	TakeoverTimeout time.Duration
	// AwayPatience is how long a job that gets no further, because a part of the cluster is away, is kept
	// by its process; 0 means DefaultAwayPatience.
	AwayPatience time.Duration
	// Retention is for how long ended jobs are kept, with their errors; 0 means for ever.
	Retention time.Duration
	// Threads caps the THREAD option and is the base of its default (half of
	// it, at least 1); 0 means the number of CPUs.
	Threads int
	// Logger is required. Secrets never reach it.
	Logger *zap.Logger
	// Registerer takes the executor's metrics; nil means none are registered.
	Registerer prometheus.Registerer
}

// DefaultTakeoverTimeout is longer than the restart of a machine takes, and
// short enough for whoever waits for the job to hear of it the same day.
const DefaultTakeoverTimeout = 30 * time.Minute

// Executor runs statements. It is safe for concurrent use.
type Executor struct {
	cfg     Config
	log     *zap.Logger
	metrics *metrics
	// services are the cluster's job store and the core, opened when first needed.
	services services
	// backoff remembers jobs that the cluster didn't let go on.
	backoff *backoff
	// locations are those with credentials, which are in no row.
	locations *locations
	// queue bounds the jobs that run at once; others wait as pending.
	queue *queue
	// quit ends the watcher and waits for other Sluices; quitting ends with it.
	quit      chan struct{}
	quitting  context.Context
	stopWatch context.CancelFunc
	// wake makes the watcher look now.
	wake chan struct{}
	// aborted ends the statements that Close has no more time for.
	aborted context.Context
	abort   context.CancelCauseFunc
	wg      sync.WaitGroup // watcher, statements and jobs

	mu struct {
		sync.Mutex
		closing bool
		jobs    map[int64]*runner
	}
}

// New checks cfg and returns an Executor. It doesn't connect: the cluster may
// be away when the proxy starts, and is looked for when the first statement
// arrives. The caller closes the Executor.
func New(cfg Config) (*Executor, error) {
	return newExecutor(cfg, func(ctx context.Context, ledger cluster.Ledger) (Engine, error) { return openEngine(ctx, cfg, ledger) })
}

// NewWithEngine is New with another import core; openEngine is called when the
// first import arrives, and again after an error. Tests put faults behind it.
func NewWithEngine(cfg Config, openEngine func(context.Context) (Engine, error)) (*Executor, error) {
	return newExecutor(cfg, func(ctx context.Context, _ cluster.Ledger) (Engine, error) { return openEngine(ctx) })
}

func newExecutor(cfg Config, openEngine engineOpener) (*Executor, error) {
	switch {
	case cfg.Instance == "" || len(cfg.Instance) > maxInstanceBytes:
		return nil, fmt.Errorf("executor: the instance name must have 1 to %d bytes", maxInstanceBytes)
	case len(cfg.Backends) == 0:
		return nil, errors.New("executor: no backends")
	case cfg.Logger == nil:
		return nil, errors.New("executor: no logger")
	}
	if cfg.Schema == "" {
		cfg.Schema = jobstore.DefaultSchema
	}
	if cfg.Lease <= 0 {
		cfg.Lease = jobstore.DefaultLease
	}
	if cfg.TakeoverTimeout <= 0 {
		cfg.TakeoverTimeout = DefaultTakeoverTimeout
	}
	if cfg.AwayPatience <= 0 {
		cfg.AwayPatience = DefaultAwayPatience
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 1
	}
	if cfg.JobMemory <= 0 {
		cfg.JobMemory = importcore.DefaultMemoryBudget * int64(cfg.Concurrency)
	}
	if cfg.Threads <= 0 {
		cfg.Threads = runtime.GOMAXPROCS(0)
	}
	e := &Executor{cfg: cfg, log: cfg.Logger, queue: newQueue(cfg.Concurrency), backoff: newBackoff(), locations: newLocations(), quit: make(chan struct{}), wake: make(chan struct{}, 1)}
	quitting, quit := context.WithCancel(context.Background())
	e.quitting = quitting
	e.stopWatch = quit
	e.aborted, e.abort = context.WithCancelCause(context.Background())
	e.mu.jobs = map[int64]*runner{}
	e.services.init(cfg, openEngine)
	var err error
	if e.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	e.wg.Add(1)
	go e.watch()
	return e, nil
}

// maxInstanceBytes is what the owner column of the job table takes.
const maxInstanceBytes = 255

// Execute runs st for s and returns what the client gets. Its error is turned
// into a MySQL error by MySQLError. When ctx ends (the client went away, or its
// query was killed) a blocking import is cancelled and Execute returns after
// the job has stopped.
func (e *Executor) Execute(ctx context.Context, s Session, st sqlext.Statement) (*Result, error) {
	if !e.enter() {
		return nil, codedError(errno.ErrServerShutdown)
	}
	defer e.wg.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.aborted, func() { cancel(errShutdown) })()
	e.log.Info("statement", zap.Uint64("connection", s.ConnectionID()), zap.String("client", s.ClientAddr()),
		zap.String("sql", messageText(st.Redacted())))
	r, err := e.dispatch(ctx, s, st)
	if err != nil {
		code, _, message := MySQLError(err)
		e.log.Warn("statement failed", zap.Uint64("connection", s.ConnectionID()),
			zap.Uint16("code", code), zap.String("message", message))
	}
	return r, err
}

func (e *Executor) dispatch(ctx context.Context, s Session, st sqlext.Statement) (*Result, error) {
	switch st := st.(type) {
	case *sqlext.ImportInto:
		return e.importInto(ctx, s, st)
	case *sqlext.ShowImportJobs:
		return e.showJobs(ctx, s, st)
	case *sqlext.ShowImportJob:
		return e.showJob(ctx, s, st.ID)
	case *sqlext.ShowImportErrors:
		return e.showErrors(ctx, s, st)
	case *sqlext.ShowImportEvents:
		return e.showEvents(ctx, s, st.ID)
	case *sqlext.ShowImportTables:
		return e.showTables(ctx, s, st.ID)
	case *sqlext.ShowImportGroups:
		return e.showGroups(ctx, s, st)
	case *sqlext.ShowImportClusterState:
		return e.showClusterState(ctx, s)
	case *sqlext.RepairImportClusterState:
		return e.repairClusterState(ctx, s)
	case *sqlext.CancelImportJob:
		return e.cancelJob(ctx, s, st.ID)
	case *sqlext.PauseImportJob:
		return e.pauseJob(ctx, s, st.ID)
	case *sqlext.ResumeImportJob:
		return e.resumeJob(ctx, s, st.ID)
	case *sqlext.RetryImportJob:
		return e.retryJob(ctx, s, st.ID)
	case *sqlext.AlterImportJob:
		return e.alterJob(ctx, s, st)
	case *sqlext.Restore:
		return e.runRestore(ctx, s, st)
	case *sqlext.ShowRestores:
		return e.showRestores(ctx, s, st)
	default:
		return nil, notSupportedYet("this statement")
	}
}

// enter counts a statement in, unless the Executor is closing.
func (e *Executor) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closing {
		return false
	}
	e.wg.Add(1)
	return true
}

// Close takes no more statements, waits for the running jobs until ctx ends,
// then gives them back, so that another Sluice, or this one when it is back, goes
// on with them. It returns when every goroutine of the Executor has ended; the
// error is that of disconnecting. Closing twice is safe.
func (e *Executor) Close(ctx context.Context) error {
	e.mu.Lock()
	first := !e.mu.closing
	e.mu.closing = true
	running := make([]*runner, 0, len(e.mu.jobs))
	for _, r := range e.mu.jobs {
		running = append(running, r)
	}
	e.mu.Unlock()
	if !first {
		e.wg.Wait()
		return nil
	}
	close(e.quit)
	e.stopWatch()
	for _, r := range running {
		select {
		case <-r.done:
		case <-ctx.Done():
			r.stop(errShutdown)
		}
	}
	// What isn't a job is a statement before or after one.
	stop := context.AfterFunc(ctx, func() { e.abort(errShutdown) })
	defer stop()
	e.wg.Wait()
	return e.services.close()
}
