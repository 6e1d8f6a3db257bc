package precheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
)

func always(name Name, f Finding) Check {
	return Check{Name: name, Run: func(context.Context) Finding { return f }}
}

func TestRunMakesAllChecks(t *testing.T) {
	t.Parallel()
	meet := make(chan struct{})
	findings, err := Run(t.Context(), []Check{
		always(SourceFile, Fail("no")),
		{Name: Schema, Run: func(context.Context) Finding { <-meet; return Pass("late") }},
		{Name: ClusterSpace, Run: func(context.Context) Finding { close(meet); return Warn("w") }},
		{Name: LargeFile, Run: func(context.Context) Finding { panic("boom") }},
		{Name: LocalDisk, Run: func(context.Context) Finding { panic("not to be called") }},
	}, []Name{LocalDisk})
	require.NoError(t, err)
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%s %s %s", f.Check, f.Status(), f.Message))
	}
	require.Equal(t, []string{
		"source_file critical no", "schema passed late", "cluster_space warning w",
		"large_file warning could not be checked: " + findings[3].Message[len("could not be checked: "):],
		"local_disk skipped skipped by skip_prechecks or disable_precheck",
	}, got)
	require.Contains(t, findings[3].Message, "boom")
	require.Equal(t, []Finding{findings[2], findings[3]}, Warnings(findings))
}

// TestRunIsNotHeldUp: a check that gets no answer is a warning, one that an import
// can't do without is waited for, and a caller who leaves gets his reason back.
func TestRunIsNotHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := func(ctx context.Context) Finding {
			<-ctx.Done()
			return Unknown(ctx.Err())
		}
		needed := make(chan struct{})
		go func() {
			synctest.Wait()
			close(needed)
		}()
		findings, err := Run(t.Context(), []Check{{Name: EmptyRegions, Run: wait}, {Name: Schema, Run: func(ctx context.Context) Finding {
			_, limited := ctx.Deadline()
			<-needed
			return Pass("limited: %v", limited)
		}}}, nil)
		require.NoError(t, err)
		require.Equal(t, "could not be checked: no answer within 20s", findings[0].Message)
		require.Equal(t, "limited: false", findings[1].Message)

		left := errors.New("left")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(left)
		_, err = Run(ctx, []Check{{Name: Schema, Run: wait}}, nil)
		require.ErrorIs(t, err, left)
	})
}

func TestFailure(t *testing.T) {
	t.Parallel()
	named := func(name Name, f Finding) Finding { f.Check = name; return f }
	missing := fault.New(fault.Source, 8160, "Failed to read source files.")
	filled := fault.New(fault.User, 8173, "PreCheck failed: target table is not empty")
	disk, space := named(LocalDisk, Fail("too small")), named(ClusterSpace, Fail("full"))
	for name, c := range map[string]struct {
		findings []Finding
		code     uint16
		text     string
	}{
		"none":           {[]Finding{Pass(""), Warn("w"), {Severity: Critical, Skipped: true}}, 0, ""},
		"one of its own": {[]Finding{named(SourceFile, FailWith(missing))}, 8160, "Failed to read source files."},
		"one":            {[]Finding{Warn("w"), disk}, 8173, "PreCheck failed: local_disk: too small (skip_prechecks = 'local_disk' imports all the same)"},
		"all of them": {[]Finding{space, disk, named(ActiveJob, Fail("busy"))}, 8173,
			"PreCheck failed: cluster_space: full; local_disk: too small; active_job: busy (skip_prechecks = 'cluster_space,local_disk' imports all the same)"},
		"the first of its own counts": {[]Finding{disk, named(SourceFile, FailWith(missing)), named(TargetEmpty, FailWith(filled))}, 8160,
			"Failed to read source files.; also failed: local_disk: too small; target_empty: target table is not empty (skip_prechecks = 'local_disk' imports all the same)"},
	} {
		err := Failure(c.findings)
		if c.text == "" {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, c.text, name)
		require.Equal(t, c.code, fault.As(err).Code, name)
		require.Equal(t, c.text, fault.As(err).Error(), name)
	}
	require.ErrorIs(t, Failure([]Finding{disk, FailWith(missing)}), missing)
}

func store(id uint64, free, regions int64) cluster.StoreUsage {
	return cluster.StoreUsage{ID: id, Up: true, Capacity: 1 << 50, Available: free, Regions: regions}
}

