package crash_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestNoMoreIsDoneAgainThanPromised: however long it takes to save a checkpoint, the encoding gets no further ahead
// of the last saved one than what may be done again.
func TestNoMoreIsDoneAgainThanPromised(t *testing.T) {
	t.Parallel()
	const promised = 200 << 10
	pg := playground.Shared(t)
	schema, db := pg.Database(t)
	k := kinds(engineSize)[0]
	k.create(t, db, schema, "t")
	core, err := importcore.New(t.Context(), importcore.Config{
		Cluster: cluster.Config{TiDB: []string{pg.TiDB}, User: "root", Logger: zap.NewNop()}, SortDir: t.TempDir(),
		CheckpointBytes: promised, MemoryBudget: importcore.MinMemoryBudget, Logger: zap.NewNop(),
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, core.Close()) }()
	task, store := k.newTask(t, schema, "t", k.source(t)), &slowStore{}
	task.Checkpoints = store
	plan, err := core.Plan(t.Context(), task)
	require.NoError(t, err)
	require.Greater(t, plan.SourceBytes, int64(2*promised))
	store.plan = plan
	summary, err := core.Import(t.Context(), plan, nil)
	require.NoError(t, err)
	require.EqualValues(t, engineSize.rows(), summary.Rows)
	require.LessOrEqual(t, store.ahead, int64(promised))
	require.GreaterOrEqual(t, store.saves, 3)
}

// slowStore saves a checkpoint only when the encoding gets no further without it.
type slowStore struct {
	plan         *importcore.Plan
	saves        int
	saved, ahead int64 // source bytes of the last one, and most that was encoded behind one
}

// Load implements importcore.Checkpoints.
func (*slowStore) Load(context.Context) ([]byte, error) { return nil, nil }

// Save implements importcore.Checkpoints.
func (s *slowStore) Save(_ context.Context, data []byte) error {
	state, err := checkpoint.Unmarshal(data)
	if err != nil || state.Ingest != nil {
		return err
	}
	s.ahead = max(s.ahead, s.standstill()-s.saved)
	s.saves, s.saved = s.saves+1, state.Encoded.SourceBytes
	return nil
}

// standstill returns how much is encoded when no more has been for a while. On a slow machine
// that may be less than would have been, never more.
func (s *slowStore) standstill() (bytes int64) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for still := 0; still < 25; still++ {
		<-look.C
		if now := s.plan.Progress().SourceBytes; now != bytes {
			bytes, still = now, 0
		}
	}
	return bytes
}
