package ingest_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/tests/playground"
)

// countingLedger counts the changes to the cluster that are noted, and those that are forgotten.
type countingLedger struct{ noted, forgotten atomic.Int64 }

// Note implements cluster.Ledger.
func (l *countingLedger) Note(context.Context, cluster.Change) error {
	l.noted.Add(1)
	return nil
}

// Forget implements cluster.Ledger.
func (l *countingLedger) Forget(context.Context, cluster.Change) error {
	l.forgotten.Add(1)
	return nil
}

// TestFewPairsChangeNothingInTheCluster: below LeaseFrom no lease is taken, not for the checksum either, and from there on all four.
func TestFewPairsChangeNothingInTheCluster(t *testing.T) {
	t.Parallel()
	pg := playground.ForTest(t, playground.Options{Stores: 3})
	db := pg.DB(t)
	ledger := &countingLedger{}
	core, err := importcore.New(t.Context(), importcore.Config{
		Cluster: cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Ledger: ledger, Logger: zaptest.NewLogger(t)},
		SortDir: t.TempDir(), MemoryBudget: importcore.MinMemoryBudget, Logger: zaptest.NewLogger(t),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, core.Close()) })
	file := filepath.Join(t.TempDir(), "t.csv")
	require.NoError(t, os.WriteFile(file, []byte("1,a\n2,b\n3,c\n"), 0o600))
	bring := func(table string, leaseFrom int64) *importcore.Summary {
		exec(t, db, "CREATE TABLE test."+table+" (id BIGINT PRIMARY KEY, v VARCHAR(10), KEY (v))")
		plan, err := core.Plan(t.Context(), importcore.ImportTask{
			JobID: 1, DB: "test", Table: table, Location: file, LeaseFrom: leaseFrom, CSV: csv.Config{FieldsTerminatedBy: ","},
		})
		require.NoError(t, err)
		summary, err := core.Import(t.Context(), plan, nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, summary.Rows)
		require.Equal(t, summary.Local, summary.Remote)
		exec(t, db, "ADMIN CHECK TABLE test."+table)
		return summary
	}

	size := int64(bring("few", 1<<20).Local.Bytes)
	require.Zero(t, ledger.noted.Load())
	bring("below", size+1)
	require.Zero(t, ledger.noted.Load())
	bring("enough", size)
	require.EqualValues(t, 4, ledger.noted.Load(), "import mode, schedulers, partition range, safe point")
	require.EqualValues(t, 4, ledger.forgotten.Load())
	requireClean(t, pg)
}