func requireFinding(t *testing.T, f Finding, status, message string, what ...any) {
	t.Helper()
	require.Equal(t, status, f.Status(), append(what, f.Message)...)
	require.Contains(t, f.Message, message, what...)
}

func TestSpace(t *testing.T) {
	t.Parallel()
	flash := store(9, 1<<30, 0)
	flash.TiFlash = true
	down := store(8, 1<<50, 0)
	down.Up = false
	stores := []cluster.StoreUsage{store(1, 4<<30, 0), store(2, 4<<30, 0), flash, down}
	for i, c := range []struct {
		need            SpaceNeed
		status, message string
	}{
		{SpaceNeed{Pairs: 4 << 30, Rows: 4 << 30, Replicas: 2}, "passed", "TiKV gets about 8GiB (2 replicas, before compression) and has 8GiB free"},
		{SpaceNeed{Pairs: 4<<30 + 1, Replicas: 2}, "warning", "has 8GiB free"},
		{SpaceNeed{Pairs: 32 << 30, Replicas: 1}, "warning", "about 32GiB"},
		{SpaceNeed{Pairs: 32<<30 + 4, Replicas: 1}, "critical", "about 32GiB"},
		{SpaceNeed{Pairs: 2 << 30, Rows: 1 << 30, Replicas: 3, TiFlashReplicas: 1}, "passed", "TiFlash gets about 1GiB (1 replica, before compression) and has 1GiB free"},
		{SpaceNeed{Pairs: 2 << 30, Rows: 2 << 30, Replicas: 3, TiFlashReplicas: 1}, "warning", "TiFlash gets about 2GiB"},
		{SpaceNeed{Pairs: 64 << 30, Rows: 2 << 30, Replicas: 1, TiFlashReplicas: 1}, "critical", "TiKV gets about 64GiB"},
		{SpaceNeed{Pairs: 2 << 30, Rows: 9 << 30, Replicas: 1, TiFlashReplicas: 1}, "critical", "TiFlash gets about 9GiB"},
	} {
		requireFinding(t, Space(c.need, stores), c.status, c.message, i)
	}
}

func TestEmptyRegions(t *testing.T) {
	t.Parallel()
	flash := store(3, 0, 0)
	flash.TiFlash = true
	stores := []cluster.StoreUsage{store(1, 0, 0), store(2, 0, 0), flash}
	requireFinding(t, Empty(map[uint64]int{1: 500, 2: 3, 3: 9999, 4: 9999}, stores), "passed", "no store has more than 500 empty regions")
	requireFinding(t, Empty(map[uint64]int{1: 501}, stores), "warning", "slows an import down: store 1 has 501")
	requireFinding(t, Empty(map[uint64]int{1: 1001, 2: 700}, stores), "warning", "very much and may make it fail: store 1 has 1001, store 2 has 700")
	requireFinding(t, Empty(map[uint64]int{1: 5000}, stores[:1]), "passed", "5000")
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	flash := store(3, 0, 1)
	flash.TiFlash = true
	for _, c := range []struct {
		least, most     int64
		status, message string
	}{
		{0, 1000, "passed", "no store has more than 1000 regions"},
		{900, 1200, "passed", "0.75"},
		{800, 1200, "warning", "0.75 or more is expected: the stores will not"},
		{600, 1200, "warning", "0.75 or more"},
		{599, 1200, "warning", "store 2 has 599 regions and store 1 has 1200, a ratio of 0.50 where 0.50 or more is expected: PD is probably"},
	} {
		requireFinding(t, Distribution([]cluster.StoreUsage{store(1, 0, c.most), store(2, 0, c.least), flash}), c.status, c.message, c.least)
	}
	requireFinding(t, Distribution([]cluster.StoreUsage{store(1, 0, 5000), flash}), "passed", "one TiKV store")
}

func TestFollowers(t *testing.T) {
	t.Parallel()
	requireFinding(t, LogBackups(cluster.Followers{Changefeeds: "x"}), "passed", "")
	requireFinding(t, Changefeeds(cluster.Followers{LogBackups: []string{"x"}}), "passed", "")
	// TiDB's texts.
	f := LogBackups(cluster.Followers{LogBackups: []string{"a", "b"}})
	require.Equal(t, "PreCheck failed: found PiTR log streaming task(s): [a b],", f.Message)
	require.EqualValues(t, 8173, fault.As(f.Err).Code)
	f = Changefeeds(cluster.Followers{Changefeeds: "found CDC changefeed(s): cluster/namespace: default/default changefeed(s): [f], "})
	require.Equal(t, "PreCheck failed: found CDC changefeed(s): cluster/namespace: default/default changefeed(s): [f], ", f.Message)
	require.EqualValues(t, 8173, fault.As(f.Err).Code)
}

func TestDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	free := func(n int64) func(string) (int64, error) { return func(string) (int64, error) { return n, nil } }
	requireFinding(t, Disk(dir, 0, nil), "passed", "fit into memory")
	requireFinding(t, Disk(dir, 1<<30, free(1<<30)), "passed", "sorting needs about 1GiB in "+dir+", whose disk has 1GiB free")
	requireFinding(t, Disk(dir, 1<<30, free(1<<30-1)), "critical", "sorting needs about 1GiB")
	requireFinding(t, Disk(dir, 1, func(string) (int64, error) { return 0, errors.New("gone") }), "warning", "could not be checked: gone")

	requireFinding(t, Disk(dir, 1, FreeBytes), "passed", "1B")
	requireFinding(t, Disk(dir, 1<<62, FreeBytes), "critical", "4EiB")
	require.NoDirExists(t, filepath.Dir(dir))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	requireFinding(t, Disk(filepath.Join(file, "dir"), 1, FreeBytes), "warning", "not a directory")
}

func TestSortDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	requireFinding(t, SortDir(dir), "passed", dir+" can be written to")
	requireFinding(t, SortDir(filepath.Join(dir, "a", "b")), "passed", "will be made")
	require.NoDirExists(t, filepath.Join(dir, "a"))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	requireFinding(t, SortDir(file), "critical", "is not a directory")
	requireFinding(t, SortDir(filepath.Join(file, "dir")), "critical", "not a directory")
	closed := filepath.Join(dir, "closed")
	require.NoError(t, os.Mkdir(closed, 0o500))
	if os.Geteuid() == 0 { // to whom nothing is closed
		requireFinding(t, SortDir(closed), "passed", closed)
	} else {
		requireFinding(t, SortDir(closed), "critical", "can't be written to: access "+closed+": permission denied")
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing was made")
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	requireFinding(t, Placement(dir, dir, 0), "passed", "fit into memory")
	requireFinding(t, Placement(dir, filepath.Join(dir, "sort"), 1), "warning", "on the same disk")
	requireFinding(t, Placement("/proc", dir, 1), "passed", "different disks")
	requireFinding(t, Placement(filepath.Join(dir, "none"), dir, 1), "warning", "could not be checked")
}

func TestRows(t *testing.T) {
	t.Parallel()
	bad := errors.New("bad")
	requireFinding(t, Rows(Sample{Files: 2, Rows: 10}, 0), "passed", "10 rows of 2 files can be imported")
	requireFinding(t, Rows(Sample{Files: 1, Rows: 10, Bad: 1, FirstBad: bad}, 0), "critical", "1 of 10 rows of 1 file can't be imported, the first of them: bad")
	requireFinding(t, Rows(Sample{Files: 1, Rows: 10, Bad: 3, FirstBad: bad}, 3), "warning", "3 of 10 rows of 1 file will be left out (max_errors = 3)")
	requireFinding(t, Rows(Sample{Files: 1, Rows: 10, Bad: 4, FirstBad: bad}, 3), "critical", "4 of 10")
	requireFinding(t, Rows(Sample{Files: 1, Rows: 10, Bad: 1, FirstBad: bad, Broken: true}, 3), "critical", "1 of 10")
}

func TestVersionAndNames(t *testing.T) {
	t.Parallel()
	requireFinding(t, Version(nil), "passed", "")
	requireFinding(t, Version(errors.New("store 1 is version 5.0.0")), "critical", "store 1 is version 5.0.0")
	seen := map[Name]bool{}
	for _, n := range all {
		require.False(t, seen[n], n)
		seen[n] = true
	}
	require.True(t, EmptyRegions.OfSurroundings())
	require.False(t, ClusterSpace.OfSurroundings())
	require.NotContains(t, Skippable(), TargetEmpty)
	require.Contains(t, Skippable(), LocalDisk)
	require.Len(t, Skippable(), len(all)-len(needed))
}
