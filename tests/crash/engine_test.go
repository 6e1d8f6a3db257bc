package crash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/table"
	"github.com/sluicedb/sluice/tests/playground"
)

// engineSize suffices for a checkpoint behind every block.
var engineSize = size{files: 8, rowsPerFile: 400}

func columnNamed(name string) table.FieldTarget { return table.FieldTarget{Column: name} }

// world is what outlives a process: the job's checkpoint and its records. It
// counts the events of the job's present life, and ends that at one of them.
type world struct {
	mu      sync.Mutex
	data    []byte
	records []badrows.Record
	events  int
	dieAt   int // event of this life; 0 is never
	dead    bool
	kill    context.CancelCauseFunc
	cause   error
	watch   func() // called at each event; may be nil
}

var errDied = fmt.Errorf("the process died: %w", importcore.ErrNotOwner)

// event is called before and after everything that outlives the process. It is
// the last thing that a life does if it dies there.
func (w *world) event() error {
	w.events++
	if w.watch != nil {
		w.watch()
	}
	if w.dead || w.events == w.dieAt {
		w.dead = true
		w.kill(w.cause)
		if errors.Is(w.cause, importcore.ErrNotOwner) {
			return w.cause
		}
		return nil // a pause comes from outside
	}
	return nil
}

// around does something with an event before it and one behind it.
func (w *world) around(do func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.event(); err != nil {
		return err
	}
	do()
	return w.event()
}

// Load implements importcore.Checkpoints.
func (w *world) Load(context.Context) ([]byte, error) { return w.data, nil }

// Save implements importcore.Checkpoints.
func (w *world) Save(_ context.Context, data []byte) error {
	return w.around(func() { w.data = data })
}

// Put implements badrows.Sink.
func (w *world) Put(_ context.Context, first int64, records []badrows.Record) error {
	if int(first) != len(w.records)+1 {
		return fmt.Errorf("record %d comes behind %d others", first, len(w.records))
	}
	return w.around(func() { w.records = append(w.records, records...) })
}

// Rewind implements badrows.Sink.
func (w *world) Rewind(_ context.Context, keep int64, _ badrows.Counts) error {
	return w.around(func() { w.records = w.records[:keep] })
}

// hold is asked before every request that changes the table.
func (w *world) hold(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.event()
}

// told are the records' texts in their order.
func (w *world) told() (texts []string) {
	for _, r := range w.records {
		texts = append(texts, fmt.Sprint(r.Class, r.Line, r.Offset, r.Column, r.Value, r.Code, r.Message))
	}
	return texts
}

// saved is the state that the next life goes on from.
func (w *world) saved(t *testing.T) (s checkpoint.State) {
	t.Helper()
	if len(w.data) == 0 {
		return s
	}
	state, err := checkpoint.Unmarshal(w.data)
	require.NoError(t, err)
	return *state
}

// live is one life: it ends with the job, or at event dieAt with cause.
func (w *world) live(t *testing.T, core *importcore.Core, task importcore.ImportTask, dieAt int, cause error) (*importcore.Summary, *importcore.Plan, error) {
	t.Helper()
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	w.events, w.dieAt, w.dead, w.kill, w.cause = 0, dieAt, false, kill, cause
	task.Checkpoints, task.BadRows, task.Hold = w, w, w.hold
	plan, err := core.Plan(ctx, task)
	if err != nil {
		return nil, nil, err
	}
	summary, err := core.Import(ctx, plan, nil)
	return summary, plan, err
}

func openCore(t *testing.T, pg *playground.Cluster, dir string) *importcore.Core {
	t.Helper()
	core, err := importcore.New(t.Context(), importcore.Config{
		Cluster: cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zap.NewNop()}, SortDir: dir,
		CheckpointBytes: 1, // a checkpoint behind every block
		MemoryBudget:    importcore.MinMemoryBudget, Logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, core.Close()) })
	return core
}

// deaths are how a life ends before the job does.
var deaths = map[string]error{
	"dies":      errDied,
	"is paused": fmt.Errorf("asked: %w", importcore.ErrPaused),
}

// TestInterruptedJobsEndRight interrupts jobs of each kind at moments spread over their
// life, some of them several times, with and without the loss of the sort directory.
func TestInterruptedJobsEndRight(t *testing.T) {
	t.Parallel()
	for _, k := range kinds(engineSize) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b := newEngineBench(t, k)
			for how, cause := range deaths {
				for n := range b.points {
					at := 1 + n*b.events/b.points
					b.interrupt(fmt.Sprintf("%s at event %d of %d", how, at, b.events), at, cause, n%3 == 2)
				}
			}
		})
	}
}

// engineBench is a table of a kind, and what an undisturbed job makes of it.
type engineBench struct {
	*testing.T
	kind
	pg       *playground.Cluster
	schema   string
	location string
	points   int
	rnd      *rand.Rand

	rows    []string
	records []string
	summary importcore.Summary
	events  int
}

func newEngineBench(t *testing.T, k kind) *engineBench {
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	b := &engineBench{T: t, kind: k, pg: pg, schema: schema, location: k.source(t), points: 6, rnd: rand.New(rand.NewPCG(1, 2))}
	k.create(t, db, schema, "t")
	w := &world{}
	summary, _, err := w.live(t, openCore(t, pg, t.TempDir()), b.newTask(t, schema, "t", b.location), 0, nil)
	require.NoError(t, err)
	b.rows, b.records, b.summary, b.events = k.content(t, db, schema, "t"), w.told(), *summary, w.events
	require.Greater(t, b.events, 20)
	require.Equal(t, k.rounds, summary.Rounds > 2, "%d rounds", summary.Rounds)
	return b
}

