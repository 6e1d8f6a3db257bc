package restores_test

import (
	"strconv"
	"testing"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
)

// TestCompact: every store compacts what was restored, each partition of it, and nothing else.
func TestCompact(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3;\n")
	b.file("$_a.t.csv", "a\n1\n2\n3\n")
	b.file("$_a.empty-schema.sql", "CREATE TABLE empty (a INT PRIMARY KEY);\n")
	b.drop(b.own("$_a"))
	compacted := func() (of [][][2][]byte) {
		state, err := playground.Shared(t).State(t.Context())
		require.NoError(t, err)
		for _, s := range state.Stores {
			of = append(of, s.Compacted)
		}
		return of
	}
	require.Equal(t, [][][2][]byte{nil, nil, nil}, compacted(), "of all tests of the package this one compacts")

	task := b.task()
	task.Options.Compact = true
	for _, text := range b.restore(task).Warnings {
		require.NotContains(t, text, "compact")
	}
	first, err := strconv.ParseInt(b.rows("SELECT TIDB_TABLE_ID FROM information_schema.TABLES WHERE TABLE_SCHEMA = '$_a' AND TABLE_NAME = 't'")[0], 10, 64)
	require.NoError(t, err)
	want := [2][]byte{tablecodec.EncodeTablePrefix(first), tablecodec.EncodeTablePrefix(first + 4)} // the partitions' ids follow
	for _, ranges := range compacted() {
		require.Equal(t, [][2][]byte{want}, ranges)
	}

	task.Options.BySQL = true
	b.fails(task, "COMPACT = TRUE can't be used where rows go in by SQL")
}
