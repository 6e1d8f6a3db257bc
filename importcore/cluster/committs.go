package cluster

import "context"

const (
	// commitBurst timestamps are asked for at once: the first is on its way
	// alone, the others come in one piece.
	commitBurst = 4
	commitTries = 10
)

// CommitTSO returns a fresh timestamp for an ingest to commit at. alone says
// that no transaction of others commits at the same one.
//
// PD gives a timestamp out once, but transactions that commit in one phase or
// asynchronously take the one after the latest that a store has seen, which PD
// may have given to somebody else. So alone is true when the timestamp before
// the returned one was given to us as well, and therefore seen by nobody.
func (c *Cluster) CommitTSO(ctx context.Context) (ts uint64, alone bool, err error) {
	for range commitTries {
		var answers [commitBurst]func() (int64, int64, error)
		for i := range answers {
			answers[i] = c.pd.GetTSAsync(ctx).Wait
		}
		var got [commitBurst]uint64
		for i, wait := range answers {
			physical, logical, failure := wait()
			if failure != nil {
				err = failure
				continue // every answer has to be waited for
			}
			got[i] = uint64(physical)<<18 + uint64(logical)
		}
		if err != nil {
			return 0, false, failed(err, "get a timestamp from PD")
		}
		for i := commitBurst - 1; i > 0; i-- {
			if got[i] == got[i-1]+1 {
				return got[i], true, nil
			}
		}
		ts = got[commitBurst-1]
	}
	return ts, false, nil
}
