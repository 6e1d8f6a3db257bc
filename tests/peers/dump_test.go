package peers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestLightningRestoresWhatDumplingDumps, in each format.
func TestLightningRestoresWhatDumplingDumps(t *testing.T) {
	t.Parallel()
	dumpling, err := peers.BuildDumpling(t.Context())
	require.NoError(t, err)
	lightning, err := peers.BuildLightning(t.Context())
	require.NoError(t, err)
	c := playground.Shared(t)
	for _, format := range []struct{ fileType, compress string }{{"sql", ""}, {"csv", "gzip"}} {
		t.Run(format.fileType+format.compress, func(t *testing.T) {
			t.Parallel()
			schema, db := c.Database(t)
			for _, statement := range []string{
				"CREATE TABLE a (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), KEY (v))",
				"INSERT INTO a (v) VALUES ('x'), (NULL), ('it''s \\\\ \"q\", all')",
				"CREATE TABLE b (n INT)",
				"CREATE VIEW w AS SELECT v FROM a",
			} {
				_, err := db.ExecContext(t.Context(), statement)
				require.NoError(t, err, statement)
			}
			dir, before := t.TempDir(), contents(t, c, schema)
			_, err := peers.Dumpling{
				Bin: dumpling, Cluster: c, Databases: []string{schema}, Dir: dir, FileType: format.fileType, Compress: format.compress, WorkDir: t.TempDir(),
			}.Run(t.Context())
			require.NoError(t, err)
			_, err = db.ExecContext(t.Context(), "DROP DATABASE "+schema)
			require.NoError(t, err)

			_, err = peers.Lightning{Bin: lightning, Cluster: c, SourceDir: dir, Dump: true, WorkDir: t.TempDir(), Threads: 2}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, contents(t, c, schema))
		})
	}
}

// contents are what the tables and the view hold.
func contents(t *testing.T, c *playground.Cluster, schema string) (out []string) {
	t.Helper()
	db := c.DB(t)
	for _, query := range []string{
		"SELECT CONCAT_WS(',', id, v) FROM " + schema + ".a ORDER BY id", "SELECT COUNT(*) FROM " + schema + ".b", "SELECT COUNT(*) FROM " + schema + ".w WHERE v IS NOT NULL",
	} {
		rows, err := db.QueryContext(t.Context(), query)
		require.NoError(t, err)
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			out = append(out, text)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return out
}
