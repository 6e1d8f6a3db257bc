package logical

import (
	"context"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// # Jobs of many tables
//
// The ledger knows a job by a row of its own, without a table, from before its first row of data to its end. So somebody who goes on with a
// job, and knows that it has begun, notices a ledger that was lost, and doesn't bring everything in once more.

// jobRow selects the job's own row.
func jobRow(job string) string {
	return " WHERE job = " + quote(job) + " AND table_schema = '' AND table_name = ''"
}

func tableRows(job, db, table string) string {
	return " WHERE job = " + quote(job) + " AND table_schema = " + quote(db) + " AND table_name = " + quote(table)
}

// Begin notes a job in the ledger, which is made if it isn't there. begun says that an earlier Begin of the job is known to have come to its
// end: a ledger that knows nothing of it is an error then.
func (t *Target) Begin(ctx context.Context, job string, begun bool) error {
	l := &ledger{pool: t.pool}
	return t.patiently(ctx, func() error {
		if err := l.prepare(ctx); err != nil {
			return err
		}
		return t.pool.Use(ctx, func(s *sqlconn.Session) error {
			res, err := s.Exec("SELECT 1 FROM " + laneTable + jobRow(job))
			switch {
			case err != nil || res.RowNumber() > 0:
				return err
			case begun:
				return errGone
			}
			_, err = s.Exec(fmt.Sprintf("INSERT INTO %s (job, table_schema, table_name, lane, term, seq, state) VALUES (%s, '', '', 0, 0, 0, '{}')",
				laneTable, quote(job)))
			if sqlconn.Code(err) == codeDuplicate {
				return nil // another process has begun it at the same time
			}
			return err
		})
	})
}

// Brought returns what the ledger says that a job has brought into a table, and false if it knows nothing of the job there. It claims nothing.
func (t *Target) Brought(ctx context.Context, job, db, table string) (counts Counts, known bool, err error) {
	err = t.patiently(ctx, func() error {
		return t.pool.Use(ctx, func(s *sqlconn.Session) error {
			counts, known = Counts{}, false
			res, err := s.Exec("SELECT state FROM " + laneTable + tableRows(job, db, table))
			if noLedger(err) {
				return nil
			}
			if err != nil {
				return err
			}
			for i := range res.RowNumber() {
				text, err := res.GetString(i, 0)
				if err != nil {
					return err
				}
				state, err := parseState([]byte(text))
				if err != nil {
					return err
				}
				counts.Add(state.Counts)
				known = true
			}
			return nil
		})
	})
	return counts, known, err
}

// noLedger tells whether a server has answered that it has none.
func noLedger(err error) bool {
	code := sqlconn.Code(err)
	return code == mysql.ER_NO_SUCH_TABLE || code == mysql.ER_BAD_DB_ERROR
}

// Forget removes what the ledger holds of a job, all its tables. It is called when the job's end is known elsewhere: a job
// that is forgotten and run again would bring its rows in once more. A server without a ledger is none of its concern.
func (t *Target) Forget(ctx context.Context, job string) error {
	return t.forget(ctx, job, " WHERE job = "+quote(job))
}

// ForgetTable is Forget of one table, which holds none of the job's rows, or is about to be made anew.
func (t *Target) ForgetTable(ctx context.Context, job, db, table string) error {
	return t.forget(ctx, job, tableRows(job, db, table))
}

func (t *Target) forget(ctx context.Context, job, where string) error {
	return t.patiently(ctx, func() error {
		return t.pool.Use(ctx, func(s *sqlconn.Session) error {
			for _, table := range []string{rejectTable, laneTable} {
				if _, err := s.Exec("DELETE FROM " + table + where); err != nil && !noLedger(err) {
					return fmt.Errorf("forget job %s: %w", job, err)
				}
			}
			return nil
		})
	})
}

// Use lends f a session, for statements about what the target's methods don't know. Errors are those of sqlconn.
func (t *Target) Use(ctx context.Context, f func(*sqlconn.Session) error) error {
	return t.pool.Use(ctx, f)
}
