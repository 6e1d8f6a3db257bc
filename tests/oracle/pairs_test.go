package oracle_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/oracle"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// loadTarget reads a table's schema from the status port, as the product does.
func loadTarget(t *testing.T, status, db, name string) *table.Target {
	t.Helper()
	resp, err := http.Get("http://" + status + "/schema/" + db + "/" + name)
	require.NoError(t, err)
	defer resp.Body.Close()
	info := &model.TableInfo{}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(info))
	target, err := table.NewTarget(db, info, true)
	require.NoError(t, err)
	return target
}

// ids are those of a table and of its partitions, in the order of their definition.
func ids(info *model.TableInfo) []int64 {
	ids := []int64{info.ID}
	if info.Partition != nil {
		for _, def := range info.Partition.Definitions {
			ids = append(ids, def.ID)
		}
	}
	return ids
}

// readPairs reads all pairs of a table: those of its own id (also the global
// indexes of a partitioned table) and those of its partitions.
func (l *lane) readPairs(t *testing.T, info *model.TableInfo) map[string]string {
	t.Helper()
	ts, err := l.store.CurrentTimestamp(oracle.GlobalTxnScope)
	require.NoError(t, err)
	snapshot := l.store.GetSnapshot(ts)
	pairs := make(map[string]string)
	indexes := make(map[int64]bool)
	for _, idx := range info.Indices {
		indexes[idx.ID] = true
	}
	for _, id := range ids(info) {
		prefix := []byte(tablecodec.EncodeTablePrefix(id))
		end := []byte(tablecodec.EncodeTablePrefix(id + 1))
		it, err := snapshot.Iter(prefix, end)
		require.NoError(t, err)
		for it.Valid() {
			// Entries of dropped indexes stay until they are garbage.
			if _, indexID, isRecord, err := tablecodec.DecodeKeyHead(it.Key()); isRecord || indexes[indexID] {
				require.NoError(t, err)
				pairs[string(it.Key())] = string(it.Value())
			}
			require.NoError(t, it.Next())
		}
		it.Close()
	}
	return pairs
}

// renamed gives the pairs of one table the ids of its twin: in keys, and in the
// values of global indexes, which name the partition behind a flag.
func renamed(pairs map[string]string, from, to *model.TableInfo) map[string]string {
	var keys, values []string
	for i, id := range ids(from) {
		keys = append(keys, string(tablecodec.EncodeTablePrefix(id)), string(tablecodec.EncodeTablePrefix(ids(to)[i])))
		values = append(values, flagged(id), flagged(ids(to)[i]))
	}
	tables, partitions := strings.NewReplacer(keys...), strings.NewReplacer(values...)
	global := make(map[int64]bool)
	for _, idx := range from.Indices {
		global[idx.ID] = idx.Global
	}
	const prefix = 1 + 8
	out := make(map[string]string, len(pairs))
	for k, v := range pairs {
		if _, indexID, isRecord, err := tablecodec.DecodeKeyHead([]byte(k)); err == nil && !isRecord && global[indexID] {
			v = partitions.Replace(v)
		}
		out[tables.Replace(k[:prefix])+k[prefix:]] = v
	}
	return out
}

func flagged(partition int64) string {
	return string(codec.EncodeInt([]byte{tablecodec.PartitionIDFlag}, partition))
}

// compare holds the twins against each other: pair by pair, then by what TiDB
// itself says.
func (j *judging) compare() {
	j.t.Helper()
	from := loadTarget(j.t, j.cluster.TiDBStatus, j.db, j.inserted).Info
	to := loadTarget(j.t, j.cluster.TiDBStatus, j.db, j.imported).Info
	require.Len(j.t, ids(to), len(ids(from)))
	want, got := renamed(j.readPairs(j.t, from), from, to), j.readPairs(j.t, to)
	for _, d := range j.explain(differences(want, got), want, to) {
		j.differ("%s%s", d.String(), j.rowOf(d.key))
	}
	require.GreaterOrEqual(j.t, len(want), len(j.accepted))
	j.cells += len(j.accepted) * len(j.accepted[0])

	var sum kv.Checksum
	for k, v := range want {
		sum.Add([]byte(k), []byte(v))
	}
	_, rows := j.mustQuery(j.t, "ADMIN CHECKSUM TABLE "+j.imported)
	own := []string{strconv.FormatUint(sum.Sum, 10), strconv.FormatUint(sum.Pairs, 10), strconv.FormatUint(sum.Bytes, 10)}
	for i, cell := range rows[0][2:] {
		if *cell != own[i] {
			j.differ("ADMIN CHECKSUM TABLE says %s, the pairs of the INSERTs sum up to %s", *cell, own[i])
		}
	}
	if _, err := j.tidb.ExecContext(j.t.Context(), "ADMIN CHECK TABLE "+j.imported); err != nil {
		j.differ("ADMIN CHECK TABLE: %v", err)
	}
	if err := j.checkCompletely(j.imported); err != nil {
		j.differ("complete ADMIN CHECK TABLE: %v", err)
	}
	_, left := j.mustQuery(j.t, "SELECT * FROM "+j.inserted+" ORDER BY "+j.order)
	_, right := j.mustQuery(j.t, "SELECT * FROM "+j.imported+" ORDER BY "+j.order)
	require.Len(j.t, left, len(j.accepted))
	if len(left) != len(right) {
		j.differ("SELECT gives %d rows and %d", len(left), len(right))
		return
	}
	for i := range left {
		if show(left[i]) != show(right[i]) {
			j.differ("row %d of the SELECT: INSERT made %s, the import %s", i, show(left[i]), show(right[i]))
		}
	}
}

// difference is a key that two tables don't agree on; absent values are nil.
type difference struct {
	key             string
	inserted, found value
}

// String shows both values.
func (d difference) String() string {
	side := func(v value) string {
		if v == nil {
			return "none"
		}
		return hexOf(*v)
	}
	return "key " + hexOf(d.key) + ": INSERT made " + side(d.inserted) + ", the import " + side(d.found)
}

// differences compares two tables pair by pair.
func differences(inserted, imported map[string]string) []difference {
	var out []difference
	for k, v := range inserted {
		if w, ok := imported[k]; !ok {
			out = append(out, difference{k, text(v), nil})
		} else if v != w {
			out = append(out, difference{k, text(v), text(w)})
		}
	}
	for k, w := range imported {
		if _, ok := inserted[k]; !ok {
			out = append(out, difference{k, nil, text(w)})
		}
	}
	return out
}

// rowOf finds the row that the encoder makes a key of, for the message.
func (j *judging) rowOf(key string) string {
	if j.plan == nil || len(j.set) > 0 || len(j.fromTwin) > 0 {
		return ""
	}
	enc := j.plan.NewEncoder()
	for i, row := range j.accepted {
		arena := kv.NewArena(1<<12, 10)
		if enc.EncodeRow(fields(row), j.base+int64(i), arena) != nil {
			continue
		}
		for _, ref := range arena.Refs {
			if string(arena.Key(ref)) == key {
				return ", row " + show(row)
			}
		}
	}
	return ""
}
