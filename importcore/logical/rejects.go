package logical

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// reject is a row that is left out.
type reject struct {
	file   int
	row    int64
	record badrows.Record
}

func (r reject) compare(o reject) int {
	return cmp.Or(cmp.Compare(r.file, o.file), cmp.Compare(r.row, o.row))
}

// tooMany ends an import with more bad rows than it may have. Those of the batch that it ends are in it, the others in the ledger.
type tooMany struct{ rejects []reject }

// Error is never shown: end puts the collector's error in its place.
func (*tooMany) Error() string { return "too many bad rows" }

// telling bounds how long an import that has been stopped goes on for the records of its bad rows.
const telling = 5 * time.Second

// end hands the rows that were left out over to the task's sink, whatever has ended the import, and returns the error to show. If the
// import goes on it does so again.
func (r *run) end(ctx context.Context, err error) error {
	if !r.claimed || !r.task.leavesOut() || errors.Is(err, ErrFenced) {
		return err
	}
	l := rejected{r.target, r.ledger.where, r.target.patiently}
	var many *tooMany
	switch {
	case errors.As(err, &many):
		return l.handOver(ctx, r.task.ErrorLimit, r.task.BadRows, many)
	case err == nil:
		return l.handOver(ctx, r.task.ErrorLimit, r.task.BadRows, nil)
	case r.counted.Load() > 0:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), telling)
		defer cancel()
		l.ask = func(_ context.Context, f func() error) error { return f() }
		_ = l.handOver(ctx, r.task.ErrorLimit, r.task.BadRows, nil) // what has ended the import counts
	}
	return err
}

// HandOver gives the rows of a table that a job has left out, as far as the ledger knows, to a sink, in the place of what that has. It is for a
// job that is given up without an Import. Errors are those of the server and of the sink.
func (t *Target) HandOver(ctx context.Context, job, db, table string, sink badrows.Sink) error {
	return rejected{t, tableRows(job, db, table), t.patiently}.handOver(ctx, badrows.NewLimit(0), sink, nil)
}

// rejected is the rows that one job has left out of one table.
type rejected struct {
	target *Target
	where  string
	// ask is how patiently the server is asked.
	ask func(ctx context.Context, f func() error) error
}

// handOver gives them to a sink, in the order of the files, in the place of what an earlier run has given it. many tells of those that aren't in the
// ledger; then it returns a *badrows.LimitError.
func (l rejected) handOver(ctx context.Context, limit *badrows.Limit, sink badrows.Sink, many *tooMany) error {
	c := badrows.NewShared(limit, sink)
	if err := c.Resume(ctx, badrows.Progress{}); err != nil {
		return err
	}
	var last []reject
	if many != nil {
		last = many.rejects
		slices.SortFunc(last, reject.compare)
		last = slices.CompactFunc(last, func(a, b reject) bool { return a.compare(b) == 0 })
	}
	for after := (*reject)(nil); ; {
		page, err := l.page(ctx, after)
		if err != nil {
			return err
		}
		for i := range page {
			n := 0
			for n < len(last) && last[n].compare(page[i]) < 0 {
				n++
			}
			if err := addKnown(ctx, c, append(last[:n:n], page[i])); err != nil {
				return err
			}
			if n < len(last) && last[n].compare(page[i]) == 0 { // its batch was committed after all
				n++
			}
			last = last[n:]
		}
		if len(page) < rejectPage {
			break
		}
		after = &page[len(page)-1]
	}
	if err := addKnown(ctx, c, last); err != nil {
		return err
	}
	if err := c.Flush(ctx); err != nil || many == nil {
		return err
	}
	return c.Exceeded()
}

func addKnown(ctx context.Context, c *badrows.Collector, rejects []reject) error {
	for i := range rejects {
		if err := c.Known(ctx, rejects[i].record); err != nil {
			return err
		}
	}
	return nil
}

// rejectPage is how many records are read at a time.
const rejectPage = 1000

// page reads records behind one, in the order of the files.
func (l rejected) page(ctx context.Context, after *reject) (page []reject, err error) {
	where := l.where
	if after != nil {
		where += fmt.Sprintf(" AND (file > %d OR file = %d AND row_number_in_file > %d)", after.file, after.file, after.row)
	}
	sql := fmt.Sprintf("SELECT file, row_number_in_file, record FROM %s%s ORDER BY file, row_number_in_file LIMIT %d", rejectTable, where, rejectPage)
	err = l.ask(ctx, func() error {
		page = nil
		return l.target.pool.Use(ctx, func(s *sqlconn.Session) error {
			res, err := s.Exec(sql)
			if noLedger(err) {
				return nil
			}
			if err != nil {
				return err
			}
			for i := range res.RowNumber() {
				file, err1 := res.GetInt(i, 0)
				row, err2 := res.GetInt(i, 1)
				text, err3 := res.GetString(i, 2)
				r := reject{file: int(file), row: row}
				if err := errors.Join(err1, err2, err3); err != nil {
					return err
				}
				if err := json.Unmarshal([]byte(text), &r.record); err != nil {
					return fault.Wrap(err, fault.Sluice, 0, "a record of the ledger can't be read")
				}
				page = append(page, r)
			}
			return nil
		})
	})
	return page, err
}
