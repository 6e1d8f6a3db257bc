package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/badrows"
)

// badRowSink keeps the rows that a job leaves out in the cluster, next to the
// job's own row. What it has counted is read when the job's goroutines are done.
type badRowSink struct {
	store  *jobstore.Store
	lease  job.Lease
	metric *prometheus.CounterVec // by class
	counts badrows.Counts         // of all tables; guarded by mu while the job runs

	mu     sync.Mutex
	tables map[int64]*tableSink // by number
}

// of returns the sink for one table, the same one for its number each time.
func (s *badRowSink) of(number int64, db, table string) badrows.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables == nil {
		s.tables = map[int64]*tableSink{}
	}
	if s.tables[number] == nil {
		s.tables[number] = &tableSink{badRowSink: s, table: jobstore.BadRowsOf{Number: number, DB: db, Table: table}}
	}
	return s.tables[number]
}

// tableSink is a badRowSink for one table, of which one goroutine at a time writes.
type tableSink struct {
	*badRowSink
	table  jobstore.BadRowsOf
	counts badrows.Counts // guarded by mu
}

// Put implements badrows.Sink. While the cluster is away it tries again.
func (s *tableSink) Put(ctx context.Context, first int64, records []badrows.Record) error {
	for i := range records {
		records[i].File, records[i].Message = redactText(records[i].File), redactText(records[i].Message)
	}
	err := persistFor(ctx, holdLimit, func(ctx context.Context) error { return s.store.AddBadRows(ctx, s.lease, s.table, first, records) })
	if errors.Is(err, jobstore.ErrLost) {
		return errLeaseLost
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		s.counts.Add(records[i].Class)
		s.badRowSink.counts.Add(records[i].Class)
		s.metric.WithLabelValues(records[i].Class.String()).Inc()
	}
	return nil
}

// Rewind implements badrows.Sink.
func (s *tableSink) Rewind(ctx context.Context, keep int64, counts badrows.Counts) error {
	err := persistFor(ctx, holdLimit, func(ctx context.Context) error { return s.store.RewindBadRows(ctx, s.lease, s.table, keep) })
	if errors.Is(err, jobstore.ErrLost) {
		return errLeaseLost
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for class := range counts {
		s.badRowSink.counts[class] += counts[class] - s.counts[class]
	}
	s.counts = counts
	return err
}

// told says how many rows there are and where to see them; "" if there are none.
func (s *badRowSink) told(what string) string {
	n := s.counts.Total()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %d (%s), shown by SHOW IMPORT JOB %d ERRORS", what, n, s.counts, s.lease.JobID)
}

// settle takes the numbers from the store when the job is done: an earlier owner
// may have recorded rows too, and some may have been met twice.
func (s *badRowSink) settle(ctx context.Context, hadOwner bool) {
	if s.counts.Total() == 0 && !hadOwner {
		return
	}
	var stored map[string]int64
	err := persist(ctx, func(ctx context.Context) (err error) {
		stored, err = s.store.BadRowClasses(ctx, s.lease.JobID)
		return err
	})
	if err != nil {
		return // what this process has counted is the best that is known
	}
	for _, class := range badrows.Classes() {
		s.counts[class] = stored[class.String()]
	}
}

// badRowsError is the error of a job that has recorded rows before.
type badRowsError struct {
	cause error
	told  string
}

// Error implements error.
func (e *badRowsError) Error() string { return e.cause.Error() + "; " + e.told }

// Unwrap returns the job's own error.
func (e *badRowsError) Unwrap() error { return e.cause }

// wrap adds to a job's error what was recorded.
func (s *badRowSink) wrap(err error) error {
	if told := s.told("bad rows"); err != nil && told != "" {
		return &badRowsError{cause: err, told: told}
	}
	return err
}
