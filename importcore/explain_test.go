package importcore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/table"
)

// TestErrorsSayWhatIsLeft: an error of each stretch of a job says what the
// table holds, keeps code, owner and cause, and a cancelled job shows why.
func TestErrorsSayWhatIsLeft(t *testing.T) {
	t.Parallel()
	stopped := errors.New("cancelled by user")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	for left, words := range map[string]string{
		"": "", leftPart: "holds a part of the rows (keep_partial): TRUNCATE it",
		leftUnverified: "holds the rows, but nothing says that they are right (keep_partial): TRUNCATE it",
		leftAll:        "holds all rows, only without statistics (keep_partial)",
	} {
		r := &run{left: left, plan: &Plan{Task: ImportTask{KeepPartial: true}, target: &table.Target{DB: "db", Info: &model.TableInfo{}}}}
		r.plan.progress.rows.Store(7)
		r.cleanUp(t.Context())
		require.Equal(t, left == "", r.plan.Progress().Rows == 0)
		cause := fault.New(fault.Cluster, 1114, "no space")
		err := r.explain(t.Context(), cause)
		require.ErrorContains(t, err, "no space")
		require.ErrorContains(t, err, words)
		require.ErrorIs(t, err, cause)
		require.Equal(t, uint16(1114), fault.As(err).Code)
		require.Equal(t, fault.Cluster, fault.As(err).Whose)

		for _, end := range []error{context.Canceled, fault.Wrap(status.Error(codes.Canceled, "context canceled"), fault.Cluster, 0, "switch")} {
			err = r.explain(cancelled, end)
			require.ErrorIs(t, err, stopped)
			require.ErrorContains(t, err, words)
		}
	}
}

// TestErrorOfAStoppedJob: whatever was under way when a job is stopped, its error is the reason, and an error that
// was there before stays what it is.
func TestErrorOfAStoppedJob(t *testing.T) {
	t.Parallel()
	stopped := errors.New("cancelled by user")
	ctx, cancel := context.WithCancelCause(t.Context())
	own := fault.New(fault.Source, 1062, "Duplicate entry '1' for key 'PRIMARY'")
	r := &run{plan: &Plan{}}
	require.Equal(t, own, r.explain(ctx, own))
	cancel(stopped)
	for _, err := range []error{
		stopped, context.Canceled, status.Error(codes.Canceled, "context canceled"), fmt.Errorf("cannot read the schema of table `t`: %w", context.Canceled),
		fault.Wrap(fmt.Errorf("cannot find TiDB's status address: %w", stopped), fault.Cluster, 0, "cannot read the schema of table `t`"),
	} {
		require.Equal(t, stopped, r.explain(ctx, err), err)
	}
	require.Equal(t, own, r.explain(ctx, own))
}
