// Package jobstore keeps job records in the cluster: all SQL about jobs and all
// migrations are here. It works on TiDB and on MariaDB.
//
// # Rules
//
//   - A row changes only by conditional updates (see package job); an update
//     that finds no row returns ErrLost and the caller must stop writing.
//   - All times are the cluster's clock in UTC: a Sluice with a wrong clock can
//     neither lose nor steal a lease.
//   - The tables of active jobs are in unique indexes (tables.go), so "is there
//     another job on this table" is decided by the insert itself.
//   - Values are sent as parameters, never pasted into SQL text.
package jobstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Errors that a caller must tell apart.
var (
	// ErrNotFound: there is no job with that id.
	ErrNotFound = errors.New("job not found")
	// ErrTableBusy: another active job holds the table.
	ErrTableBusy = errors.New("another active job holds the table")
	// ErrLost: the row is not in the expected state or belongs to another
	// owner or term. The caller may not write to it again.
	ErrLost = errors.New("the job has ended or belongs to another owner")
	// ErrNewerSchema: the tables were made by a newer Sluice.
	ErrNewerSchema = errors.New("the job tables were made by a newer Sluice")
	// ErrNoTables: there are no job tables yet.
	ErrNoTables = errors.New("there are no job tables in the cluster")
)

// DefaultSchema is where the job tables live unless configured otherwise.
const DefaultSchema = "sluice"

// DefaultLease is how long an owner may be silent before its jobs are given up.
const DefaultLease = 30 * time.Second

// callLimit bounds one call. A cluster that takes longer is as good as away;
// the caller decides whether to try again.
const callLimit = 30 * time.Second

// Params are what a Store needs.
type Params struct {
	// Backends are SQL addresses (host:port, or the path of a socket), tried
	// in turn; at least one.
	Backends []string
	// User and Password are the service account.
	User, Password string
	// Schema is the name of the schema; "" means DefaultSchema.
	Schema string
	// Owner is this process's instance name, at most 255 bytes.
	Owner string
	// Process tells this process from an earlier one of the same name; see
	// Held.Process. At most 255 bytes.
	Process string
	// Lease is the duration of leases; 0 means DefaultLease.
	Lease time.Duration
	// Existing opens a store only if it has tables already: otherwise nothing is
	// changed and the error is ErrNoTables.
	Existing bool
}

// Store keeps jobs. It is safe for concurrent use.
type Store struct {
	pool    *sqlconn.Pool
	name    string // the schema's
	schema  string // the same, quoted
	owner   string
	process string
	lease   time.Duration
}

// Open connects, creates the schema where needed and brings it to the newest
// version. The caller closes the store.
func Open(ctx context.Context, p Params) (*Store, error) {
	if p.Schema == "" {
		p.Schema = DefaultSchema
	}
	if p.Lease <= 0 {
		p.Lease = DefaultLease
	}
	pool := sqlconn.New(sqlconn.Config{Addrs: p.Backends, User: p.User, Password: p.Password, Limit: callLimit, Setup: []string{
		"SET SESSION time_zone = '+00:00', autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES'", "SET NAMES utf8mb4",
		// A process that is stopped in a transaction must not keep others from its
		// job's row for longer than they wait to take the job over.
		fmt.Sprintf("SET SESSION wait_timeout = %d", max(int64(p.Lease/time.Second/2), 1))}})
	s := &Store{pool: pool, name: p.Schema, schema: sqlconn.QuoteName(p.Schema), owner: p.Owner, process: p.Process, lease: p.Lease}
	err := s.migrateIf(ctx, p.Existing)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("job store: %w", err)
	}
	return s, nil
}

// Close closes the idle connections. Calls under way finish on their own.
func (s *Store) Close() { _ = s.pool.Close() }

// Owner is the instance name under which this store writes.
func (s *Store) Owner() string { return s.owner }

// Lease is the duration of leases.
func (s *Store) Lease() time.Duration { return s.lease }

// Create accepts a job: it inserts a pending row that this instance owns with
// term 1 and its tables, and returns it with id and times set. ErrTableBusy means that another
// active job holds one of the tables; a *BusyError says which. Of j it reads what describes the job, not its
// state.
func (s *Store) Create(ctx context.Context, j job.Job) (job.Job, error) {
	var created job.Job
	err := s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		id, err := s.nextID(c)
		if err != nil {
			return err
		}
		if err := s.insert(c, id, &j); err != nil {
			return err
		}
		if err := s.reserve(c, id, &j); err != nil {
			return err
		}
		if err := s.note(c, id, event{kind: job.EventAccepted, account: j.CreatedBy}); err != nil {
			return err
		}
		created, err = s.get(c, id)
		return err
	})
	if isDuplicateKey(err) {
		return job.Job{}, s.busy(ctx, 0, &j)
	}
	if fault.IsRetryable(err) && created.ID != 0 && s.isThere(ctx, &created) {
		err = nil // only the answer was lost
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("create job: %w", err)
	}
	return created, nil
}

