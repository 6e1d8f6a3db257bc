package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	tail := " S 7 9 9 0 -1 4194304 100 0 0 0 250 50 3000 4000 20 0 8 0 1 2 3"
	for _, name := range []string{"sluice", "a b", ") S 1 (", "((", "x)) R 5"} {
		stat, err := parseStat([]byte("42 (" + name + ")" + tail))
		require.NoError(t, err, name)
		require.Equal(t, procStat{parent: 7, cpu: 3 * time.Second}, stat, name)
	}
	for _, bad := range []string{"", "42 sluice S 7", "42 (sluice) S 7 9", "42 (s) S x 9 9 0 -1 4 1 0 0 0 250 50", "42 (s) S 7 9 9 0 -1 4 1 0 0 0 x 50"} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestParseNamed(t *testing.T) {
	t.Parallel()
	text := []byte("rchar: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 7\nVmHWM:\t  123 kB\nempty:\n")
	for name, want := range map[string]int64{"rchar": 5, "write_bytes": 4096, "VmHWM": 123} {
		got, err := parseNamed(text, name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, bad := range []string{"none", "bytes", "empty"} {
		_, err := parseNamed(text, bad)
		require.Error(t, err, bad)
	}
}

// A child that has worked and waits for its input shows what the kernel tells.
func TestReadsAProcess(t *testing.T) {
	t.Parallel()
	before, err := children()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read line")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 8))
	require.NoError(t, err)
	pid := cmd.Process.Pid
	after, err := children()
	require.NoError(t, err)
	require.False(t, before[pid])
	require.True(t, after[pid])
	cpu, err := cpuTime(pid)
	require.NoError(t, err)
	require.Positive(t, cpu)
	peak, err := peakMemory(pid)
	require.NoError(t, err)
	require.Greater(t, peak, int64(100<<10))
	require.NoError(t, stdin.Close())
	_ = cmd.Wait() // read fails at the end of its input
	_, err = cpuTime(pid)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParseSluiceLog(t *testing.T) {
	t.Parallel()
	const log = "2026-01-02T03:04:05.100Z\tINFO\timport step\t{\"job\": 1, \"step\": \"encode\"}\n" +
		"2026-01-02T03:04:05.200Z\tINFO\tsort run written\t{\"job\": 1, \"file\": \"a\", \"bytes\": 1000, \"memory-bytes\": 7}\n" +
		"2026-01-02T03:04:05.300Z\tINFO\tsort run written\t{\"job\": 1, \"file\": \"b\", \"bytes\": 234, \"memory-bytes\": 7}\n" +
		"2026-01-02T05:04:06.350+0200\tINFO\timport step\t{\"job\": 1, \"step\": \"ingest\"}\n" +
		"something else\n"
	steps, err := parseSluiceLog(log)
	require.NoError(t, err)
	require.Equal(t, sluiceSteps{encode: 1250 * time.Millisecond, runs: 1234}, steps)
	for _, bad := range []string{
		"", "2026-01-02T03:04:05.100Z\tINFO\timport step\t{\"step\": \"encode\"}\n",
		"yesterday\tINFO\timport step\t{\"step\": \"encode\"}\n", "2026-01-02T03:04:05.100Z\tINFO\timport step\t{\n",
	} {
		_, err := parseSluiceLog(bad)
		require.Error(t, err, bad)
	}
}

func TestParseLightningLog(t *testing.T) {
	t.Parallel()
	const encoded = `[2026/01/02 03:04:05.100 +00:00] [INFO] [a.go:1] ["encode kv data and write completed"] [engineNumber=0] [takeTime=1.5s] []` + "\n"
	const closed = `[2026/01/02 03:04:06.100 +00:00] [INFO] [b.go:1] ["engine close completed"] [engineTag=t:-1] [takeTime=250ms] []` + "\n"
	const other = `[2026/01/02 03:04:06.100 +00:00] [INFO] [b.go:1] ["import completed"] [takeTime=9s] []` + "\n"
	alone, err := parseLightningLog(encoded + closed + other + closed)
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, alone)
	for _, bad := range []string{"", closed, encoded + encoded, `["engine close completed"]`, `["engine close completed"] [takeTime=long]`} {
		_, err := parseLightningLog(bad)
		require.Error(t, err, bad)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 3}
	require.EqualValues(t, 3, median(values))
	require.Equal(t, []float64{5, 1, 3}, values)
	require.EqualValues(t, 2.5, median([]float64{4, 1, 3, 2}))
	require.EqualValues(t, 7, median([]float64{7}))
	require.Zero(t, median(nil))
}

func TestSummarizeTakesEachMedianByItself(t *testing.T) {
	t.Parallel()
	s := summarize([]measurement{
		{Case: "a", Program: "p", Run: 1, CPU: 1, Wall: 9, Peak: 5, SourceBytes: 1 << 30},
		{Case: "a", Program: "p", Run: 2, CPU: 2, Wall: 7, Peak: 4, SourceBytes: 1 << 30},
		{Case: "a", Program: "p", Run: 3, CPU: 30, Wall: 8, Peak: 60, SourceBytes: 1 << 30},
		{Case: "a", Program: "q", Run: 1, CPU: 4},
	})
	require.Len(t, s, 2)
	m := s[key{"a", "p"}]
	require.Equal(t, 3, m.Run)
	require.EqualValues(t, 2, m.CPU)
	require.EqualValues(t, 8, m.Wall)
	require.EqualValues(t, 5, m.Peak)
	require.EqualValues(t, 2, m.cpuPerGiB())
}

func TestPick(t *testing.T) {
	t.Parallel()
	cases, err := pickCases("wide,demo")
	require.NoError(t, err)
	require.Equal(t, []string{"wide", "demo"}, []string{cases[0].Name, cases[1].Name})
	all, err := pickCases("")
	require.NoError(t, err)
	require.Len(t, all, len(dataset.Tables()))
	_, err = pickCases("wide,unknown")
	require.ErrorContains(t, err, "unknown")
	programs, err := pickPrograms("lightning")
	require.NoError(t, err)
	require.Len(t, programs, 1)
	_, err = pickPrograms("lightning,")
	require.Error(t, err)
}

func TestInputIsAlone(t *testing.T) {
	t.Parallel()
	cases, err := pickCases("narrow")
	require.NoError(t, err)
	in, err := writeInput(t.TempDir(), cases[0], 0.0001)
	require.NoError(t, err)
	require.Equal(t, 530, in.rows)
	require.Equal(t, "bench.t.csv", filepath.Base(in.path))
	entries, err := os.ReadDir(filepath.Dir(in.path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := os.Stat(in.path)
	require.NoError(t, err)
	require.Equal(t, info.Size(), in.bytes)
	require.NoError(t, in.remove())
	require.NoFileExists(t, in.path)
}

func TestChecksRefuseWhatDiffers(t *testing.T) {
	t.Parallel()
	c := checks{}
	in := input{table: dataset.Table{Name: "demo"}, rows: 10}
	right := contents{tableID: 5, rows: 10, crc64: 1, pairs: 30, bytes: 99}
	require.NoError(t, c.compare(in, right))
	require.NoError(t, c.compare(in, right))
	for _, change := range []func(*contents){
		func(c *contents) { c.rows = 9 }, func(c *contents) { c.crc64++ }, func(c *contents) { c.pairs++ },
		func(c *contents) { c.bytes++ }, func(c *contents) { c.tableID++ },
	} {
		wrong := right
		change(&wrong)
		require.Error(t, c.compare(in, wrong))
	}
	require.NoError(t, c.compare(input{table: in.table, rows: 11}, contents{rows: 11}))
}

// A sample belongs to the innermost frame that a stage names.
func TestStageOf(t *testing.T) {
	t.Parallel()
	sample := func(frames ...string) *profile.Sample {
		s := &profile.Sample{}
		for _, f := range frames {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
		}
		return s
	}
	const add = "github.com/sluicedb/sluice/importcore/sortkv.(*Sorter).Add"
	for want, s := range map[string]*profile.Sample{
		"sort":              sample("runtime.memmove", "github.com/sluicedb/sluice/importcore/sortkv.newChunk", add),
		"checksum":          sample("github.com/sluicedb/sluice/importcore/kv.(*Checksum).AddArena", add),
		"fields":            sample("github.com/sluicedb/sluice/importcore/format/csv.(*reader).walk", "github.com/sluicedb/sluice/importcore.(*worker).encodeBlock"),
		"spill":             sample("runtime.memmove", "github.com/sluicedb/sluice/importcore/sortkv.(*runWriter).add", "github.com/sluicedb/sluice/importcore/sortkv.(*Sorter).spill", add),
		"find duplicates":   sample("github.com/sluicedb/sluice/importcore/sortkv.(*Iterator).advance", "github.com/sluicedb/sluice/importcore/sortkv.(*Sorted).mergeKeys"),
		"garbage collector": sample("runtime.scanobject", "runtime.gcBgMarkWorker"),
		otherStage:          sample("runtime.futex", "runtime.mcall"),
	} {
		require.Equal(t, want, stageOf(stages(), s))
	}
}

func TestLimitsAreMeasured(t *testing.T) {
	t.Parallel()
	l, err := measureLimits(t.Context(), t.TempDir())
	require.NoError(t, err)
	for _, rate := range []float64{l.copyRate, l.crcRate, l.readRate, l.writeRate, l.sendRate} {
		require.Greater(t, rate, 1e6)
	}
	require.Equal(t, time.Second, limits{copyRate: 100}.copy(100))
}
