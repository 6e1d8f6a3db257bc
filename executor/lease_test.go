package executor

import (
	"context"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore"
)

// TestAWriteThatTakesTooLong says nothing about the job: what it does to it is what a cluster does that is away.
func TestAWriteThatTakesTooLong(t *testing.T) {
	t.Parallel()
	err := persistFor(t.Context(), time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.EqualError(t, err, "not done within 1ms")
	require.True(t, importcore.IsAway(t.Context(), err))
	var stop *stopError
	require.ErrorAs(t, (&runner{ctx: t.Context()}).notBegun(err), &stop)
	require.Equal(t, &stopError{job.Pending, errno.ErrUnknown, "not done within 1ms: it is tried again"}, stop)
}
