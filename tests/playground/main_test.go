package playground_test

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"github.com/pingcap/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

func TestMain(m *testing.M) {
	// The TiKV client of a test logs every connection to the standard output.
	log.ReplaceGlobals(zap.NewNop(), &log.ZapProperties{})
	os.Exit(playground.Main(m, playground.Options{Stores: 3}))
}

// execer is what pools, connections and transactions have in common.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// exec runs statements one after the other.
func exec(t *testing.T, db execer, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// rows returns a result as text, NULL as "NULL".
func rows(t *testing.T, db *sql.DB, query string) [][]string {
	t.Helper()
	r, err := sqlrows.Query(t.Context(), db, query)
	require.NoError(t, err, query)
	return r.Rows
}
