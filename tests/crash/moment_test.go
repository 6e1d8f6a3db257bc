package crash_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// moment is an event in a job's life at which its process is killed: the n-th one at a place since its
// statement came.
type moment struct {
	place string
	n     int
}

// Places of events, beside those in rpcs: a store has just got the n-th request of that kind, which it doesn't
// work on before the process is dead.
const (
	inLog = "line of the log"  // Sluice has just written it
	inSQL = "command for TiDB" // see sqlRelay.arm
	// The n-th statement that matches what follows in the place's name, before TiDB has it or when it has answered.
	beforeSQL = "command before "
	behindSQL = "command behind "
)

func (m moment) String() string { return fmt.Sprintf("%s %d", m.place, m.n) }

// rpcs are the requests of a job to the stores, in the order in which it makes them.
var rpcs = []string{
	"ImportSST/DuplicateDetect", "ImportSST/AddForcePartitionRange", "ImportSST/SwitchMode", "Tikv/SplitRegion", "ImportSST/Write",
	"ImportSST/Download", "ImportSST/MultiIngest", "ImportSST/RemoveForcePartitionRange", "Coprocessor/checksum", "Coprocessor/analyze",
}

// noEffect is a rule that only counts.
func noEffect(rpc string, count int) fault.Rule {
	return fault.Rule{RPC: rpc, Kind: fault.Slow, Delay: time.Nanosecond, Count: count}
}

// countRequests makes the cluster count from now on.
func countRequests(t *testing.T, pg *playground.Cluster) {
	t.Helper()
	for _, rpc := range rpcs {
		require.NoError(t, pg.InjectFault(t.Context(), noEffect(rpc, 0)))
	}
}

// momentsOf are the events of a life: those lines of the log and commands, and the requests since countRequests,
// whose counts go.
func momentsOf(t *testing.T, pg *playground.Cluster, lines, commands int) (all []moment) {
	t.Helper()
	add := func(place string, count int) {
		for n := range count {
			all = append(all, moment{place, n + 1})
		}
	}
	add(inLog, lines)
	add(inSQL, commands)
	hits, err := pg.FaultHits(t.Context())
	require.NoError(t, err)
	require.NoError(t, pg.ClearFaults(t.Context()))
	for _, h := range hits {
		add(h.Rule.RPC, h.Fired)
	}
	return all
}

// spread picks the i-th of a sequence of moments that is spread evenly over all, however long it is:
// the multiples of the golden ratio are.
func spread(all []moment, start float64, i int) moment {
	_, at := math.Modf(start + float64(i)*(math.Sqrt(5)-1)/2)
	return all[int(at*float64(len(all)))]
}

// spreadOver is spread for moments of which most are at one place: the i-th is at the places in turn.
func spreadOver(all []moment, start float64, i int) moment {
	byPlace, places := map[string][]moment{}, []string(nil)
	for _, m := range all {
		if byPlace[m.place] == nil {
			places = append(places, m.place)
		}
		byPlace[m.place] = append(byPlace[m.place], m)
	}
	return spread(byPlace[places[(i+1)%len(places)]], start, i/len(places)+i)
}

// follower follows the log of a Sluice, whose lives write it one after the other.
type follower struct {
	mu    sync.Mutex
	lines []string
	count int // of lines since arm
	at    int // count to crash at; 0 is never
	crash func()
	hit   chan struct{} // closed right before
}

// follow is instance.Options.OnLog.
func (f *follower) follow(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, line)
	if f.count++; f.count == f.at {
		close(f.hit)
		f.crash()
	}
}

// arm makes Sluice crash at the n-th line from now on; 0 is never. The channel is closed then.
func (f *follower) arm(n int, crash func()) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.at, f.crash, f.hit = 0, n, crash, make(chan struct{})
	return f.hit
}

// counted returns how many lines there were since arm.
func (f *follower) counted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// takeLines returns the lines since the last call.
func (f *follower) takeLines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.lines
	f.lines = nil
	return lines
}

// armFor makes do happen at a moment of the job that comes next, unless quit is closed before. The channel is closed then;
// wait returns when nothing is left of that.
func (n *node) armFor(t *testing.T, pg *playground.Cluster, m moment, do func(), quit <-chan struct{}) (hit <-chan struct{}, wait func()) {
	t.Helper()
	switch m.place {
	case inLog:
		return n.log.arm(m.n, do), func() {}
	case inSQL:
		return n.sql.arm(m.n, do), func() {}
	}
	if text, ok := strings.CutPrefix(m.place, beforeSQL); ok {
		return n.sql.armOnly(regexp.MustCompile(text), m.n, false, do), func() {}
	}
	if text, ok := strings.CutPrefix(m.place, behindSQL); ok {
		return n.sql.armOnly(regexp.MustCompile(text), m.n, true, do), func() {}
	}
	return holdRequest(t, pg, m, do, quit)
}

// disarm counts lines and commands anew, and makes nothing happen.
func (n *node) disarm() {
	n.log.arm(0, nil)
	n.sql.arm(0, nil)
}

// holdRequest makes the cluster hold a request, and sluice crash when it has come, unless quit is closed before. The
// channel is closed then; wait returns when nothing is left of that.
func holdRequest(t *testing.T, pg *playground.Cluster, m moment, crash func(), quit <-chan struct{}) (hit <-chan struct{}, wait func()) {
	t.Helper()
	if m.n > 1 {
		require.NoError(t, pg.InjectFault(t.Context(), noEffect(m.place, m.n-1)))
	}
	require.NoError(t, pg.InjectFault(t.Context(), fault.Rule{RPC: m.place, Kind: fault.Hold, Count: 1}))
	reached := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			hits, err := pg.FaultHits(t.Context())
			if err == nil && slices.ContainsFunc(hits, func(h playground.FaultHit) bool { return h.Rule.Kind == fault.Hold && h.Fired > 0 }) {
				close(reached)
				crash()
				return
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	return reached, watch.Wait
}
