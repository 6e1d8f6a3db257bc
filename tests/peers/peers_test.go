package peers_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

func TestMain(m *testing.M) {
	os.Exit(playground.Main(m, playground.Options{Stores: 3}))
}

// demoRows is 20,000 to keep the tests quick. The demo file has a million, which
// the environment variable asks for.
var demoRows = rowsFromEnv("SLUICE_PEERS_ROWS", 20_000)

func rowsFromEnv(name string, rows int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return rows
}

func TestLightningImportsTheDemoTable(t *testing.T) {
	t.Parallel()
	bin, err := peers.BuildLightning(t.Context())
	require.NoError(t, err)
	c := playground.Shared(t)
	schema, db := c.Database(t)
	source, sums := writeDemo(t, schema+".orders.csv")
	createDemo(t, db)

	usage, err := peers.Lightning{
		Bin: bin, Cluster: c, SourceDir: filepath.Dir(source), WorkDir: t.TempDir(), Threads: 2,
	}.Run(t.Context())
	require.NoError(t, err)
	t.Logf("%d rows: wall %s, CPU %s, %d MiB", demoRows, usage.Wall, usage.CPU, usage.MaxRSS>>20)
	checkDemo(t, db, sums)
	checkLeftBehind(t, c)
}

func TestImportIntoImportsTheDemoTable(t *testing.T) {
	t.Parallel()
	c := playground.Shared(t)
	_, db := c.Database(t)
	source, sums := writeDemo(t, "orders.csv")
	createDemo(t, db)

	rows, err := peers.ImportInto(t.Context(), db, "orders", source, 2)
	require.NoError(t, err)
	require.EqualValues(t, demoRows, rows)
	checkDemo(t, db, sums)
	checkLeftBehind(t, c)
}

// Two rows with one code leave fewer index entries in the cluster than the file
// has: the proof that the checksum looks at the data.
func TestLightningNoticesADoubledCode(t *testing.T) {
	t.Parallel()
	bin, err := peers.BuildLightning(t.Context())
	require.NoError(t, err)
	c := playground.Shared(t)
	schema, db := c.Database(t)
	source, _ := writeDemo(t, schema+".orders.csv")
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	first, _, _ := bytes.Cut(text, []byte("\n"))
	_, tail, _ := bytes.Cut(first, []byte(","))
	text = fmt.Appendf(text, "%d,%s\n", demoRows+1, tail)
	require.NoError(t, os.WriteFile(source, text, 0o600))
	createDemo(t, db)

	_, err = peers.Lightning{
		Bin: bin, Cluster: c, SourceDir: filepath.Dir(source), WorkDir: t.TempDir(), Threads: 2,
	}.Run(t.Context())
	require.ErrorContains(t, err, "checksum mismatched")
}

// writeDemo writes the file into a directory of its own and returns its path.
func writeDemo(t *testing.T, name string) (path string, sums dataset.Sums) {
	t.Helper()
	var text bytes.Buffer
	sums, err := dataset.WriteDemoCSV(&text, demoRows, 1)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
	return path, sums
}

// createDemo makes the table in several regions: both peers leave a table of this
// size in the regions they find.
func createDemo(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, statement := range []string{
		dataset.DemoSchema("orders"),
		fmt.Sprintf("SPLIT TABLE orders BETWEEN (0) AND (%d) REGIONS 4", demoRows),
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// checkDemo holds the table against the file and its indexes against its rows.
func checkDemo(t *testing.T, db *sql.DB, want dataset.Sums) {
	t.Helper()
	got, err := dataset.QuerySums(t.Context(), db, "orders")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = db.ExecContext(t.Context(), "ADMIN CHECK TABLE orders")
	require.NoError(t, err)
	var schema, table string
	var crc, kvs, size uint64
	err = db.QueryRowContext(t.Context(), "ADMIN CHECKSUM TABLE orders").Scan(&schema, &table, &crc, &kvs, &size)
	require.NoError(t, err)
	require.NotZero(t, crc)
	require.NotZero(t, size)
	require.EqualValues(t, 3*want.Rows, kvs, "a row, a unique and an index entry each")
}

// checkLeftBehind checks that a tool did nothing that would harm a TiKV.
func checkLeftBehind(t *testing.T, c *playground.Cluster) {
	t.Helper()
	state, err := c.State(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.Violations)
}
