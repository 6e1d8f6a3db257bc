package imports_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

const (
	rpcGet   = "Tikv/KvGet"
	careSlow = "a store is slow and gets less"
	careFast = "a store is fast again and gets all it can take"
	careHeld = "sluice_import_held_back_bytes_per_second"
	careRead = "sluice_import_read_latency_seconds_count"
)

// careBench is a job that is to keep to max_latency.
type careBench struct {
	*bench
	job string
}

// TestMaxLatency: while a store is slow to answer reads, the job writes to it as slowly as it ever does, and when the store is fast
// again at the speed that it was given. It is asked for while the job runs; before, nothing is measured.
func TestMaxLatency(t *testing.T) {
	t.Parallel()
	b := &careBench{bench: ownBench(t, playground.Options{Stores: 3, RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})}
	b.exec("CREATE TABLE t " + cleanupTable)
	const rowsIn = 80_000
	path := b.wideFile("x.csv", rowsIn, 1000)
	before := steering(t, b.cluster)
	row, err := b.importInto(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached, thread=2, max_write_speed='4MiB'", path))
	require.NoError(t, err)
	b.job = row["Job_ID"]
	eventually(t, func() bool { return b.sent() > 0 })
	require.Zero(t, scrape(t, b.sluice)[careRead], "it is off")
	b.exec("ALTER IMPORT JOB " + b.job + " SET max_latency = '500ms'")
	eventually(t, func() bool { return scrape(t, b.sluice)[careRead] > 3 })

	// TiDB's point reads there are slow as well: what it keeps its own tables in is at the first store.
	state, err := b.cluster.State(t.Context())
	require.NoError(t, err)
	slow := state.Stores[2].ID
	b.inject(fault.Rule{Store: slow, RPC: rpcGet, Kind: fault.Slow, Delay: 1200 * time.Millisecond})
	const least = `"bytes_per_second": 1048576`
	eventually(t, func() bool { return len(b.logged(careSlow, least)) > 0 })
	for _, line := range b.logged(careSlow) {
		require.Contains(t, line, fmt.Sprintf(`"store": %d,`, slow))
		require.Contains(t, line, `"job": `+b.job)
	}
	began, sent := time.Now(), b.sent()
	const more = 3 << 20
	eventually(t, func() bool { return b.sent() >= sent+more })
	sent, took := b.sent()-sent, time.Since(began)
	require.Less(t, sent-1<<20, took.Seconds()*(1<<20), "what was on its way, and 1 MiB per second")
	values := scrape(t, b.sluice)
	require.EqualValues(t, 1<<20, values[careHeld])
	require.EqualValues(t, len(b.logged(careSlow)), values["sluice_import_slowdowns_total"])
	require.Positive(t, values[careRead])
	require.Empty(t, b.logged(careFast))

	require.NoError(t, b.cluster.ClearFaults(t.Context()))
	eventually(t, func() bool { return len(b.logged(careFast)) > 0 })
	require.Empty(t, b.logged("import job ended"), "there is something left for the full speed")
	row = b.ended(b.job)
	require.Equal(t, "finished", row["Status"], row["Result_Message"])
	require.Contains(t, row["Result_Message"], "stores were written to more slowly, because their answers took up to 1s (max_latency is 500ms)")
	require.Zero(t, scrape(t, b.sluice)[careHeld])
	require.Equal(t, fmt.Sprint(rowsIn), b.count("t"))
	b.consistent("t")
	b.holdsNothing(before)
}

// sent is how many bytes of pairs the stores have been given, as of now: SHOW has the counters brought up to date.
func (b *careBench) sent() float64 {
	_, _, err := rows(b.t, b.proxy, "SHOW IMPORT JOB "+b.job)
	require.NoError(b.t, err)
	return scrape(b.t, b.sluice)[`sluice_import_step_bytes_total{step="ingest"}`]
}

// logged returns the lines of Sluice's log that have all of these.
func (b *careBench) logged(texts ...string) (found []string) {
	lines, err := b.sluice.Logged(texts[0])
	require.NoError(b.t, err)
	for _, line := range lines {
		all := true
		for _, text := range texts[1:] {
			all = all && strings.Contains(line, text)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}
