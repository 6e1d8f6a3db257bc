package importcore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
)

// untilEnd is a sink that, as the job's does, takes nothing more when its context has ended.
type untilEnd struct{ records int }

// Put implements badrows.Sink.
func (u *untilEnd) Put(ctx context.Context, _ int64, records []badrows.Record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	u.records += len(records)
	return nil
}

// Rewind implements badrows.Sink.
func (*untilEnd) Rewind(context.Context, int64, badrows.Counts) error { return nil }

// TestStoppedImportsKeepTheirRecords: what an import has recorded is kept when it is stopped, also when that isn't waited for, unless
// it is another process's by now.
func TestStoppedImportsKeepTheirRecords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cause error
		want  int
	}{
		"stopped by another table": {fmt.Errorf("another table has failed: %w", ErrPaused), 2},
		"cancelled":                {errors.New("cancelled"), 2},
		"lost":                     {ErrNotOwner, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &untilEnd{}
			bad := &badRows{collector: badrows.NewCollector(9, sink)}
			ctx, stop := context.WithCancelCause(t.Context())
			block := bad.block(0, nil)
			require.NoError(t, block.Add(ctx, badrows.Record{Line: 1}))
			require.NoError(t, block.Add(ctx, badrows.Record{Line: 2}))
			require.NoError(t, bad.ended(ctx, 0, block, nil))
			stop(c.cause)
			require.ErrorIs(t, bad.end(ctx, context.Cause(ctx)), c.cause)
			require.Equal(t, c.want, sink.records)
		})
	}
}
