package conflict_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// The model: a table with a primary key and some unique indexes, rows as
// values of these; 0 is NULL, which an index takes as often as it likes.
type row []int

const tableID = 7

// keysOf returns the keys of a row: its record, and an entry for each index.
func keysOf(r row) [][]byte {
	record := fmt.Appendf(tablecodec.GenTableRecordPrefix(tableID), "%08d", r[0])
	keys := [][]byte{record}
	for i, v := range r[1:] {
		entry := fmt.Appendf(tablecodec.EncodeTableIndexPrefix(tableID, int64(i+1)), "%08d", v)
		if v == 0 {
			entry = fmt.Appendf(entry, "%08d", r[0]) // with its handle
		}
		keys = append(keys, entry)
	}
	return keys
}

func keyRanges(indexes int) []conflict.KeyRange {
	prefix := tablecodec.GenTableRecordPrefix(tableID)
	keys := []conflict.KeyRange{{Start: prefix, End: prefix.PrefixNext(), Index: 0}}
	for i := range indexes {
		prefix := tablecodec.EncodeTableIndexPrefix(tableID, int64(i+1))
		keys = append(keys, conflict.KeyRange{Start: prefix, End: prefix.PrefixNext(), Index: i + 1})
	}
	return keys
}

// table is a filled table: what its rows are by each of their keys.
type table map[string]row

func newTable(rows []row) table {
	t := table{}
	for _, r := range rows {
		for _, k := range keysOf(r) {
			t[string(k)] = r
		}
	}
	return t
}

func (t table) Lookup(_ context.Context, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if r, ok := t[string(k)]; ok {
			values[i] = keysOf(r)[0]
		}
	}
	return values, nil
}

func (t table) RecordKey(key, value []byte) ([]byte, error) {
	if bytes.HasSuffix(key, fmt.Appendf(nil, "00000000%08d", t[string(key)][0])) {
		return nil, nil // an entry with a NULL
	}
	return value, nil
}

// outcome is what a strategy makes of rows and a table.
type outcome struct {
	kept    []int // numbers of rows
	deleted []string
	first   int // row that INSERT refuses first, -1 for none
}

// distinct returns the keys of a row that no other row may have.
func distinct(r row) []string {
	keys := keysOf(r)
	out := []string{string(keys[0])}
	for i, v := range r[1:] {
		if v != 0 {
			out = append(out, string(keys[i+1]))
		}
	}
	return out
}

// replace is REPLACE row by row.
func replace(rows []row, t table) outcome {
	owner, alive := map[string]int{}, map[int]bool{}
	own := map[string]row{}
	for k, r := range t {
		own[k] = r
	}
	gone := map[string]bool{}
	for n, r := range rows {
		for _, k := range distinct(r) {
			if old, ok := own[k]; ok {
				gone[string(keysOf(old)[0])] = true
				for _, kk := range distinct(old) {
					delete(own, kk)
				}
			}
			if old, ok := owner[k]; ok {
				delete(alive, old)
				for _, kk := range distinct(rows[old]) {
					if owner[kk] == old {
						delete(owner, kk)
					}
				}
			}
		}
		for _, k := range distinct(r) {
			owner[k] = n
		}
		alive[n] = true
	}
	o := outcome{first: -1}
	for n := range rows {
		if alive[n] {
			o.kept = append(o.kept, n)
		}
	}
	for k := range gone {
		o.deleted = append(o.deleted, k)
	}
	slices.Sort(o.deleted)
	return o
}

// ignore is INSERT IGNORE row by row.
func ignore(rows []row, t table) outcome {
	o := outcome{first: -1}
	taken := map[string]bool{}
	for n, r := range rows {
		free := true
		for _, k := range distinct(r) {
			_, own := t[k]
			free = free && !taken[k] && !own
		}
		if !free {
			if o.first < 0 {
				o.first = n
			}
			continue
		}
		for _, k := range distinct(r) {
			taken[k] = true
		}
		o.kept = append(o.kept, n)
	}
	return o
}

