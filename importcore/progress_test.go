package importcore

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// noCheckpoints is for jobs that could have some.
type noCheckpoints struct{}

// Load implements Checkpoints.
func (noCheckpoints) Load(context.Context) ([]byte, error) { return nil, nil }

// Save implements Checkpoints.
func (noCheckpoints) Save(context.Context, []byte) error { return nil }

// TestExpectedRuns: a job whose pairs fit into memory is expected to have runs exactly when the encode step is going to
// make a checkpoint.
func TestExpectedRuns(t *testing.T) {
	t.Parallel()
	const limit, block = 1 << 20, 1 << 14
	for name, tc := range map[string]struct {
		total, before int64 // of source, and what a run before this one has encoded
		volatile      bool
		// blocks that were encoded, and how long one takes
		blocks int64
		pace   time.Duration
		want   bool
	}{
		"no checkpoints":                      {total: 4 * limit, volatile: true},
		"no larger than may be done again":    {total: limit},
		"and in time":                         {total: limit, blocks: 8, pace: 400 * time.Millisecond},
		"and not in time":                     {total: limit, blocks: 8, pace: 500 * time.Millisecond, want: true},
		"larger":                              {total: limit + block, want: true},
		"larger, the rest is half of it":      {total: 2 * limit, before: 3 * limit / 2},
		"larger, the rest is more than half":  {total: 2 * limit, before: 3*limit/2 - block, want: true},
		"the rest is half of it, not in time": {total: 2 * limit, before: 3 * limit / 2, blocks: 1, pace: time.Second, want: true},
		"no checkpoints, slow":                {total: limit, volatile: true, blocks: 8, pace: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{core: &Core{cfg: Config{CheckpointBytes: limit, CheckpointInterval: time.Minute}}, plan: &Plan{SourceBytes: tc.total}}
			if !tc.volatile {
				r.plan.Task.Checkpoints = noCheckpoints{}
			}
			p, s, c := &r.plan.progress, &shape{memory: 1 << 40, checkpoints: r.newDue()}, &clock{step: StepEncode}
			s.before.source = tc.before
			source := tc.before + tc.blocks*block
			c.took[StepEncode] = time.Duration(tc.blocks) * tc.pace
			require.Equal(t, tc.want, p.expectRuns(source, tc.total, tc.total, c, s))

			made, d := false, r.newDue()
			for at := tc.before; at < tc.total; at += block {
				made = made || d.before(block, nil)
				d.bytes += block
				d.last = d.last.Add(-tc.pace)
			}
			require.Equal(t, tc.want, made, "the encode step")
		})
	}
}
