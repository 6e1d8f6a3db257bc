package executor

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// toldTables brings what a restore tells of its tables into the job store: the last of each, with the heartbeat.
type toldTables struct {
	mu   sync.Mutex
	told map[string]job.Table // by NameKey
}

// tell keeps what is told until it is written.
func (t *toldTables) tell(table job.Table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == nil {
		t.told = map[string]job.Table{}
	}
	t.told[table.NameKey()] = table
}

// take returns what was told since the last call.
func (t *toldTables) take() []job.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	tables := make([]job.Table, 0, len(t.told))
	for _, table := range t.told {
		tables = append(tables, table)
	}
	t.told = nil
	return tables
}

// putBack keeps for the next time what could not be written. What was told meanwhile is newer.
func (t *toldTables) putBack(tables []job.Table) {
	newer := t.take()
	for _, table := range append(tables, newer...) {
		t.tell(table)
	}
}

// writeTables brings the states of a restore's tables into the store.
func (r *runner) writeTables(ctx context.Context) {
	tables := r.tables.take()
	if len(tables) == 0 {
		return
	}
	err := r.store.SetTables(ctx, r.record.Lease, tables)
	switch {
	case errors.Is(err, jobstore.ErrLost): // whoever has the job tells now
	case err != nil:
		r.tables.putBack(tables)
		r.log.Warn("the states of tables can't be written", zap.Error(err))
	}
}

// reserve makes the restore hold its tables.
func (r *runner) reserve(ctx context.Context, tables []job.Table) error {
	err := persistFor(ctx, holdLimit, func(ctx context.Context) error { return r.store.Reserve(ctx, r.record.Lease, tables) })
	if errors.Is(err, jobstore.ErrLost) {
		return errLeaseLost
	}
	return refusedTable(err)
}
