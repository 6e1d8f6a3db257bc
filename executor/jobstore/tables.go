package jobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// # Tables of jobs
//
// The table job_tables has a row for each table of each job. While the job has not ended, active is 1, and two
// unique indexes keep others from the table: by its id, which a rename doesn't change, and by its name, which a restore holds
// also for what it is yet to create. An import holds the id of its table, which exists; its name only where the cluster
// has no ids. So an import asks besides whether a restore holds the name: once a restore may have created the table, its row
// is there to be seen.

// tablesChunk is how many tables one statement names.
const tablesChunk = 200

// BusyError is the ErrTableBusy that says which table it is.
type BusyError struct {
	// DB and Table name it, JobID is the job that holds it.
	DB, Table string
	JobID     int64
}

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("job %d holds the table %s", e.JobID, privilege.QuoteTable(e.DB, e.Table))
}

// Is makes it an ErrTableBusy.
func (e *BusyError) Is(target error) bool { return target == ErrTableBusy }

// isDuplicateKey tells whether an insert failed because of a table that another job holds.
func isDuplicateKey(err error) bool {
	var e *mysql.MyError
	if !errors.As(err, &e) || e.Code != mysql.ER_DUP_ENTRY {
		return false
	}
	_, key, _ := strings.Cut(e.Message[max(0, strings.LastIndex(e.Message, " for key ")):], " for key ")
	return strings.Contains(key, "active_id") || strings.Contains(key, "active_name")
}

func kindOf(j *job.Job) job.Kind {
	if j.Kind == "" {
		return job.Import
	}
	return j.Kind
}

// tablesOf are the tables that a job has to hold.
func tablesOf(j *job.Job) []job.Table {
	if kindOf(j) == job.Restore {
		return j.Tables
	}
	return []job.Table{{DB: j.DB, Name: j.Table, ID: j.TableID}}
}

// reserve takes the tables of a job that has none.
func (s *Store) reserve(c *sqlconn.Session, id int64, j *job.Job) error {
	tables := slices.Clone(tablesOf(j))
	if kindOf(j) == job.Restore {
		if err := s.findIDs(c, tables); err != nil {
			return err
		}
	} else if err := s.checkName(c, id, &tables[0]); err != nil {
		return err
	}
	return s.insertTables(c, id, 0, kindOf(j), tables)
}

// reserveAgain takes the tables of a job that has ended.
func (s *Store) reserveAgain(c *sqlconn.Session, j *job.Job, fresh bool) error {
	if kindOf(j) == job.Restore && !fresh {
		_, err := c.Exec("UPDATE "+s.schema+".job_tables SET active = 1 WHERE job_id = ?", j.ID)
		return err
	}
	if _, err := c.Exec("DELETE FROM "+s.schema+".job_tables WHERE job_id = ?", j.ID); err != nil {
		return err
	}
	return s.reserve(c, j.ID, j)
}

// checkName fails if a restore holds the name of an import's table.
func (s *Store) checkName(c *sqlconn.Session, id int64, t *job.Table) error {
	r, err := c.Exec("SELECT job_id FROM "+s.schema+".job_tables WHERE name_key = ? AND active = 1 AND job_id <> ?", t.NameKey(), id)
	if err != nil || r.RowNumber() == 0 {
		return err
	}
	holder, err := r.GetInt(0, 0)
	if err != nil {
		return err
	}
	return &BusyError{DB: t.DB, Table: t.Name, JobID: holder}
}