// capture leaves out every row that shares a key.
func capture(rows []row, t table) outcome {
	o := outcome{first: -1}
	count := map[string]int{}
	for _, r := range rows {
		for _, k := range distinct(r) {
			count[k]++
		}
	}
	for n, r := range rows {
		alone := true
		for _, k := range distinct(r) {
			_, own := t[k]
			alone = alone && count[k] == 1 && !own
		}
		if alone {
			o.kept = append(o.kept, n)
		}
	}
	return o
}

// sortRows gives the pairs of the rows to a sorter, from several goroutines.
func sortRows(t *testing.T, rows []row, budget int64, workers int) *sortkv.Sorted {
	t.Helper()
	var parts []numberedRows
	for w := range workers {
		parts = append(parts, func(yield func(int, *kv.Arena) bool) {
			var one kv.Arena
			for n := w; n < len(rows); n += workers {
				one.Reset()
				for _, k := range keysOf(rows[n]) {
					one.Add(k, fmt.Appendf(nil, "value of row %d", n))
				}
				if !yield(n, &one) {
					return
				}
			}
		})
	}
	return sortParts(t, sortkv.Options{MemoryBudget: budget, ArenaBytes: 4 << 10}, parts...)
}

// randomRows makes rows with conflicts of many shapes: none, few, chains over
// several indexes, a large group, identical rows, NULLs.
func randomRows(rnd *rand.Rand, n, indexes int) []row {
	spread := []int{n * 100, 2*n + 1, n/2 + 1, n/50 + 1, 1}
	wide := make([]int, indexes+1)
	for i := range wide {
		wide[i] = spread[rnd.IntN(len(spread))]
	}
	if rnd.IntN(3) == 0 { // only one kind of key collides
		for i := range wide {
			wide[i] = n * 1000
		}
		wide[rnd.IntN(len(wide))] = n/3 + 1
	}
	rows := make([]row, n)
	for i := range rows {
		rows[i] = make(row, indexes+1)
		for j := range rows[i] {
			rows[i][j] = 1 + rnd.IntN(wide[j])
			if j > 0 && rnd.IntN(8) == 0 {
				rows[i][j] = 0
			}
		}
		switch {
		case i > 0 && rnd.IntN(20) == 0: // identical to another one
			copy(rows[i], rows[rnd.IntN(i)])
		case i > 0 && rnd.IntN(10) == 0 && indexes > 0: // a chain
			rows[i][rnd.IntN(indexes+1)] = rows[i-1][0]
		}
	}
	return rows
}

// TestAgainstTheModel: whatever the rows, the workers and the memory, the
// decision is that of a plain model which does it row by row.
func TestAgainstTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 4))
			indexes := rnd.IntN(4)
			rows := randomRows(rnd, 1+rnd.IntN(3000), indexes)
			var own table
			if rnd.IntN(2) == 0 {
				var present []row
				for _, r := range randomRows(rnd, 1+rnd.IntN(500), indexes) {
					if o := ignore(append(slices.Clone(present), r), nil); len(o.kept) == len(present)+1 {
						present = append(present, r)
					}
				}
				own = newTable(present)
			}
			budget := []int64{256 << 10, 1 << 20, 64 << 20}[rnd.IntN(3)]
			for _, workers := range []int{1, 4} {
				sorted := sortRows(t, rows, budget, workers)
				check(t, conflict.Replace, sorted, rows, own, indexes, workers, replace(rows, own))
				check(t, conflict.Ignore, sorted, rows, own, indexes, workers, ignore(rows, own))
				check(t, conflict.Capture, sorted, rows, own, indexes, workers, capture(rows, own))
				find := ignore(rows, own)
				find.kept = nil
				for n := range rows {
					find.kept = append(find.kept, n)
				}
				check(t, conflict.Find, sorted, rows, own, indexes, workers, find)
			}
		})
	}
}

