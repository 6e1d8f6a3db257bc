package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFewTables lets all programs restore a few tables: each is checked by the pairs and statistics that the cluster has in the end.
func TestFewTables(t *testing.T) {
	t.Parallel()
	o := options{cases: "many", manyTables: 3, manyRows: 1001, largeMiB: 1, runs: 1, stores: 1, sources: "dump,archive", dir: t.TempDir()}
	want := []string{"many dump sluice", "many dump tidb-lightning", "many archive sluice", "many archive br"}
	if os.Getenv("SLUICE_RESTORE") == "long" {
		o.cases, o.sources = "many,large", "dump,bare-dump,archive,bare-archive"
		want = nil
		for _, name := range []string{"many ", "large "} {
			want = append(want, name+"dump sluice", name+"dump tidb-lightning", name+"bare-dump sluice", name+"bare-dump tidb-lightning",
				name+"archive sluice", name+"archive br", name+"bare-archive sluice", name+"bare-archive br")
		}
	}
	o.json = filepath.Join(o.dir, "out.json")
	var printed bytes.Buffer
	require.NoError(t, run(t.Context(), o, &printed), &printed)
	text, err := os.ReadFile(o.json)
	require.NoError(t, err)
	var r report
	require.NoError(t, json.Unmarshal(text, &r))
	var have []string
	for _, m := range r.Measurements {
		have = append(have, m.Case+" "+m.Source+" "+m.Program)
		for what, took := range map[string]float64{"wall": m.Wall, "cpu": m.CPU, "cluster": m.ClusterCPU, "peak": float64(m.Peak), "per table": m.WallPerTable, "MB/s": m.Speed} {
			require.Positive(t, took, "%s of %+v", what, m)
		}
	}
	require.Equal(t, want, have)
	require.NotEmpty(t, r.Ratios)
	left, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "only the report stays")
}

// TestDump looks whether a dump has all its rows, in files and statements that end where they should, and is the same each time.
func TestDump(t *testing.T) {
	t.Parallel()
	texts := make([]string, 2)
	for i := range texts {
		dir := t.TempDir()
		size, err := writeDump(dir, 2, rowsPerInsert+1)
		require.NoError(t, err)
		for _, table := range []string{"t00000", "t00001"} {
			text, err := os.ReadFile(filepath.Join(dir, schema+"."+table+".000000000.sql"))
			require.NoError(t, err)
			require.Equal(t, 2, bytes.Count(text, []byte("INSERT INTO `"+table+"` VALUES\n(")))
			require.Equal(t, rowsPerInsert+1, bytes.Count(text, []byte(",'")))
			require.Equal(t, 2, bytes.Count(text, []byte(");\n")))
			require.InDelta(t, rowBytes, float64(len(text))/(rowsPerInsert+1), 5)
			texts[i] += string(text)
		}
		require.Equal(t, int64(len(texts[i])), size)
	}
	require.Equal(t, texts[0], texts[1])
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parseFlags([]string{"-tables", "5", "-large", "7"})
	require.NoError(t, err)
	require.Equal(t, []int{5, 7}, []int{o.manyTables, o.largeMiB})
	for _, bad := range [][]string{{"-tables", "0"}, {"-rows", "0"}, {"-large", "0"}, {"-runs", "0"}, {"more"}} {
		_, err := parseFlags(bad)
		require.Error(t, err, bad)
	}
	one := options{cases: "many", manyTables: 1, manyRows: 1, largeMiB: 1, runs: 1, stores: 1, sources: "tape", dir: t.TempDir()}
	require.ErrorContains(t, run(t.Context(), one, os.Stderr), "tape")
	one.cases, one.sources = "few", "dump"
	require.ErrorContains(t, run(t.Context(), one, os.Stderr), "few")
}