// interrupt runs a job that is interrupted at an event, and twice more at random ones, and
// wants what the undisturbed one has left.
func (b *engineBench) interrupt(what string, at int, cause error, lose bool) {
	t := b.T
	db := b.pg.DB(t)
	b.create(t, db, b.schema, "t")
	task := b.newTask(t, b.schema, "t", b.location)
	w, dir := &world{}, t.TempDir()
	for life := 0; ; life++ {
		if life == 3 {
			at = 0
		}
		before := w.saved(t)
		if lose && life > 0 {
			if before.Ingest != nil && !before.Ingest.Complete && (b.fill != "" || b.drawn != "") {
				lose = false // documented: these need their runs
			} else {
				require.NoError(t, os.RemoveAll(dir))
			}
		}
		summary, plan, err := w.live(t, openCore(t, b.pg, dir), task, at, cause)
		if err == nil {
			b.check(what, w, summary)
			return
		}
		require.ErrorIs(t, err, cause, what)
		if errors.Is(cause, importcore.ErrPaused) && plan != nil {
			b.requireNothingLost(what, w, plan)
		}
		at = 1 + b.rnd.IntN(b.events)
	}
}

// requireNothingLost: a pause comes between two blocks, and what is encoded then is saved.
func (b *engineBench) requireNothingLost(what string, w *world, plan *importcore.Plan) {
	s := w.saved(b.T)
	p := plan.Progress()
	if s.Ingest != nil || p.SourceBytes == p.SourceTotal {
		return
	}
	lost := p.SourceBytes - s.Encoded.SourceBytes
	if b.rounds && p.Round > 0 { // the last block of a round, as of the source, isn't behind a checkpoint
		require.LessOrEqual(b.T, lost, p.SourceTotal/int64(b.size.files)*2, what)
		return
	}
	require.Zero(b.T, lost, what)

}

func (b *engineBench) check(what string, w *world, summary *importcore.Summary) {
	t := b.T
	require.Equal(t, b.rows, b.content(t, b.pg.DB(t), b.schema, "t"), what)
	require.Equal(t, b.records, w.told(), what)
	require.Equal(t, [3]int64{b.summary.Rows, b.summary.LostRows, b.summary.SourceBytes},
		[3]int64{summary.Rows, summary.LostRows, summary.SourceBytes}, what)
	require.Equal(t, b.summary.Local.Pairs, summary.Local.Pairs, what)
}

// TestAbandonedJobsLeaveNothing: a job that was interrupted, at whatever moment, and is given
// up leaves an empty table, or says what it leaves in one that had rows; the next one is not in its way.
func TestAbandonedJobsLeaveNothing(t *testing.T) {
	t.Parallel()
	for _, k := range kinds(engineSize) {
		if k.name != "plain" && k.name != "partitions" && k.name != "filled, replace" && k.name != "drawn values" && k.name != "disk quota" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b := newEngineBench(t, k)
			for n := range b.points {
				b.abandon(1 + (n*b.events+b.events/2)/b.points)
			}
		})
	}
}

// abandon gives up a job that died at an event.
func (b *engineBench) abandon(at int) {
	t := b.T
	db := b.pg.DB(t)
	b.create(t, db, b.schema, "t")
	task := b.newTask(t, b.schema, "t", b.location)
	w, dir := &world{}, t.TempDir()
	core := openCore(t, b.pg, dir)
	_, _, err := w.live(t, core, task, at, errDied)
	require.ErrorIs(t, err, errDied)
	saved := w.saved(t)

	w.dead, w.dieAt, w.kill = false, 0, func(error) {}
	task.Checkpoints = w
	fate, err := core.Abandon(t.Context(), task)
	require.NoError(t, err)
	if b.fill != "" && saved.Ingest != nil {
		require.Contains(t, fate, "holds, beside the rows that were there before")
		require.Contains(t, fate, "271 of the rows that were there before have been deleted")
		require.NotEmpty(t, w.data, "another try must not bring the rows in twice")
		return
	}
	require.Empty(t, w.data, "event %d", at)
	core.SweepSortDirs(func(int64) bool { return true }) // one that was to be kept, but no checkpoint came to name it
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.Equal(t, ".lock", e.Name(), "event %d", at)
	}
	switch {
	case b.fill != "" && saved.Deleting:
		require.Contains(t, fate, "of the rows that were there before have been deleted")
		return
	case saved.Sent():
		require.Equal(t, "was emptied again", fate)
	default:
		require.Empty(t, fate)
	}
	if b.fill == "" {
		require.Empty(t, b.content(t, db, b.schema, "t"))
	}
	next := &world{}
	summary, _, err := next.live(t, core, task, 0, nil)
	require.NoError(t, err)
	b.check("after a job that was given up", next, summary)
}

// TestBadRowsEndJobsThatMakeCheckpoints: a row that ends the job is met while the workers
// are to rest for a checkpoint. They don't rest forever.
func TestBadRowsEndJobsThatMakeCheckpoints(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{0, engineSize.rowsPerFile + 7, (engineSize.files - 1) * engineSize.rowsPerFile} {
		k := kinds(engineSize)[0]
		k.rows = func(i int) string {
			if i == bad {
				return "no number,u,v"
			}
			return engineSize.plainRow(i)
		}
		pg := playground.Shared(t)
		schema, db := pg.Database(t)
		k.create(t, db, schema, "t")
		w := &world{}
		_, _, err := w.live(t, openCore(t, pg, t.TempDir()), k.newTask(t, schema, "t", k.source(t)), 0, nil)
		require.ErrorContains(t, err, fmt.Sprintf("part%02d.csv, line %d,", bad/engineSize.rowsPerFile, bad%engineSize.rowsPerFile+1))
		require.Empty(t, k.content(t, db, schema, "t"))
		require.Empty(t, w.data, "a job that failed begins anew")
	}
}
