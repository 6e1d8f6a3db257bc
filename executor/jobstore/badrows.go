package jobstore

import (
	"context"
	"strings"

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
const badRowColumns = "(job_id, seq, class, file, line, byte_offset, column_name, value, error_code, message, recorded_time)"

// AddBadRows keeps records of a running job, which get the numbers from first
// on, and the job's count of them. It is all or nothing, and may be repeated with
// the same records when its outcome is unknown. ErrLost means that the job is no
// longer the caller's. The number of records is the caller's to bound: they go in
// one statement.
func (s *Store) AddBadRows(ctx context.Context, l job.Lease, first int64, records []badrows.Record) error {
	if len(records) == 0 {
		return nil
	}
	const values = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " + now + ")"
	insert := "INSERT INTO " + s.schema + ".job_errors " + badRowColumns + " VALUES " + values +
		strings.Repeat(", "+values, len(records)-1) + " ON DUPLICATE KEY UPDATE seq = seq"
	args := make([]any, 0, 10*len(records))
	for i := range records {
		r := &records[i]
		args = append(args, l.JobID, first+int64(i), r.Class.String(), r.File, r.Line, r.Offset, r.Column, r.Value,
			int64(r.Code), r.Message)
	}
	err := s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		// The row's lock keeps a new owner away until the records are in.
		r, err := c.Exec("UPDATE "+s.schema+".jobs SET error_rows = GREATEST(error_rows, ?), update_time = "+now+
			" WHERE id = ? AND owner = ? AND term = ? AND status = 'running'",
			first+int64(len(records))-1, l.JobID, l.Owner, l.Term)
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
