package importcore

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
)

// notInBasis are the fields of a task that don't decide what becomes of a row.
var notInBasis = map[string]bool{
	"JobID": true, "DB": true, "Table": true, "Location": true, // the table's id and the files stand for them
	"Threads": true, "MaxWriteSpeed": true, "MaxLatency": true, "Checksum": true, "DisableImportMode": true, "KeepPartial": true, "MemoryBudget": true,
	"BadRows": true, "Observer": true, "Owned": true, "Hold": true, "Checkpoints": true, "SkipPrechecks": true, "DiskQuota": true, "Part": true, "Analyze": true,
	"LeaseFrom": true, "ChecksumConcurrency": true, "ErrorLimit": true, // MaxErrors stands for it
	"Texts": true, // the text is that of Files
	"Now":   true, // the checkpoint has its own
}

// change returns another value of a type.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]table.Assignment]() {
			expr, err := parser.New().ParseOneStmt("SELECT @a + 1", "", "")
			require.NoError(t, err)
			v.Set(reflect.ValueOf([]table.Assignment{{Column: "c", Expr: expr.(*ast.SelectStmt).Fields.Fields[0].Expr}}))
			return
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"x": "y"}))
	case reflect.Pointer:
		v.Set(reflect.ValueOf(time.FixedZone("elsewhere", 3600)))
	case reflect.Struct:
		change(t, v.Field(0))
	default:
		t.Fatalf("no other value for a %v", v.Type())
	}
}

// TestBasisHoldsEveryOption: a job doesn't go on with another option than before,
// whichever it is; a new one must be put into the basis or the list above.
func TestBasisHoldsEveryOption(t *testing.T) {
	t.Parallel()
	info := &model.TableInfo{ID: 3, State: model.StatePublic}
	plan := func() *Plan {
		return &Plan{TableID: 3, target: &table.Target{Info: info}, Files: []source.File{{Path: "/a", Size: 1, ModTime: time.Unix(5, 6)}},
			Task: ImportTask{JobID: 12, TimeZone: time.UTC}}
	}
	was, err := plan().basis()
	require.NoError(t, err)
	fields := reflect.TypeFor[ImportTask]()
	for i := range fields.NumField() {
		p := plan()
		name := fields.Field(i).Name
		if notInBasis[name] {
			continue
		}
		change(t, reflect.ValueOf(&p.Task).Elem().Field(i))
		now, err := p.basis()
		require.NoError(t, err)
		require.NotEmpty(t, was.Difference(&now, func(int) string { return "" }), name)
	}

	p := plan()
	p.saved = checkpoint.State{Version: checkpoint.Version, Basis: was}
	p.Task.Checkpoints = &kept{}
	require.NoError(t, p.checkBasis())
	p.Files[0].ModTime = time.Unix(5, 7)
	err = p.checkBasis()
	require.ErrorIs(t, err, ErrCantGoOn)
	require.ErrorContains(t, err, "file /a is not what it was: name, size or time of change differ; undo that and RESUME IMPORT JOB 12, or CANCEL IMPORT JOB 12")
}

// kept is a store of one checkpoint.
type kept struct{ data []byte }

func (k *kept) Load(context.Context) ([]byte, error)            { return k.data, nil }
func (k *kept) Save(_ context.Context, data []byte) (err error) { k.data = data; return nil }

func TestCheckpointsThatCantBeReadAreRefused(t *testing.T) {
	t.Parallel()
	p := &Plan{Task: ImportTask{JobID: 4, Checkpoints: &kept{data: []byte("nonsense")}}}
	require.ErrorIs(t, p.load(t.Context()), ErrCantGoOn)
	p.Task.Checkpoints = &kept{}
	require.NoError(t, p.load(t.Context()))
	require.False(t, p.begun())
}

