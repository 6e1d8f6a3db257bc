package importcore

import (
	"context"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/encode"
)

// sequenceFeed draws the values of sequences for the rows in their order, so
// that a row's value does not depend on the number of workers. It belongs to
// the goroutine that cuts blocks. What it has drawn too much is a gap in the
// sequence, as after any statement that fails.
type sequenceFeed struct {
	cluster *cluster.Cluster
	uses    []encode.SequenceUse
	ahead   [][]int64 // per use: drawn, not given out
}

func newSequenceFeed(c *cluster.Cluster, uses []encode.SequenceUse) *sequenceFeed {
	return &sequenceFeed{cluster: c, uses: uses, ahead: make([][]int64, len(uses))}
}

// leastDraw is how many values are drawn at least, so that small blocks don't
// cost a statement each.
const leastDraw = 1000

// take returns the values for the next rows; nil if there are no sequences.
func (f *sequenceFeed) take(ctx context.Context, rows int64) ([][]int64, error) {
	if len(f.uses) == 0 {
		return nil, nil
	}
	given := make([][]int64, len(f.uses))
	for i, use := range f.uses {
		need := int(rows) * use.PerRow
		if missing := need - len(f.ahead[i]); missing > 0 {
			drawn, err := f.cluster.NextSequenceValues(ctx, use.DB, use.Name, f.draw(missing))
			if err != nil {
				return nil, err
			}
			f.ahead[i] = append(f.ahead[i], drawn...)
		}
		given[i], f.ahead[i] = f.ahead[i][:need:need], f.ahead[i][need:]
	}
	return given, nil
}

func (f *sequenceFeed) draw(missing int) int {
	if missing < leastDraw/2 {
		return missing // the last block, or a small file
	}
	return max(missing, leastDraw)
}
