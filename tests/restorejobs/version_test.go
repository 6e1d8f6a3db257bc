package restorejobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// serverVersion is what TiDB's setting server-version makes the shared cluster say of itself: all of these tests hold for a TiDB that hides that it is one.
const serverVersion = "8.0.36-shop"

// TestServerVersion: a TiDB that says it is something else is one.
func TestServerVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.Equal(t, serverVersion, b.rows(b.proxy, "SELECT VERSION()")[0][0])
	b.dump()
	b.exec("RESTORE DATABASE `$_a` FROM '@dir' BACKEND = local")
	require.Equal(t, [][]string{{"1", "x"}, {"2", "y"}, {"3", "z"}}, b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"))
	require.NotEqual(t, "NULL", b.row("SHOW RESTORES WHERE Destination = '" + b.dir + "'")["Cluster_TS"])
	b.exec("CREATE TABLE `$_a`.w (a INT PRIMARY KEY, b VARCHAR(20))")
	b.exec("IMPORT INTO `$_a`.w (b, a) FROM '@dir/$_a.t.0001.csv' WITH skip_rows = 1")
	require.Equal(t, [][]string{{"3", "z"}}, b.rows(b.direct, "SELECT * FROM `$_a`.w"))
	b.exec("RESTORE TABLE `$_a`.u AS `$_a`.u2 FROM '@dir' BACKEND = tidb")
	require.Equal(t, "7", b.rows(b.direct, "SELECT a FROM `$_a`.u2")[0][0])
	for _, row := range b.table(b.proxy, "EXPLAIN IMPORT INTO `$_a`.t FROM '@dir/$_a.t.0001.csv'") {
		if row["Item"] == "cluster_version" {
			require.Equal(t, "passed", row["Status"])
			return
		}
	}
	t.Error("no check of the version")
}