// TestSortDirsOfCheckpointsStay: they outlive the process, until the job is over in the cluster that they belong to.
func TestSortDirsOfCheckpointsStay(t *testing.T) {
	t.Parallel()
	base, log := t.TempDir(), zap.NewNop()
	dir, err := newSortDir(base, 55, 7, 0, log)
	require.NoError(t, err)
	require.NoError(t, dir.keep(55))
	_, err = takeSortDir(dir.path)
	require.ErrorIs(t, err, syscall.EWOULDBLOCK, "it is in use")
	require.NoError(t, dir.release())

	other, err := newSortDir(base, 55, 8, 0, log)
	require.NoError(t, err)
	require.NoError(t, other.remove())
	again, err := takeSortDir(dir.path)
	require.NoError(t, err)
	require.NoError(t, again.release())

	var asked [][2]any
	over := func(answer bool) func(int64, int, string) bool {
		return func(job int64, _ int, cluster string) bool {
			asked = append(asked, [2]any{job, cluster})
			return answer
		}
	}
	sweepSortDirs(base, log, over(false))
	require.DirExists(t, dir.path)
	sweepSortDirs(base, log, over(true))
	require.NoDirExists(t, dir.path)
	require.Equal(t, [][2]any{{int64(7), "55"}, {int64(7), "55"}}, asked)
	_, err = takeSortDir(dir.path)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestSortDirsOfTheJobGoWhenItBeginsAnew: a process may die before the checkpoint is saved that its directory was kept for.
func TestSortDirsOfTheJobGoWhenItBeginsAnew(t *testing.T) {
	t.Parallel()
	base, log := t.TempDir(), zap.NewNop()
	made := func(clusterID uint64, jobID int64) *sortDir {
		dir, err := newSortDir(base, clusterID, jobID, 0, log)
		require.NoError(t, err)
		require.NoError(t, dir.keep(clusterID))
		return dir
	}
	left, inUse, others, elsewhere := made(55, 7), made(55, 7), made(55, 8), made(66, 7)
	for _, dir := range []*sortDir{left, others, elsewhere} {
		require.NoError(t, dir.release())
	}
	require.NoError(t, made(55, 7).remove())
	require.NoDirExists(t, left.path)
	for _, dir := range []*sortDir{inUse, others, elsewhere} {
		require.DirExists(t, dir.path)
	}
	require.NoError(t, inUse.remove())
}

// TestSortDirsCanBeTakenWhileOthersLook: whoever goes on with a job gets its directory, although
// each Sluice looks through the sort directory now and then.
func TestSortDirsCanBeTakenWhileOthersLook(t *testing.T) {
	t.Parallel()
	base, log := t.TempDir(), zap.NewNop()
	dir, err := newSortDir(base, 55, 7, 0, log)
	require.NoError(t, err)
	require.NoError(t, dir.keep(55))
	require.NoError(t, dir.release())
	stop := make(chan struct{})
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for !closed(stop) {
				sweepSortDirs(base, log, func(int64, int, string) bool { return false })
			}
		})
	}
	defer looking.Wait()
	defer close(stop)
	for range 500 {
		again, err := takeSortDir(dir.path)
		require.NoError(t, err)
		require.NoError(t, again.release())
	}
}

// TestPauseComesAfterItsGrace: work goes on while a job looks for a place to stop, and ends in time.
func TestPauseComesAfterItsGrace(t *testing.T) {
	t.Parallel()
	r := &run{plan: &Plan{Task: ImportTask{Checkpoints: &kept{}}}}
	ctx, cancel := context.WithCancelCause(t.Context())
	work, stop := r.graceful(ctx)
	require.False(t, closed(r.pausing))
	cancel(ErrPaused)
	<-r.pausing
	require.NoError(t, work.Err(), "it may still save what it has")
	<-work.Done()
	require.ErrorIs(t, context.Cause(work), ErrPaused)
	require.True(t, r.paused(ctx, work.Err()))
	require.False(t, r.paused(ctx, errors.New("a bad row")))
	stop()

	ctx, cancel = context.WithCancelCause(t.Context())
	work, stop = r.graceful(ctx)
	defer stop()
	cancel(errors.New("cancelled"))
	<-work.Done()
	require.False(t, closed(r.pausing))
	require.False(t, r.paused(ctx, context.Cause(work)))
}

// TestSortDirsOfParts makes sure that a part of a job that begins leaves the directories of the others alone.
func TestSortDirsOfParts(t *testing.T) {
	base, log := t.TempDir(), zap.NewNop()
	kept := func(part int) string {
		dir, err := newSortDir(base, 55, 7, part, log)
		require.NoError(t, err)
		require.NoError(t, errors.Join(dir.keep(55), dir.release()))
		return dir.path
	}
	first, second, tenth := kept(1), kept(2), kept(10)
	again, err := newSortDir(base, 55, 7, 1, log)
	require.NoError(t, err)
	require.NoDirExists(t, first)
	require.DirExists(t, second)
	require.DirExists(t, tenth)
	require.NoError(t, again.remove())
	sweepSortDirs(base, log, func(jobID int64, _ int, _ string) bool { return jobID == 7 })
	require.NoDirExists(t, second)
	require.NoDirExists(t, tenth)
}
