package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFewTables lets all programs restore a few tables: each is checked by the pairs that the cluster has in the end.
func TestFewTables(t *testing.T) {
	t.Parallel()
	require.NoError(t, run(t.Context(), options{tables: 3, rows: 1001, runs: 1, stores: 1, sources: "dump,archive", dir: t.TempDir()}))
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := parseFlags([]string{"-tables", "5"})
	require.NoError(t, err)
	require.Equal(t, 5, o.tables)
	for _, bad := range [][]string{{"-tables", "0"}, {"-rows", "0"}, {"-runs", "0"}, {"more"}} {
		_, err := parseFlags(bad)
		require.Error(t, err, bad)
	}
	require.ErrorContains(t, run(t.Context(), options{tables: 1, rows: 1, runs: 1, stores: 1, sources: "tape", dir: t.TempDir()}), "tape")
}
