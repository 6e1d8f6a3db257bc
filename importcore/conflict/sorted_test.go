package conflict_test

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// numberedRows are the pairs of rows by their numbers. The arena is reused.
type numberedRows = iter.Seq2[int, *kv.Arena]

// sortParts gives parts of the rows to a sorter, each from a goroutine of its own.
func sortParts(t *testing.T, opts sortkv.Options, parts ...numberedRows) *sortkv.Sorted {
	t.Helper()
	opts.Dir, opts.SuffixBytes = t.TempDir(), kv.NumberBytes
	s, err := sortkv.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	group, ctx := errgroup.WithContext(t.Context())
	for _, rows := range parts {
		group.Go(func() error {
			a, err := s.Arena(ctx)
			if err != nil {
				return err
			}
			for n, pairs := range rows {
				a.AddNumbered(pairs, uint64(n))
				if a.Bytes() < s.ArenaBytes() {
					continue
				}
				if err := s.Add(ctx, a); err != nil {
					return err
				}
				if a, err = s.Arena(ctx); err != nil {
					return err
				}
			}
			return s.Add(ctx, a)
		})
	}
	require.NoError(t, group.Wait())
	sorted, err := s.Finish(t.Context())
	require.NoError(t, err)
	return sorted
}
