package crash_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/tests/playground"
)

func kindNamed(t *testing.T, s size, name string) (found kind) {
	t.Helper()
	for _, k := range kinds(s) {
		if k.name == name {
			return k
		}
	}
	require.FailNow(t, "no such kind")
	return found
}

// TestRoundsEndWhereTheyEnded: a round whose ingest has begun is encoded again up to where it ended, although the
// file is cut into other blocks by then, and without its sorted rows. It is
// interrupted at events spread over the job's life.
func TestRoundsEndWhereTheyEnded(t *testing.T) {
	t.Parallel()
	k := kindNamed(t, size{files: 1, rowsPerFile: 4000}, "disk quota, bad rows")
	threads := func(task importcore.ImportTask, n int) importcore.ImportTask {
		task.Threads = n // blocks have 32 KiB with 64, 128 KiB with 16
		return task
	}
	b := &engineBench{T: t, kind: k, pg: playground.Shared(t), location: k.source(t)}
	schema, db := b.pg.Database(t)
	b.schema = schema
	k.create(t, db, schema, "t")
	task := k.newTask(t, schema, "t", b.location)
	task.DiskQuota *= 2
	w := &world{}
	summary, _, err := w.live(t, openCore(t, b.pg, t.TempDir()), threads(task, 64), 0, nil)
	require.NoError(t, err)
	b.rows, b.records, b.summary, b.events = k.content(t, db, schema, "t"), w.told(), *summary, w.events
	require.Greater(t, summary.Rounds, int64(1))
	ingests := 0
	for at := 1 + b.events/40; at <= b.events; at += 1 + b.events/25 {
		what := fmt.Sprintf("dies at event %d of %d", at, b.events)
		k.create(t, db, schema, "t")
		w := &world{}
		_, _, err := w.live(t, openCore(t, b.pg, t.TempDir()), threads(task, 64), at, errDied)
		require.ErrorIs(t, err, errDied, what)
		saved := w.saved(t)
		if saved.Ingest == nil || saved.Ingest.End == nil {
			continue
		}
		ingests++
		summary, _, err := w.live(t, openCore(t, b.pg, t.TempDir()), threads(task, 16), 0, nil) // without its sort directory
		require.NoError(t, err, what)
		b.check(what, w, summary)
	}
	require.Greater(t, ingests, 2)
}

// TestDiskQuotaIsKept looks at the sort directory at every event of a job's life.
func TestDiskQuotaIsKept(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	k := kindNamed(t, size{files: 24, rowsPerFile: 200}, "disk quota")
	location := k.source(t)
	most := func(task importcore.ImportTask) (bytes int64) {
		k.create(t, db, schema, "t")
		dir := t.TempDir()
		w := &world{}
		w.watch = func() { bytes = max(bytes, diskUse(t, dir)) }
		_, _, err := w.live(t, openCore(t, pg, dir), task, 0, nil)
		require.NoError(t, err)
		require.Zero(t, diskUse(t, dir))
		return bytes
	}
	task := k.newTask(t, schema, "t", location)
	quota := task.DiskQuota
	for _, task.DiskQuota = range []int64{quota, quota / 2} {
		used := most(task)
		t.Logf("%d of %d bytes", used, task.DiskQuota)
		require.LessOrEqual(t, used, task.DiskQuota)
		require.Greater(t, used, task.DiskQuota/3)
	}
	task.DiskQuota = 0
	require.Greater(t, most(task), 2*quota)
}

// diskUse is the size of all files below a directory.
func diskUse(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && !strings.HasSuffix(path, "checkpoint") {
			bytes += info.Size()
		}
		return err
	})
	require.NoError(t, err)
	return bytes
}

