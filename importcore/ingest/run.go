package ingest

import (
	"context"
	"errors"
)

// Run brings every pair of the ranges into the cluster, exactly once each, and
// returns what it did. The ranges must be disjoint and ascending. On an error,
// which is a *fault.Error, part of the pairs may be in the cluster; running
// again with the same CommitTS is harmless. Run returns after everything it
// started has ended.
func Run(ctx context.Context, c Cluster, src Pairs, ranges []Range, opts Options) (Stats, error) {
	return Stats{}, errors.New("ingest: under construction")
}