func check(t *testing.T, s conflict.Strategy, sorted *sortkv.Sorted, rows []row, own table, indexes, workers int, want outcome) {
	t.Helper()
	cfg := conflict.Config{
		Sorted: sorted, Keys: keyRanges(indexes), Strategy: s, Dir: t.TempDir(), MemoryBudget: 1, Threads: workers,
	}
	if own != nil {
		cfg.Table = own
	}
	var told []int64
	cfg.OnLost = func(c conflict.Collision) error {
		told = append(told, c.Row)
		requireCollides(t, c, rows, own)
		return nil
	}
	r, err := conflict.Decide(t.Context(), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()

	var kept []int
	lost := r.Lost.NewReader()
	for n := range rows {
		gone, err := lost.Has(int64(n))
		if err != nil {
			t.Fatal(err)
		}
		if !gone {
			kept = append(kept, n)
		} else if told[n-len(kept)] != int64(n) {
			t.Fatalf("row %d was told instead of row %d", told[n-len(kept)], n)
		}
	}
	require.Equal(t, want.kept, kept, "strategy %d", s)
	require.EqualValues(t, len(rows)-len(kept), r.Lost.Count())
	require.Len(t, told, len(rows)-len(kept))
	if s == conflict.Find {
		requireFirst(t, r, want.first, rows, own)
	} else {
		require.Len(t, r.First, min(3, len(told)))
	}
	var deleted []string
	require.NoError(t, r.EachTableRow(t.Context(), func(record []byte) error {
		deleted = append(deleted, string(record))
		return nil
	}))
	require.Equal(t, want.deleted, deleted)
	if s != conflict.Find {
		requirePairs(t, r, rows, kept, workers)
	}
}

// requireCollides: what is told of a lost row is true.
func requireCollides(t *testing.T, c conflict.Collision, rows []row, own table) {
	t.Helper()
	key := keysOf(rows[c.Row])[c.Index]
	ok := bytes.Equal(key, c.Key)
	if c.Other == conflict.TableRow {
		_, has := own[string(key)]
		ok = ok && has
	} else {
		ok = ok && c.Row != c.Other && bytes.Equal(key, keysOf(rows[c.Other])[c.Index])
	}
	if !ok { // require is slow for every row
		t.Fatalf("row %d does not collide with %d in %x", c.Row, c.Other, c.Key)
	}
}

func requireFirst(t *testing.T, r *conflict.Result, want int, rows []row, own table) {
	t.Helper()
	if want < 0 {
		require.Empty(t, r.First)
		return
	}
	require.Len(t, r.First, 1)
	require.EqualValues(t, want, r.First[0].Row)
	requireCollides(t, r.First[0], rows, own)
	require.Less(t, r.First[0].Other, r.First[0].Row)
}

// requirePairs: the iterators give the pairs of the rows that stay, whatever ranges
// are read, and the checksum is theirs.
func requirePairs(t *testing.T, r *conflict.Result, rows []row, kept []int, workers int) {
	t.Helper()
	type pair struct{ key, value []byte }
	var want []pair
	var sum kv.Checksum
	for _, n := range kept {
		for _, k := range keysOf(rows[n]) {
			p := pair{k, fmt.Appendf(nil, "value of row %d", n)}
			want = append(want, p)
			sum.Add(p.key, p.value)
		}
	}
	slices.SortFunc(want, func(x, y pair) int { return bytes.Compare(x.key, y.key) })
	got, err := r.Checksum(t.Context(), workers)
	require.NoError(t, err)
	require.Equal(t, sum, got)
	var pairs []pair
	borders := [][]byte{nil}
	for i := 10; i < len(want); i += len(want)/5 + 1 {
		borders = append(borders, want[i].key)
	}
	for i, start := range borders {
		var end []byte
		if i+1 < len(borders) {
			end = borders[i+1]
		}
		it, err := r.Iter(t.Context(), start, end)
		require.NoError(t, err)
		for it.Next() {
			pairs = append(pairs, pair{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
		}
		require.NoError(t, it.Err())
		require.NoError(t, it.Close())
	}
	require.Equal(t, want, pairs)
}