// TestRowsThatCollideInRounds: rows of one round that share a key are named, rows of different rounds end the job
// at its end; whatever the checksum is asked to be. The table is empty again.
func TestRowsThatCollideInRounds(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	s := engineSize
	last := s.rows() - 1
	for name, c := range map[string]struct {
		table string
		at    int // the row that is like the last one
		want  string
	}{
		"other round":             {"(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT)", 5, "rows in different parts of the source share a key: the table holds 3199 pairs, the source has made 3200"},
		"other round, unique key": {"(id BIGINT, u VARCHAR(20), v TEXT, UNIQUE KEY (u))", 5, "the table holds 6399 pairs, the source has made 6400"},
		"other round, equal row":  {"(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT, KEY (u))", 5, "the table holds 6398 pairs, the source has made 6400"},
		"same round":              {"(id BIGINT PRIMARY KEY, u VARCHAR(20), v TEXT)", last - 3, "for key 't.PRIMARY': the source holds more than one row with it, the first two at file"},
	} {
		for _, checksum := range []importcore.ChecksumLevel{importcore.ChecksumRequired, importcore.ChecksumOptional, importcore.ChecksumOff} {
			t.Run(fmt.Sprint(name, ", checksum ", checksum), func(t *testing.T) {
				k := kindNamed(t, s, "disk quota")
				k.table = c.table
				k.rows = func(i int) string {
					if i == last {
						i = c.at
						if !strings.Contains(name, "equal") {
							return s.plainRow(i) + "x"
						}
					}
					return s.plainRow(i)
				}
				k.create(t, db, schema, "t")
				w, core := &world{}, openCore(t, pg, t.TempDir())
				task := k.newTask(t, schema, "t", k.source(t))
				task.Checksum, task.DiskQuota = checksum, task.DiskQuota/2
				_, _, err := w.live(t, core, task, 0, nil)
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, "was emptied again")
				require.EqualValues(t, 1062, fault.As(err).Code)
				require.Empty(t, k.content(t, db, schema, "t"))
				require.Empty(t, w.data)
				if name == "same round" {
					require.ErrorContains(t, err, fmt.Sprintf("line %d", s.rowsPerFile-3))
					require.ErrorContains(t, err, fmt.Sprintf("part07.csv, line %d", s.rowsPerFile))
				}
			})
		}
	}
}

// TestChecksumIsOffWhereNothingCanCollide: rounds of a table without a key that two rows could share need no checksum.
func TestChecksumIsOffWhereNothingCanCollide(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	k := kindNamed(t, engineSize, "disk quota, row ids")
	location := k.source(t)
	for table, known := range map[string]bool{"(id BIGINT, u VARCHAR(20), v TEXT, KEY (u))": false, "(id BIGINT, u VARCHAR(20), v TEXT, UNIQUE KEY (u))": true} {
		k.table = table
		k.create(t, db, schema, "t")
		task := k.newTask(t, schema, "t", location)
		task.Checksum = importcore.ChecksumOff
		summary, _, err := (&world{}).live(t, openCore(t, pg, t.TempDir()), task, 0, nil)
		require.NoError(t, err)
		require.Equal(t, known, summary.RemoteKnown)
		require.Greater(t, summary.Rounds, int64(1))
		require.Len(t, k.content(t, db, schema, "t"), engineSize.rows())
	}
}

// TestRoundsWithoutCheckpoints: a job that can't be interrupted makes rounds as well.
func TestRoundsWithoutCheckpoints(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	k := kindNamed(t, engineSize, "disk quota, drawn values")
	k.create(t, db, schema, "t")
	core, err := importcore.New(t.Context(), importcore.Config{
		Cluster: cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zap.NewNop()}, SortDir: t.TempDir(),
		MemoryBudget: importcore.MinMemoryBudget, Logger: zap.NewNop(),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, core.Close()) }()
	plan, err := core.Plan(t.Context(), k.newTask(t, schema, "t", k.source(t)))
	require.NoError(t, err)
	summary, err := core.Import(t.Context(), plan, nil)
	require.NoError(t, err)
	require.Greater(t, summary.Rounds, int64(1))
	require.EqualValues(t, engineSize.rows(), summary.Rows)
	require.Len(t, k.content(t, db, schema, "t"), engineSize.rows())
}
