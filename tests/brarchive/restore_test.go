package brarchive

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/sqlrows"
	"github.com/stretchr/testify/require"
)

// state is what a database must have again after a restore. TiDB gives the tables
// new ids, which are in the keys, so their CRCs differ; RESTORE compares these itself.
type state map[string]string

// nextID is how SHOW CREATE TABLE writes the next id, which a restore may raise.
var nextID = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// stateOf reads the state of all tables of Shapes.
func stateOf(t *testing.T, db *sql.DB, database string) state {
	t.Helper()
	out := make(state)
	for _, s := range shapes {
		table := fmt.Sprintf("`%s`.`%s`", database, s.name)
		sums := strings.Split(query(t, db, "ADMIN CHECKSUM TABLE "+table), "|")
		out["pairs and bytes of "+s.name] = strings.Join(sums[len(sums)-2:], " ")
		rows := strings.Split(query(t, db, "SELECT * FROM "+table), "\n")
		slices.Sort(rows)
		out["rows of "+s.name] = strings.Join(rows, "\n")
		out["schema of "+s.name] = nextID.ReplaceAllString(query(t, db, "SHOW CREATE TABLE "+table), "")
		exec(t, db, "ADMIN CHECK TABLE "+table)
	}
	out["view"] = query(t, db, "SELECT COUNT(*), SUM(id) FROM `"+database+"`.over_rows")
	return out
}

func exec(t *testing.T, db *sql.DB, q string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), q)
	require.NoError(t, err, q)
}

// query returns all cells of a result, a line for each row.
func query(t *testing.T, db *sql.DB, q string) string {
	t.Helper()
	r, err := sqlrows.Query(t.Context(), db, q)
	require.NoError(t, err, q)
	return strings.Join(r.Lines(), "\n")
}

// The archives have the sums of each table, which RESTORE compares with the cluster's.
func TestRestoreByTiDB(t *testing.T) {
	t.Parallel()
	cluster := playground.Shared(t)
	db := cluster.DB(t)
	for name, o := range map[string]Options{
		"plain": {}, "lz4": {Compression: "lz4"}, "aes128": {Method: "aes128-ctr"}, "aes192": {Method: "aes192-ctr"},
		"aes256": {Method: "aes256-ctr", Compression: "snappy"},
	} {
		t.Run(name, func(t *testing.T) {
			Shapes(t, db, name)
			want := stateOf(t, db, name)
			o.Checksum = true
			a := Backup(t, db, "DATABASE "+name, o)
			Drop(t, db, name)
			a.Restore(t, db, "DATABASE "+name)
			require.Equal(t, want, stateOf(t, db, name))
			requireFreshIDs(t, db, name)
			Drop(t, db, name)
		})
	}
	requireNoViolations(t, cluster)
}

// requireFreshIDs inserts rows whose ids TiDB chooses.
func requireFreshIDs(t *testing.T, db *sql.DB, database string) {
	t.Helper()
	for _, table := range []string{"auto_inc", "auto_inc_apart", "auto_rand", "no_key"} {
		column := "v"
		if table == "no_key" {
			column = "a"
		}
		exec(t, db, fmt.Sprintf("INSERT INTO `%s`.%s (%s) VALUES (1), (2)", database, table, column))
		exec(t, db, fmt.Sprintf("ADMIN CHECK TABLE `%s`.%s", database, table))
	}
	require.NotEqual(t, "5", query(t, db, "SELECT NEXTVAL(`"+database+"`.numbers)"), "given before the backup")
}

func TestIncrementalRestoreByTiDB(t *testing.T) {
	t.Parallel()
	cluster := playground.ForTest(t, playground.Options{})
	db := cluster.DB(t)
	Shapes(t, db, "grown")
	full := Backup(t, db, "DATABASE grown", Options{})
	for _, q := range []string{
		"DELETE FROM grown.int_clustered WHERE id < 0", "UPDATE grown.long_values SET body = CONCAT(body, '+') WHERE id % 3 = 0",
		"INSERT INTO grown.empty VALUES (1, 1)", "DELETE FROM grown.by_hash WHERE v = 7",
	} {
		exec(t, db, q)
	}
	next := Backup(t, db, "DATABASE grown", Options{LastBackupTS: full.BackupTS})
	want := stateOf(t, db, "grown")
	Drop(t, db, "grown")
	full.Restore(t, db, "DATABASE grown")
	require.NotEqual(t, want, stateOf(t, db, "grown"))
	next.Restore(t, db, "DATABASE grown")
	require.Equal(t, want, stateOf(t, db, "grown"))
	requireNoViolations(t, cluster)
}

func requireNoViolations(t *testing.T, cluster *playground.Cluster) {
	t.Helper()
	s, err := cluster.State(t.Context())
	require.NoError(t, err)
	require.Empty(t, s.Violations)
}

// What a store or the network does wrong for a moment ends neither statement.
func TestArchiveUnderFaults(t *testing.T) {
	t.Parallel()
	cluster := playground.ForTest(t, playground.Options{Stores: 3})
	db := cluster.DB(t)
	Shapes(t, db, "shaken")
	want := stateOf(t, db, "shaken")
	inject := func(rpc string, kinds ...fault.Kind) {
		t.Helper()
		for _, k := range kinds {
			require.NoError(t, cluster.InjectFault(t.Context(), fault.Rule{RPC: rpc, Kind: k, Count: 2}))
		}
	}
	inject("Backup/backup", fault.NotLeader, fault.EpochNotMatch, fault.RegionNotFound, fault.ServerIsBusy)
	a := Backup(t, db, "DATABASE shaken", Options{Checksum: true})
	Drop(t, db, "shaken")
	inject("ImportSST/Download", fault.EpochNotMatch, fault.NotLeader)
	inject("ImportSST/MultiIngest", fault.EpochNotMatch, fault.NotLeader, fault.ServerIsBusy)
	a.Restore(t, db, "DATABASE shaken")
	hits, err := cluster.FaultHits(t.Context())
	require.NoError(t, err)
	require.Len(t, hits, 9)
	for _, h := range hits {
		require.NotZero(t, h.Fired, "%v", h.Rule)
	}
	require.Equal(t, want, stateOf(t, db, "shaken"))
	requireNoViolations(t, cluster)
}
