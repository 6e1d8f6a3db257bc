package jobs_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// TestEndWhoseAnswerIsLost: that the connection broke when the end of a job was being recorded doesn't
// make a success a failure: it was recorded.
func TestEndWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	var armed, cut atomic.Bool // the next COMMIT is the one whose answer is lost
	relay := sqlrelay.Start(t, playground.Shared(t).TiDB, func(c sqlrelay.Command) (send bool, answered sqlrelay.Answered) {
		if c.Text != "COMMIT" || !armed.CompareAndSwap(true, false) {
			return true, nil
		}
		return true, func() bool {
			cut.Store(true)
			return false
		}
	})
	f := newFakeEngine()
	cfg := config(t, newSchema(), "cut:1")
	cfg.Backends = []string{relay.Addr().String()}
	s, _ := withTableA(t, fakeExecutorWith(t, f, cfg))
	out := s.background(t.Context(), importA)
	p := <-f.running
	armed.Store(true)
	p.end(3, nil)
	require.NoError(t, (<-out).err)
	require.True(t, cut.Load(), "no COMMIT was cut")
	require.Equal(t, "finished", s.row("SHOW IMPORT JOB 1")["Status"])
}