// insertTables adds tables behind number last of the job's.
func (s *Store) insertTables(c *sqlconn.Session, id, last int64, kind job.Kind, tables []job.Table) error {
	for chunk := range slices.Chunk(tables, tablesChunk) {
		var args []any
		for i := range chunk {
			t := &chunk[i]
			last++
			var tableID, name any
			if t.ID > 0 {
				tableID = t.ID
			}
			if kind == job.Restore || t.ID <= 0 {
				name = t.NameKey()
			}
			args = append(args, id, last, t.DB, t.Name, tableID, name, t.Bytes)
		}
		rows := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, 1, ?, ''), ", len(chunk)), ", ")
		_, err := c.Exec("INSERT INTO "+s.schema+".job_tables (job_id, seq, table_schema, table_name, table_id, name_key, active, source_bytes, message) VALUES "+
			rows, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// findIDs sets the ids of the tables that exist, where the cluster has ids.
func (s *Store) findIDs(c *sqlconn.Session, tables []job.Table) error {
	byName := make(map[string][]*job.Table, len(tables))
	var databases []any // in lower case, as the server compares these names with case
	seen := map[string]bool{}
	for i := range tables {
		t := &tables[i]
		byName[t.NameKey()] = append(byName[t.NameKey()], t)
		if db := strings.ToLower(t.DB); !seen[db] {
			seen[db] = true
			databases = append(databases, db)
		}
	}
	for chunk := range slices.Chunk(databases, tablesChunk) {
		r, err := c.Exec("SELECT table_schema, table_name, tidb_table_id FROM information_schema.tables WHERE LOWER(table_schema) IN ("+
			placeholders(len(chunk))+")", chunk...)
		if sqlconn.Code(err) == mysql.ER_BAD_FIELD_ERROR {
			return nil // not a TiDB
		}
		if err != nil {
			return err
		}
		for i := range r.RowNumber() {
			sc := rowScanner{r: r, row: i}
			var t job.Table
			sc.string(&t.DB)
			sc.string(&t.Name)
			sc.int(&t.ID)
			if sc.err != nil {
				return sc.err
			}
			for _, found := range byName[t.NameKey()] {
				found.ID = t.ID
			}
		}
	}
	return nil
}

// busy is the error of a job whose tables another one holds.
func (s *Store) busy(ctx context.Context, id int64, j *job.Job) error {
	busy := ErrTableBusy
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		tables := slices.Clone(tablesOf(j))
		if err := s.findIDs(c, tables); err != nil {
			return err
		}
		for chunk := range slices.Chunk(tables, tablesChunk) {
			args := []any{id}
			for i := range chunk {
				args = append(args, chunk[i].NameKey())
			}
			for i := range chunk {
				args = append(args, chunk[i].ID)
			}
			marks := placeholders(len(chunk))
			r, err := c.Exec("SELECT job_id, table_schema, table_name FROM "+s.schema+".job_tables WHERE active = 1 AND job_id <> ? AND (name_key IN ("+marks+
				") OR table_id IN ("+marks+")) ORDER BY seq LIMIT 1", args...)
			if err != nil {
				return err
			}
			if r.RowNumber() == 0 {
				continue
			}
			sc, e := rowScanner{r: r}, &BusyError{}
			sc.int(&e.JobID)
			sc.string(&e.DB)
			sc.string(&e.Table)
			if sc.err == nil {
				busy = e
			}
			return sc.err
		}
		return nil
	})
	if err != nil {
		return ErrTableBusy // that is certain, who has it is not
	}
	return busy
}

// Reserve makes a running restore hold exactly these tables from now on, before it creates any. Those that it has already
// keep what is known of them. ErrTableBusy means that another active job holds one, and that nothing was changed; ErrLost that the
// job is no longer the caller's.
func (s *Store) Reserve(ctx context.Context, l job.Lease, tables []job.Table) error {
	err := s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		if err := s.lock(c, l); err != nil {
			return err
		}
		have, last, err := s.tableNumbers(c, l.JobID)
		if err != nil {
			return err
		}
		var fresh []job.Table
		for i := range tables {
			key := tables[i].NameKey()
			if _, ok := have[key]; !ok {
				fresh = append(fresh, tables[i])
			}
			delete(have, key)
		}
		for _, seq := range have {
			if _, err := c.Exec("DELETE FROM "+s.schema+".job_tables WHERE job_id = ? AND seq = ?", l.JobID, seq); err != nil {
				return err
			}
		}
		if err := s.findIDs(c, fresh); err != nil {
			return err
		}
		return s.insertTables(c, l.JobID, last, job.Restore, fresh)
	})
	if isDuplicateKey(err) {
		err = s.busy(ctx, l.JobID, &job.Job{Kind: job.Restore, Tables: tables})
	}
	return wrap("reserve the job's tables", err)
}

// tableNumbers returns the numbers of a job's tables by their keys, and the highest.
func (s *Store) tableNumbers(c *sqlconn.Session, id int64) (numbers map[string]int64, last int64, err error) {
	r, err := c.Exec("SELECT seq, table_schema, table_name FROM "+s.schema+".job_tables WHERE job_id = ? ORDER BY seq", id)
	if err != nil {
		return nil, 0, err
	}
	return scanNumbers(r)
}

// heldNumbers returns the numbers of those of some tables that a running restore has, by their keys. The other tables, of which there may be
// tens of thousands, aren't read.
func (s *Store) heldNumbers(c *sqlconn.Session, id int64, tables []job.Table) (numbers map[string]int64, err error) {
	args := []any{id}
	for i := range tables {
		args = append(args, tables[i].NameKey())
	}
	r, err := c.Exec("SELECT seq, table_schema, table_name FROM "+s.schema+".job_tables WHERE job_id = ? AND active = 1 AND name_key IN ("+
		placeholders(len(tables))+") ORDER BY seq", args...)
	if err != nil {
		return nil, err
	}
	numbers, _, err = scanNumbers(r)
	return numbers, err
}

