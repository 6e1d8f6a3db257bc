package oracle_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// TestJudgeSeesAChangedBit is the proof that the comparison of pairs can fail:
// one bit of any value, one pair less, one more, one under another key.
func TestJudgeSeesAChangedBit(t *testing.T) {
	t.Parallel()
	l := take(t, openLanes(t))
	l.session(t, strictMode, "UTC")
	l.exec(t, "CREATE TABLE flipped (id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_general_ci, n INT, KEY (v), UNIQUE KEY (n) GLOBAL) PARTITION BY HASH (id) PARTITIONS 2")
	l.exec(t, "INSERT INTO flipped VALUES (1, 'ab ', 7), (2, 'É', NULL), (3, NULL, 9)")
	info := loadTarget(t, l.cluster.TiDBStatus, l.db, "flipped").Info
	pairs := l.readPairs(t, info)
	require.Len(t, pairs, 9)
	require.Empty(t, differences(pairs, renamed(pairs, info, info)))
	for k, v := range pairs {
		for i := range len(v) * 8 {
			bits := []byte(v)
			bits[i/8] ^= 1 << (i % 8)
			other := maps.Clone(pairs)
			other[k] = string(bits)
			require.Equal(t, []difference{{k, text(v), text(string(bits))}}, differences(pairs, other))
		}
		less := maps.Clone(pairs)
		delete(less, k)
		require.Len(t, differences(pairs, less), 1)
		require.Len(t, differences(less, pairs), 1)
		less[k+"\x00"] = v
		require.Len(t, differences(pairs, less), 2)
	}
}

// TestJudgeFindsDamage imports a table the whole way, changes one pair of it in
// the store, and wants the judge to say so.
func TestJudgeFindsDamage(t *testing.T) {
	t.Parallel()
	l := take(t, openLanes(t))
	for i, c := range []struct {
		name   string
		damage func(txn *transaction.KVTxn, record, entry, value []byte) error
		says   []string
	}{
		{"a byte of a record", func(txn *transaction.KVTxn, record, _, value []byte) error {
			changed := append([]byte(nil), value...)
			changed[len(changed)-1] ^= 1
			return txn.Set(record, changed)
		}, []string{"INSERT made", "ADMIN CHECKSUM TABLE", "ADMIN CHECK TABLE", "of the SELECT"}},
		{"an index entry less", func(txn *transaction.KVTxn, _, entry, _ []byte) error { return txn.Delete(entry) },
			[]string{"the import none", "ADMIN CHECKSUM TABLE", "ADMIN CHECK TABLE"}},
		{"an index entry more", func(txn *transaction.KVTxn, _, entry, _ []byte) error {
			more := append([]byte(nil), entry...)
			more[len(more)-1] ^= 0x40 // another handle
			return txn.Set(more, []byte("0"))
		}, []string{"INSERT made none", "ADMIN CHECKSUM TABLE", "ADMIN CHECK TABLE"}},
	} {
		j := prepare(t, l, twin{name: fmt.Sprint("damaged", i), ddl: []string{create + "(id BIGINT PRIMARY KEY, v VARCHAR(20), KEY (v))"}, sqlMode: strictMode, order: "id"})
		require.Empty(t, j.compile())
		j.base = l.nextID(t, j.imported)
		edges, many := rowsOf(number, always(anyText))(j.rand, 5)
		j.insertAll(edges, many)
		j.importAll()
		var said strings.Builder
		j.errorf = func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) }
		j.compare()
		require.Empty(t, said.String(), "before the damage")

		info := loadTarget(t, l.cluster.TiDBStatus, l.db, j.imported).Info
		var record, entry, value []byte
		for k, v := range l.readPairs(t, info) {
			if strings.Contains(k[9:11], "_r") {
				record, value = []byte(k), []byte(v)
			} else {
				entry = []byte(k)
			}
		}
		txn, err := l.store.Begin()
		require.NoError(t, err)
		require.NoError(t, c.damage(txn, record, entry, value))
		require.NoError(t, txn.Commit(t.Context()))
		j.compare()
		for _, words := range c.says {
			require.Contains(t, said.String(), words, c.name)
		}
	}
}
