package jobstore

import (
	"context"
	"strings"
	"time"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// BadRowsTable is the name of the table of records, in the store's schema, as
// SQL text.
func (s *Store) BadRowsTable() string {
	if strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" {
		return s.name + ".job_errors"
	}
	return s.schema + ".job_errors"
}

// badRowColumns are what AddBadRows gives values for.
const badRowColumns = "(job_id, seq, class, file, line, byte_offset, column_name, value, error_code, message, table_schema, table_name, recorded_time)"

// BadRowsOf says which of a job's tables records are of. Number tells them apart: that of a restore's table, from 1 on, 0 for an
// import's. DB and Table are what users see.
type BadRowsOf struct {
	Number    int64
	DB, Table string
}

// tableRecords is how many records a table may have: each table's have a range of seq to themselves.
const tableRecords = 1 << 40

// before is the seq before the table's first record.
func (o *BadRowsOf) before() int64 { return o.Number * tableRecords }

// AddBadRows keeps records of one table of a running job, which get the numbers from first
// on within the table, and the job's count of them. It is all or nothing, and may be repeated with
// the same records when its outcome is unknown. ErrLost means that the job is no
// longer the caller's. The number of records is the caller's to bound: they go in
// one statement.
func (s *Store) AddBadRows(ctx context.Context, l job.Lease, of BadRowsOf, first int64, records []badrows.Record) error {
	if len(records) == 0 {
		return nil
	}
	const values = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " + now + ")"
	insert := "INSERT INTO " + s.schema + ".job_errors " + badRowColumns + " VALUES " + values +
		strings.Repeat(", "+values, len(records)-1) + " ON DUPLICATE KEY UPDATE seq = seq"
	args := make([]any, 0, 12*len(records))
	first += of.before()
	for i := range records {
		r := &records[i]
		args = append(args, l.JobID, first+int64(i), r.Class.String(), r.File, r.Line, r.Offset, r.Column, r.Value,
			int64(r.Code), r.Message, of.DB, of.Table)
	}
	err := s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		// The row's lock keeps a new owner away until the records are in.
		r, err := c.Exec("UPDATE "+s.schema+".jobs SET error_rows = error_rows + ? - (SELECT COUNT(*) FROM "+s.schema+
			".job_errors WHERE job_id = ? AND seq BETWEEN ? AND ?), update_time = "+now+" WHERE id = ? AND owner = ? AND term = ? AND status = 'running'",
			len(records), l.JobID, first, first+int64(len(records))-1, l.JobID, l.Owner, l.Term)
		if err != nil {
			return err
		}
		if r.AffectedRows == 0 {
			return ErrLost
		}
		_, err = c.Exec(insert, args...)
		return err
	})
	return wrap("record bad rows", err)
}

// BadRow is a record of a row that a job left out, as it is kept.
type BadRow struct {
	Seq                        int64 // its place in this order, from 1 on
	DB, Table                  string
	Class, File, Column, Value string
	Line, Offset, Code         int64
	Message                    string
	Time                       time.Time
}

// BadRows returns up to limit records of a job, in order, those after the first
// offset ones.
func (s *Store) BadRows(ctx context.Context, jobID, offset, limit int64) ([]BadRow, error) {
	var rows []BadRow
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT table_schema, table_name, class, file, column_name, value, line, byte_offset, error_code, message, recorded_time FROM "+
			s.schema+".job_errors WHERE job_id = ? ORDER BY seq LIMIT ? OFFSET ?", jobID, limit, offset)
		if err != nil {
			return err
		}
		rows = make([]BadRow, r.RowNumber())
		for i := range rows {
			sc, row := rowScanner{r: r, row: i}, &rows[i]
			row.Seq = offset + int64(i) + 1
			for _, text := range []*string{&row.DB, &row.Table, &row.Class, &row.File, &row.Column, &row.Value} {
				sc.string(text)
			}
			for _, n := range []*int64{&row.Line, &row.Offset, &row.Code} {
				sc.int(n)
			}
			sc.string(&row.Message)
			sc.time(&row.Time)
			if sc.err != nil {
				return sc.err
			}
		}
		return nil
	})
	return rows, wrap("read bad rows", err)
}

// BadRowClasses returns how many records of each class a job has.
func (s *Store) BadRowClasses(ctx context.Context, jobID int64) (map[string]int64, error) {
	counts := map[string]int64{}
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT class, COUNT(*) FROM "+s.schema+".job_errors WHERE job_id = ? GROUP BY class", jobID)
		if err != nil {
			return err
		}
		for i := range r.RowNumber() {
			var class string
			var n int64
			sc := rowScanner{r: r, row: i}
			sc.string(&class)
			sc.int(&n)
			if sc.err != nil {
				return sc.err
			}
			counts[class] = n
		}
		return nil
	})
	return counts, wrap("count bad rows", err)
}

// RewindBadRows forgets the records of one table of a running job behind the first keep ones. ErrLost
// means that it is no longer the caller's.
func (s *Store) RewindBadRows(ctx context.Context, l job.Lease, of BadRowsOf, keep int64) error {
	return wrap("forget bad rows", s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		if err := s.lock(c, l); err != nil {
			return err
		}
		r, err := c.Exec("DELETE FROM "+s.schema+".job_errors WHERE job_id = ? AND seq > ? AND seq <= ?", l.JobID, of.before()+keep, of.before()+tableRecords)
		if err != nil || r.AffectedRows == 0 {
			return err
		}
		_, err = c.Exec("UPDATE "+s.schema+".jobs SET error_rows = error_rows - ? WHERE id = ?", r.AffectedRows, l.JobID)
		return err
	}))
}
