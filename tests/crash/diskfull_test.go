package crash_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/tests/playground"
)

// disk is a file system of its own, as large as it is told to be.
type disk struct {
	*testing.T
	dir     string
	unmount func()
}

// newDisk mounts one. Where that is not allowed the test is skipped: importcore/sortkv plays a full disk everywhere.
func newDisk(t *testing.T, dir string, size int) *disk {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("mounting a file system needs privileges")
	}
	require.NoError(t, err)
	d := &disk{T: t, dir: dir, unmount: sync.OnceFunc(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })}
	t.Cleanup(d.unmount)
	return d
}

// resize makes it larger or smaller.
func (d *disk) resize(size int) {
	require.NoError(d.T, unix.Mount("tmpfs", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", size)))
}

// TestFullDisksLoseNoWork: the disk of the sort directory is full at all moments of jobs. They
// end in a way that they can go on from when there is room again, from what they have done.
func TestFullDisksLoseNoWork(t *testing.T) {
	t.Parallel()
	forFullKinds(t, []string{"plain", "capture", "bad rows", "filled, replace", "disk quota"}, func(b *engineBench, dir string) opener {
		d := newDisk(b.T, dir, 16<<10)
		return func(room int, task *importcore.ImportTask) *importcore.Core {
			if b.rounds { // with several checkpoints in each
				task.DiskQuota = int64(b.size.rows()) * 150
			}
			d.resize(room)
			return openCore(b.T, b.pg, d.dir)
		}
	})
}

// TestQuotasLoseNoWork: so it is with a disk quota, for jobs that are not imported in rounds, or need more for one.
func TestQuotasLoseNoWork(t *testing.T) {
	t.Parallel()
	forFullKinds(t, []string{"capture", "filled, replace", "drawn values"}, func(b *engineBench, dir string) opener {
		return func(room int, task *importcore.ImportTask) *importcore.Core {
			task.DiskQuota = int64(room)
			return openCore(b.T, b.pg, dir)
		}
	})
}

// opener opens a core for a task that has so much room.
type opener func(room int, task *importcore.ImportTask) *importcore.Core

// forFullKinds goes through kinds of jobs with more and more room. begin makes, in a directory, what opens a core that has so much.
func forFullKinds(t *testing.T, names []string, begin func(b *engineBench, dir string) opener) {
	t.Helper()
	for _, name := range names {
		k := kindNamed(t, engineSize, name)
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			b, dir := newEngineBench(t, k), filepath.Join(t.TempDir(), "sort")
			open := begin(b, dir)
			full, kept := 0, 0
			for room := 16 << 10; ; room *= 2 {
				before, ended := b.fillDisk(open, dir, room)
				left, err := filepath.Glob(filepath.Join(dir, "job-*"))
				require.NoError(t, err)
				require.Empty(t, left, "with %d bytes", room)
				if ended {
					break
				}
				full++
				if before > 0 {
					kept++
				}
			}
			require.Greater(t, full, 2)
			if name != "drawn values" { // whose rounds need as much at their beginning as at their end
				require.Positive(t, kept, "jobs that had a checkpoint")
			}
		})
	}
}

// fillDisk runs a job that has so much room, and more when that is used up. It returns what of the source the job had encoded for good
// then, and whether it ended without.
func (b *engineBench) fillDisk(open opener, dir string, room int) (before int64, ended bool) {
	t, what := b.T, fmt.Sprintf("with %d bytes", room)
	b.create(t, b.pg.DB(t), b.schema, "t")
	task := b.newTask(t, b.schema, "t", b.location)
	w, core := &world{}, open(room, &task)
	summary, _, err := w.live(t, core, task, 0, nil)
	if err == nil {
		b.check(what, w, summary)
		return 0, true
	}
	require.ErrorIs(t, err, importcore.ErrDiskFull, what)
	before = w.saved(t).Encoded.SourceBytes
	sorted, err := filepath.Glob(filepath.Join(dir, "job-*", "sort-*"))
	require.NoError(t, err)
	for _, path := range sorted {
		require.Equal(t, w.saved(t).Encoded.Runs.Dir, filepath.Base(path), "%s: what the checkpoint doesn't need has gone", what)
	}
	if summary, _, err = w.live(t, core, task, 0, nil); err != nil { // nobody has made room
		require.ErrorIs(t, err, importcore.ErrDiskFull, what)
		require.GreaterOrEqual(t, w.saved(t).Encoded.SourceBytes, before, what)
		summary, _, err = w.live(t, open(64<<20, &task), task, 0, nil)
	}
	require.NoError(t, err, what)
	b.check(what, w, summary)
	return before, false
}

// TestFullDiskPausesTheJob: Sluice says what to do, holds nothing meanwhile, and ends the job right when there is room.
func TestFullDiskPausesTheJob(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"plain", "filled, replace"} {
		t.Run(name, func(t *testing.T) {
			b := newProcessBench(t, playground.ForTest(t, processCluster), processKindNamed(t, name), uint64(200+i))
			c := &killCase{processBench: b, T: t, saved: []int64{0}}
			c.prepare(t, b.db, b.schema)
			held := c.steering()
			c.victim = b.startNode(t)
			c.successor = c.victim
			defer c.victim.close(t)
			d := newDisk(t, c.victim.SortDir(), 1<<20)
			defer d.unmount() // before Sluice's directory goes
			client, err := c.victim.Open("root", "", "")
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Close()) }()
			_, err = client.ExecContext(t.Context(), c.statement(c.schema, c.location, false))
			c.job = c.newestJob(t)
			require.ErrorContains(t, err, fmt.Sprintf("RESUME IMPORT JOB %d goes on with it when there is room", c.job))
			require.ErrorContains(t, err, c.victim.SortDir())
			require.Equal(t, "paused", c.status(c.job))
			c.nothingMoreHeld(held)
			c.follow(c.victim)
			d.resize(256 << 20)
			_, err = client.ExecContext(t.Context(), fmt.Sprintf("RESUME IMPORT JOB %d", c.job))
			require.NoError(t, err)
			c.waitForEnd(nil)
			require.Equal(t, c.want, c.outcome(t, c.job))
			c.nothingMoreHeld(held)
			c.follow(c.victim)
		})
	}
}
