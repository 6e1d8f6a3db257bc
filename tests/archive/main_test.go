// Package archive_test reads and restores real archives of BR: TiDB's own BACKUP
// makes them on the playground, whose stores serve TiKV's backup and download.
package archive_test

import (
	"database/sql"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(mariadb.Main{M: m}, playground.Options{Stores: 3, RegionSplitSize: 64 << 10, RegionSplitKeys: 600}))
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

func connect(t *testing.T, pg *playground.Cluster) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Open(t.Context(), cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zaptest.NewLogger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// openArchive opens what brarchive has made.
func openArchive(t *testing.T, made brarchive.Archive) *archive.Archive {
	t.Helper()
	folder, err := source.OpenFolder(t.Context(), made.Location, source.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, folder.Close()) })
	cipher, err := archive.ParseCipher(made.Method, made.Key, "")
	require.NoError(t, err)
	a, err := archive.Open(t.Context(), folder, cipher)
	require.NoError(t, err)
	require.Equal(t, made.BackupTS, a.EndTS)
	return a
}

// kinds are the ways in which archives differ.
var kinds = map[string]brarchive.Options{
	"zstd": {}, "lz4": {Compression: "lz4", Checksum: true}, "snappy": {Compression: "snappy"},
	"aes128": {Method: "aes128-ctr", Checksum: true}, "aes256": {Method: "aes256-ctr", Compression: "lz4"},
}

// showCreate returns a table's definition.
func showCreate(t *testing.T, db *sql.DB, name string) (text string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SHOW CREATE TABLE "+name)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(sql.NullString)
	}
	require.True(t, rows.Next())
	require.NoError(t, rows.Scan(values...))
	return values[1].(*sql.NullString).String
}

func quoted(parts ...string) (out string) {
	for i, p := range parts {
		if i > 0 {
			out += "."
		}
		out += fmt.Sprintf("`%s`", p)
	}
	return out
}
