package badrows

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestSharedLimit: collectors of several tables that work at a time record no more rows together than the limit and one, whoever
// goes on from which progress; and all of them if that is not too many.
func TestSharedLimit(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		const tables = 4
		var sources [tables]blocks
		total := 0
		for i := range sources {
			sources[i] = someBlocks(rnd, 6)
			for _, n := range sources[i].bad {
				total += n
			}
		}
		const earlier = 3 // rows of tables that are done
		limit := rnd.Int64N(int64(total)+4) + earlier
		all := NewLimit(limit)
		all.Keep(earlier)
		sinks, group := [tables]*memory{}, errgroup.Group{}
		for i := range sources {
			sinks[i] = &memory{}
			group.Go(func() error {
				c := NewShared(all, sinks[i])
				err := sources[i].run(t.Context(), c, 2)
				if err == nil {
					err = c.Again().Flush(t.Context())
				}
				return err
			})
		}
		err := group.Wait()
		stored := earlier
		for _, s := range sinks {
			stored += len(s.records)
		}
		if int64(total+earlier) <= limit {
			require.NoError(t, err)
			require.Equal(t, total+earlier, stored)
			continue
		}
		var over *LimitError
		require.ErrorAs(t, err, &over)
		require.Equal(t, limit, over.Limit)
		require.NotEmpty(t, over.First)
		require.EqualValues(t, limit+1, stored)
	}
}

// TestSharedLimitGoesOn: what a table has recorded counts again once its collector goes on, and is only then too much.
func TestSharedLimitGoesOn(t *testing.T) {
	t.Parallel()
	limit := NewLimit(5)
	first := NewShared(limit, &memory{})
	for n := range int64(3) {
		require.NoError(t, first.Add(t.Context(), record(n)))
	}
	require.EqualValues(t, 3, first.Counted())
	again := first.Again()
	saved, err := again.Progress(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, saved.Stored)
	require.EqualValues(t, 3, saved.Counted)

	limit = NewLimit(5)
	sink := &memory{}
	require.NoError(t, sink.Put(t.Context(), 1, []Record{record(0), record(1), record(2), record(3)}))
	resumed := NewShared(limit, sink)
	require.NoError(t, resumed.Resume(t.Context(), saved))
	require.Len(t, sink.records, 3)
	require.NoError(t, NewShared(limit, &memory{}).Keep(2))
	require.ErrorContains(t, resumed.Add(t.Context(), record(3)), "more than 5 rows")
	err = NewShared(limit, &memory{}).Keep(1)
	var over *LimitError
	require.ErrorAs(t, err, &over)
	require.Empty(t, over.First)
	require.EqualError(t, err, "more than 5 rows can't be imported (max_errors = 5)")
}

// TestKnown: a record that the limit has counted already is kept and described, and not counted once more.
func TestKnown(t *testing.T) {
	t.Parallel()
	all, sink := NewLimit(1), &memory{}
	require.EqualValues(t, 2, all.Count(2))
	c := NewShared(all, sink)
	for line := range int64(7) {
		require.NoError(t, c.Known(t.Context(), Record{File: "f", Line: line + 1}))
	}
	require.NoError(t, c.Flush(t.Context()))
	require.EqualValues(t, 7, len(sink.records))
	require.EqualValues(t, 7, c.Counted())
	require.EqualValues(t, 1, all.Count(-1))
	err := c.Exceeded()
	require.EqualValues(t, 1, err.Limit)
	require.Len(t, err.First, maxFirst)
	require.ErrorContains(t, err, "line 5")
}