// How long a job that may have been accepted is looked for, and how often.
const (
	lookLimit = 20 * time.Second
	lookPause = 200 * time.Millisecond
)

// isThere looks for a job whose transaction may have been committed. No other one has its id, its
// owner and the very moment of its making.
func (s *Store) isThere(ctx context.Context, j *job.Job) bool {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	for {
		have, err := s.Get(ctx, j.ID)
		if err == nil || errors.Is(err, ErrNotFound) {
			return err == nil && have.Lease == j.Lease && have.CreateTime.Equal(j.CreateTime)
		}
		wait := time.NewTimer(lookPause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return false
		}
	}
}

// nextID counts in a row of its own: TiDB's auto-increment would hand out
// numbers with gaps of thousands, and ids are typed by people.
func (s *Store) nextID(c *sqlconn.Session) (int64, error) {
	r, err := c.Exec("SELECT value FROM " + s.schema + ".counters WHERE name = 'job' FOR UPDATE")
	if err != nil {
		return 0, err
	}
	if r.RowNumber() != 1 {
		return 0, errors.New("the job counter is missing")
	}
	last, err := r.GetInt(0, 0)
	if err != nil {
		return 0, err
	}
	_, err = c.Exec("UPDATE "+s.schema+".counters SET value = ? WHERE name = 'job'", last+1)
	return last + 1, err
}

func (s *Store) insert(c *sqlconn.Session, id int64, j *job.Job) error {
	_, err := c.Exec("INSERT INTO "+s.schema+".jobs (id, group_key, data_source, table_schema, table_name, table_id, "+
		"kind, targets, connection_id, statement, options, format_version, status, phase, step, source_bytes, message, created_by, "+
		"task, create_time, update_time, owner, process, term, lease_until) "+
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, '', ?, ?, "+now+", "+now+", ?, ?, 1, "+s.until()+")",
		id, nullable(j.GroupKey), j.DataSource, j.DB, j.Table, j.TableID, string(kindOf(j)), nullable(j.Targets), j.Connection, j.Statement, j.Options,
		job.FormatVersion, string(job.Pending), j.SourceBytes, j.CreatedBy, nullable(j.Task), s.owner, s.process)
	return err
}

// Get returns one job, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id int64) (job.Job, error) {
	var j job.Job
	err := s.pool.Use(ctx, func(c *sqlconn.Session) (err error) {
		j, err = s.get(c, id)
		return err
	})
	return j, wrap("read job", err)
}

// Task returns a job's Task, "" if it has none.
func (s *Store) Task(ctx context.Context, id int64) (string, error) {
	var task string
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT task FROM "+s.schema+".jobs WHERE id = ?", id)
		if err != nil {
			return err
		}
		if r.RowNumber() == 0 {
			return ErrNotFound
		}
		sc := rowScanner{r: r}
		sc.string(&task)
		return sc.err
	})
	return task, wrap("read the job's task", err)
}

// List returns the jobs of one account, or of all when createdBy is "", by id.
func (s *Store) List(ctx context.Context, createdBy string) ([]job.Job, error) {
	var jobs []job.Job
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		where, args := "", []any(nil)
		if createdBy != "" {
			where, args = " WHERE created_by = ?", []any{createdBy}
		}
		r, err := c.Exec(s.selectJobs()+where+" ORDER BY id", args...)
		if err != nil {
			return err
		}
		jobs, err = scanJobs(r)
		return err
	})
	return jobs, wrap("list jobs", err)
}

func (s *Store) get(c *sqlconn.Session, id int64) (job.Job, error) {
	r, err := c.Exec(s.selectJobs()+" WHERE id = ?", id)
	if err != nil {
		return job.Job{}, err
	}
	jobs, err := scanJobs(r)
	if err != nil {
		return job.Job{}, err
	}
	if len(jobs) == 0 {
		return job.Job{}, ErrNotFound
	}
	return jobs[0], nil
}

// now is the cluster's clock; sessions of the pool run in UTC.
const now = "UTC_TIMESTAMP(6)"

func (s *Store) interval() string {
	return fmt.Sprintf("INTERVAL %d MICROSECOND", s.lease.Microseconds())
}

func (s *Store) until() string { return now + " + " + s.interval() }

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nullableInt(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}