func scanNumbers(r *mysql.Result) (numbers map[string]int64, last int64, err error) {
	numbers = make(map[string]int64, r.RowNumber())
	for i := range r.RowNumber() {
		sc := rowScanner{r: r, row: i}
		var t job.Table
		sc.int(&last)
		sc.string(&t.DB)
		sc.string(&t.Name)
		if sc.err != nil {
			return nil, 0, sc.err
		}
		numbers[t.NameKey()] = last
	}
	return numbers, last, nil
}

// SetTables writes what the owner of a running job tells of some of its tables: State, Rows, Bytes and Message. Tables that the job
// doesn't have are left out. ErrLost means that the job is no longer the caller's.
func (s *Store) SetTables(ctx context.Context, l job.Lease, tables []job.Table) error {
	return wrap("write the states of tables", s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		if err := s.lock(c, l); err != nil {
			return err
		}
		for chunk := range slices.Chunk(tables, tablesChunk) {
			numbers, err := s.heldNumbers(c, l.JobID, chunk)
			if err != nil {
				return err
			}
			var args []any
			for i := range chunk {
				t := &chunk[i]
				if seq, ok := numbers[t.NameKey()]; ok {
					args = append(args, l.JobID, seq, t.DB, t.Name, t.State, t.Rows, t.Bytes, t.Message)
				}
			}
			if len(args) == 0 {
				continue
			}
			// Each row is there, and so only updated.
			rows := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?), ", len(args)/8), ", ")
			_, err = c.Exec("INSERT INTO "+s.schema+".job_tables (job_id, seq, table_schema, table_name, state, imported_rows, source_bytes, message) VALUES "+
				rows+" ON DUPLICATE KEY UPDATE state = VALUES(state), imported_rows = VALUES(imported_rows), source_bytes = VALUES(source_bytes), "+
				"message = VALUES(message)", args...)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// Tables returns a job's tables in their order.
func (s *Store) Tables(ctx context.Context, id int64) ([]job.Table, error) {
	var tables []job.Table
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT table_schema, table_name, table_id, state, imported_rows, source_bytes, message FROM "+s.schema+
			".job_tables WHERE job_id = ? ORDER BY seq", id)
		if err != nil {
			return err
		}
		tables = make([]job.Table, r.RowNumber())
		for i := range tables {
			sc, t := rowScanner{r: r, row: i}, &tables[i]
			sc.string(&t.DB)
			sc.string(&t.Name)
			sc.int(&t.ID)
			sc.string(&t.State)
			sc.int(&t.Rows)
			sc.int(&t.Bytes)
			sc.string(&t.Message)
			if sc.err != nil {
				return sc.err
			}
		}
		return nil
	})
	return tables, wrap("read the job's tables", err)
}

// TableCount is how many tables a job has.
type TableCount struct {
	// All that it has, and Done of them.
	All, Done int64
}

// CountTables returns for each restore how many tables it has, and how many of these are in the given state.
func (s *Store) CountTables(ctx context.Context, state string) (map[int64]TableCount, error) {
	counts := map[int64]TableCount{}
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT t.job_id, COUNT(*), COUNT(CASE WHEN t.state = ? THEN 1 END) FROM "+s.schema+".job_tables t JOIN "+s.schema+
			".jobs j ON j.id = t.job_id WHERE j.kind = ? GROUP BY t.job_id", state, string(job.Restore))
		if err != nil {
			return err
		}
		for i := range r.RowNumber() {
			sc := rowScanner{r: r, row: i}
			var id int64
			var n TableCount
			sc.int(&id)
			sc.int(&n.All)
			sc.int(&n.Done)
			if sc.err != nil {
				return sc.err
			}
			counts[id] = n
		}
		return nil
	})
	return counts, wrap("count the tables of jobs", err)
}

// ActiveOn returns the id of the job that holds a table, 0 if none does. tableID is the table's, or 0 if it has none.
func (s *Store) ActiveOn(ctx context.Context, tableID int64, db, table string) (id int64, err error) {
	t := job.Table{DB: db, Name: table}
	err = s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT job_id FROM "+s.schema+".job_tables WHERE active = 1 AND (table_id = ? OR name_key = ?)", tableID, t.NameKey())
		if err != nil || r.RowNumber() == 0 {
			return err
		}
		id, err = r.GetInt(0, 0)
		return err
	})
	return id, wrap("find the job of a table", err)
}
