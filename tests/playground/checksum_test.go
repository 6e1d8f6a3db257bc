package playground_test

import (
	"database/sql"
	"fmt"
	"hash/crc64"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/tests/playground"
)

// ADMIN CHECKSUM TABLE is computed by the stores. The test computes it again
// from the pairs that a snapshot shows.
func TestChecksumIsThatOfThePairs(t *testing.T) {
	t.Parallel()
	c := playground.Shared(t)
	name, db := c.Database(t)
	exec(t, db, `CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20), KEY ka (a), UNIQUE KEY kb (b))`)
	require.Equal(t, checksum{}, adminChecksum(t, db))

	insertRows(t, db, 300)
	first := adminChecksum(t, db)
	require.EqualValues(t, 900, first.kvs)
	require.Equal(t, snapshotChecksum(t, c, db, name), first)

	exec(t, db, `UPDATE t SET a = a + 1 WHERE id = 17`, `DELETE FROM t WHERE id = 18`)
	second := adminChecksum(t, db)
	require.EqualValues(t, 897, second.kvs)
	require.NotEqual(t, first.crc, second.crc)
	require.Equal(t, snapshotChecksum(t, c, db, name), second)

	exec(t, db, `SPLIT TABLE t BY (50), (100), (299)`, `SPLIT TABLE t INDEX ka BY (10), (90)`)
	require.Equal(t, second, adminChecksum(t, db), "a split changed the checksum")
	exec(t, db, `TRUNCATE TABLE t`)
	require.Equal(t, checksum{}, adminChecksum(t, db))
}

// checksum is the answer of ADMIN CHECKSUM TABLE.
type checksum struct{ crc, kvs, bytes uint64 }

func adminChecksum(t *testing.T, db *sql.DB) checksum {
	t.Helper()
	row := rows(t, db, `ADMIN CHECKSUM TABLE t`)[0]
	var sum checksum
	for i, target := range []*uint64{&sum.crc, &sum.kvs, &sum.bytes} {
		var err error
		*target, err = strconv.ParseUint(row[i+2], 10, 64)
		require.NoError(t, err)
	}
	return sum
}

// snapshotChecksum adds up all pairs of the table db.t.
func snapshotChecksum(t *testing.T, c *playground.Cluster, db *sql.DB, schema string) checksum {
	t.Helper()
	text := rows(t, db, fmt.Sprintf(
		`SELECT tidb_table_id FROM information_schema.tables WHERE table_schema = '%s' AND table_name = 't'`, schema))[0][0]
	id, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	client, err := txnkv.NewClient([]string{c.PD})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	ts, err := client.GetTimestamp(t.Context())
	require.NoError(t, err)
	pairs, err := client.GetSnapshot(ts).Iter(tablecodec.EncodeTablePrefix(id), tablecodec.EncodeTablePrefix(id+1))
	require.NoError(t, err)
	defer pairs.Close()
	table := crc64.MakeTable(crc64.ECMA)
	var sum checksum
	for pairs.Valid() {
		sum.crc ^= crc64.Update(crc64.Update(0, table, pairs.Key()), table, pairs.Value())
		sum.kvs++
		sum.bytes += uint64(len(pairs.Key()) + len(pairs.Value()))
		require.NoError(t, pairs.Next())
	}
	return sum
}
