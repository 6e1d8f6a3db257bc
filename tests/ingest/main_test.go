// Package ingest_test runs importcore/cluster and importcore/ingest against
// the playground: real stores, PD and TiDB over their protocols.
package ingest_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/rowcodec"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/tests/playground"
)

const (
	regionSize = 64 << 10
	regionKeys = 600
)

// start gives the test a playground of its own, with small regions, and opens
// it; everything about it but a TiDB address is found by asking. At the end
// nothing may be left behind in it.
func start(t *testing.T, stores int) (*playground.Cluster, *cluster.Cluster, *sql.DB) {
	t.Helper()
	pg := playground.ForTest(t, playground.Options{Stores: stores, RegionSplitSize: regionSize, RegionSplitKeys: regionKeys})
	db := pg.DB(t)
	c, err := cluster.Open(t.Context(), cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zaptest.NewLogger(t)})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		requireClean(t, pg)
	})
	return pg, c, db
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// table is a table of the test and the pairs that its rows are.
type table struct {
	info  *model.TableInfo
	pairs pairs
	sum   kv.Checksum
	rows  int
}

const createTable = `CREATE TABLE test.t (id BIGINT PRIMARY KEY, n INT, v VARCHAR(1000), UNIQUE KEY un (n))`

// newTable creates the table and encodes rows by TiDB's own codecs. A tenth
// of the values are too long to be kept inside the write column family.
func newTable(t *testing.T, c *cluster.Cluster, db *sql.DB, rows int) *table {
	t.Helper()
	exec(t, db, createTable)
	info, newCollation, err := c.LoadTable(t.Context(), "test", "T")
	require.NoError(t, err)
	require.True(t, newCollation)
	tbl := &table{info: info, rows: rows}
	for i := range rows {
		tbl.addRow(t, int64(i*7-rows), i)
	}
	sort.Sort(&tbl.pairs)
	for i := range tbl.pairs.keys {
		tbl.sum.Add(tbl.pairs.keys[i], tbl.pairs.values[i])
	}
	return tbl
}

func (tbl *table) addRow(t *testing.T, id int64, i int) {
	t.Helper()
	v := strings.Repeat("v", 20)
	if i%10 == 0 {
		v = strings.Repeat("long ", 150)
	}
	n, handle := types.NewIntDatum(int64(i)), tidbkv.IntHandle(id)
	encoder := rowcodec.Encoder{Enable: true}
	row, err := encoder.Encode(time.UTC, []int64{tbl.info.Columns[1].ID, tbl.info.Columns[2].ID},
		[]types.Datum{n, types.NewStringDatum(v)}, nil, nil)
	require.NoError(t, err)
	tbl.pairs.add(tablecodec.EncodeRowKeyWithHandle(tbl.info.ID, handle), row)
	idx := tbl.info.Indices[0]
	key, distinct, err := tablecodec.GenIndexKey(time.UTC, tbl.info, idx, tbl.info.ID, []types.Datum{n}, handle, nil)
	require.NoError(t, err)
	value, err := tablecodec.GenIndexValuePortal(time.UTC, tbl.info, idx, false, distinct, false,
		[]types.Datum{n}, handle, 0, nil, nil)
	require.NoError(t, err)
	tbl.pairs.add(key, value)
}

// ranges cuts the pairs into n ranges, all within the table.
func (tbl *table) ranges(n int) []ingest.Range {
	p := &tbl.pairs
	var out []ingest.Range
	for i := range n {
		from, to := p.Len()*i/n, p.Len()*(i+1)/n
		rng := ingest.Range{Start: p.keys[from], End: tablecodec.EncodeTablePrefix(tbl.info.ID + 1), Keys: int64(to - from)}
		if to < p.Len() {
			rng.End = p.keys[to]
		}
		out = append(out, rng)
	}
	return out
}

// options returns what an import would use. The waits are short.
func (tbl *table) options(t *testing.T, c *cluster.Cluster) ingest.Options {
	t.Helper()
	ts, err := c.TSO(t.Context())
	require.NoError(t, err)
	limits, err := c.RegionLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, cluster.RegionLimits{SplitSize: regionSize, SplitKeys: regionKeys}, limits)
	return ingest.Options{
		Total:    ingest.Total{Pairs: int64(tbl.sum.Pairs), Bytes: int64(tbl.sum.Bytes)},
		CommitTS: ts, Concurrency: 3, RegionSplitSize: limits.SplitSize, RegionSplitKeys: limits.SplitKeys,
		Logger: zaptest.NewLogger(t), Backoff: ingest.Backoff{Base: 5 * time.Millisecond, Max: 100 * time.Millisecond},
	}
}

// requireRight checks by TiDB's own means that the rows are there.
func (tbl *table) requireRight(t *testing.T, c *cluster.Cluster, db *sql.DB) {
	t.Helper()
	exec(t, db, "ADMIN CHECK TABLE test.t")
	sum, err := c.ChecksumTable(t.Context(), "job-7", "test", "t", 0)
	require.NoError(t, err)
	require.Equal(t, tbl.sum, sum)
	var count, short int
	require.NoError(t, db.QueryRowContext(t.Context(),
		"SELECT COUNT(*), SUM(LENGTH(v) < 100) FROM test.t").Scan(&count, &short))
	require.Equal(t, tbl.rows, count)
	require.Equal(t, tbl.rows-(tbl.rows+9)/10, short)
}

// requireClean checks that the cluster is as before: no label rule, no safe point and no
// import mode of ours, and nothing that would have crashed a store.
func requireClean(t *testing.T, pg *playground.Cluster) {
	t.Helper()
	ctx := context.Background() // the test's own has ended by the time of a clean-up
	state, err := pg.State(ctx)
	require.NoError(t, err)
	require.Empty(t, state.Violations)
	for _, s := range state.Stores {
		require.False(t, s.ImportMode, "store %d is in import mode", s.ID)
	}
	require.Empty(t, ourLabelRules(t, pg))
	require.Empty(t, ourSafePoints(t, pg))
}

// pairs is a source in memory.
type pairs struct{ keys, values [][]byte }

func (p *pairs) add(key, value []byte) {
	p.keys = append(p.keys, bytes.Clone(key))
	p.values = append(p.values, bytes.Clone(value))
}

func (p *pairs) Len() int           { return len(p.keys) }
func (p *pairs) Less(i, j int) bool { return bytes.Compare(p.keys[i], p.keys[j]) < 0 }
func (p *pairs) Swap(i, j int) {
	p.keys[i], p.keys[j] = p.keys[j], p.keys[i]
	p.values[i], p.values[j] = p.values[j], p.values[i]
}

// Iter implements ingest.Pairs.
func (p *pairs) Iter(_ context.Context, start, end []byte) (ingest.Iterator, error) {
	at := func(key []byte) int {
		return sort.Search(len(p.keys), func(i int) bool { return bytes.Compare(p.keys[i], key) >= 0 })
	}
	return &iterator{pairs: p, at: at(start) - 1, end: at(end)}, nil
}

type iterator struct {
	pairs   *pairs
	at, end int
}

func (i *iterator) Next() bool    { i.at++; return i.at < i.end }
func (i *iterator) Key() []byte   { return i.pairs.keys[i.at] }
func (i *iterator) Value() []byte { return i.pairs.values[i.at] }
func (i *iterator) Err() error    { return nil }
func (i *iterator) Close() error  { return nil }

func (tbl *table) String() string {
	return fmt.Sprintf("table %d with %d pairs", tbl.info.ID, tbl.pairs.Len())
}
