// Package restores_test restores dumps into the embedded cluster with importcore/restore, and compares what is there with what was
// dumped.
package restores_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(mariadb.Main{M: m}, playground.Options{Stores: 3}))
}

// bench is one test's database, and a restorer for the shared cluster.
type bench struct {
	t        *testing.T
	name     string // of the database; others of the test begin with it
	db       *sql.DB
	restorer *restore.Restorer
	dir      string // of the dump
}

func newBench(t *testing.T) *bench {
	t.Helper()
	pg := playground.Shared(t)
	name, db := pg.Database(t)
	core, err := importcore.New(t.Context(), importcore.Config{
		Cluster: cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zaptest.NewLogger(t)},
		SortDir: t.TempDir(), Logger: zaptest.NewLogger(t), CheckpointBytes: 1 << 10,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, core.Close()) })
	return &bench{t: t, name: name, db: db, restorer: restore.New(core), dir: t.TempDir()}
}

// file writes a file of the dump; db in its name and text stands for the test's database.
func (b *bench) file(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, b.own(name))
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(b.t, os.WriteFile(path, []byte(b.own(text)), 0o600))
}

// own puts the test's database in the place of $.
func (b *bench) own(text string) string { return strings.ReplaceAll(text, "$", b.name) }

// drop drops databases of the test at its end.
func (b *bench) drop(names ...string) {
	b.t.Cleanup(func() {
		for _, name := range names {
			_, err := b.db.ExecContext(context.WithoutCancel(b.t.Context()), "DROP DATABASE IF EXISTS `"+name+"`")
			require.NoError(b.t, err)
		}
	})
}

func (b *bench) exec(statements ...string) {
	b.t.Helper()
	for _, s := range statements {
		_, err := b.db.ExecContext(b.t.Context(), b.own(s))
		require.NoError(b.t, err, s)
	}
}

// rows returns a result's rows, each as text.
func (b *bench) rows(query string) []string {
	b.t.Helper()
	return b.rowsFrom(b.db, query)
}

// rowsFrom is rows of another server.
func (b *bench) rowsFrom(db *sql.DB, query string) []string {
	b.t.Helper()
	r, err := sqlrows.Query(b.t.Context(), db, b.own(query))
	require.NoError(b.t, err, query)
	return r.Lines()
}

// task restores everything that the folder holds.
func (b *bench) task() restore.Task {
	return restore.Task{
		JobID: 7, Location: b.dir, Selection: restore.Selection{Everything: true},
		Options: restore.Options{CSV: restore.DefaultCSV(), CSVHeader: true},
		Session: restore.Session{User: "root@%"}, Threads: 2, MemoryBudget: 4 * importcore.MinMemoryBudget,
	}
}

func (b *bench) run(ctx context.Context, task restore.Task) (*restore.Summary, error) {
	plan, err := b.restorer.Plan(ctx, task)
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx)
}

func (b *bench) restore(task restore.Task) *restore.Summary {
	b.t.Helper()
	sum, err := b.run(b.t.Context(), task)
	require.NoError(b.t, err)
	return sum
}

// fails expects an error with all of the texts.
func (b *bench) fails(task restore.Task, texts ...string) {
	b.t.Helper()
	_, err := b.run(b.t.Context(), task)
	require.Error(b.t, err)
	for _, text := range texts {
		require.ErrorContains(b.t, err, b.own(text))
	}
}

// world is what outlives a process: the job's checkpoint. Its life ends at the save with the number dieAt, before or
// behind it.
type world struct {
	mu     sync.Mutex
	data   []byte
	saves  int
	dieAt  int
	behind bool
	cause  error
	kill   context.CancelCauseFunc
}

var errDied = fmt.Errorf("the process died: %w", importcore.ErrNotOwner)

// Load implements importcore.Checkpoints.
func (w *world) Load(context.Context) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.data, nil
}

// Save implements importcore.Checkpoints.
func (w *world) Save(_ context.Context, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saves++
	dies := w.dieAt > 0 && w.saves >= w.dieAt
	if !dies || w.behind && w.saves == w.dieAt || errors.Is(w.cause, importcore.ErrPaused) {
		w.data = data
	}
	if dies {
		w.kill(w.cause)
		if errors.Is(w.cause, importcore.ErrNotOwner) {
			return w.cause
		}
	}
	return nil
}
