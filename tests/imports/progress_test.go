package imports_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// progressShare is the part of a processor that a Sluice gets whose jobs are to take some time.
const progressShare = 0.12

// progressBench has two Sluices that are held back, which look after each other's jobs.
type progressBench struct {
	*bench
	sluices [2]*instance.Instance
	release [2]func()

	mu      sync.Mutex
	proxies [2]*sql.DB // nil while the Sluice is dead
	job     string
	seen    []jobRow
}

func newProgressBench(t *testing.T) *progressBench {
	cluster := playground.ForTest(t, playground.Options{})
	p := &progressBench{}
	for i := range p.sluices {
		p.sluices[i] = startWith(t, cluster, instance.Options{
			Import: "memory-budget = \"192MiB\"\nthreads = 2\ncheckpoint-interval = \"2s\""})
	}
	p.bench = benchOn(t, cluster, p.sluices[0])
	for i := range p.sluices {
		p.connect(i)
	}
	t.Cleanup(func() {
		for i := range p.sluices {
			p.disconnect(i)
			p.release[i]()
		}
	})
	return p
}

func (p *progressBench) connect(i int) {
	db, err := p.sluices[i].Open("root", "", p.name)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxies[i], p.release[i] = db, p.sluices[i].Throttle(progressShare)
}

func (p *progressBench) disconnect(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proxies[i] != nil {
		require.NoError(p.t, p.proxies[i].Close())
		p.proxies[i] = nil
	}
}

// begin starts a job that has much to compute for each row.
func (p *progressBench) begin(path string) {
	t := p.t
	p.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t "+cleanupTable)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, values, err := rows(t, p.proxies[0], fmt.Sprintf(
		"IMPORT INTO t (id, code, n, @note) SET note = MD5(REPEAT(@note, 20)) FROM '%s' WITH detached, thread=2", path))
	require.NoError(t, err)
	p.job, p.seen = values[0][0], nil
}

// look is SHOW IMPORT JOB through one of the Sluices that live. What it says must not be less than
// what any Sluice said before.
func (p *progressBench) look() jobRow {
	t := p.t
	p.mu.Lock()
	defer p.mu.Unlock()
	db := p.proxies[len(p.seen)%2]
	if db == nil {
		db = p.proxies[(len(p.seen)+1)%2]
	}
	columns, values, err := rows(t, db, "SHOW IMPORT JOB "+p.job)
	require.NoError(t, err)
	row := jobRow{}
	for i, c := range columns {
		row[c] = values[0][i]
	}
	if len(p.seen) > 0 {
		last := p.seen[len(p.seen)-1]
		require.GreaterOrEqual(t, percentIn(t, row, "Progress_Pct"), percentIn(t, last, "Progress_Pct"), "%v after %v", row, last)
		if row["Cur_Step"] == last["Cur_Step"] {
			require.GreaterOrEqual(t, percentIn(t, row, "Cur_Step_Progress_Pct"), percentIn(t, last, "Cur_Step_Progress_Pct"), "%v after %v", row, last)
		}
	}
	p.seen = append(p.seen, row)
	return row
}

func percentIn(t *testing.T, row jobRow, column string) int {
	if row[column] == "NULL" {
		return 0
	}
	n, err := strconv.Atoi(row[column])
	require.NoError(t, err)
	return n
}

// until looks at the job until it is as wanted, which it has to be before it ends.
func (p *progressBench) until(what string, wanted func(row jobRow) bool) jobRow {
	var row jobRow
	eventually(p.t, func() bool {
		if row = p.look(); wanted(row) {
			return true
		}
		require.NotContains(p.t, []string{"finished", "failed", "cancelled"}, row["Status"], "%s: %v", what, row)
		return false
	})
	return row
}

// encodes is for a job that is encoding and has come to a percentage.
func encodes(t *testing.T, percent int) func(jobRow) bool {
	return func(row jobRow) bool {
		return row["Status"] == "running" && row["Cur_Step"] == "encode" && percentIn(t, row, "Progress_Pct") >= percent
	}
}

// saved is what the job's checkpoint says of the source; nothing if there is none.
func (p *progressBench) saved() (s checkpoint.Encoded) {
	var data []byte
	err := p.direct.QueryRowContext(p.t.Context(), "SELECT data FROM sluice.checkpoints WHERE job_id = "+p.job).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return s
	}
	require.NoError(p.t, err)
	state, err := checkpoint.Unmarshal(data)
	require.NoError(p.t, err)
	return state.Encoded
}

// term counts the owners of the job, owner is the present one's number here.
func (p *progressBench) term() (term, owner int) {
	var name string
	require.NoError(p.t, p.direct.QueryRowContext(p.t.Context(), "SELECT term, owner FROM sluice.jobs WHERE id = "+p.job).Scan(&term, &name))
	for i, in := range p.sluices {
		if name != "" && strings.HasSuffix(in.Addr, name[strings.LastIndexByte(name, ':'):]) {
			owner = i
		}
	}
	return term, owner
}

// kill ends the owner like a crash and runs it again; lose takes its sorted rows too.
func (p *progressBench) kill(lose bool) {
	t := p.t
	term, i := p.term()
	p.disconnect(i)
	p.sluices[i].Kill()
	p.release[i]()
	if lose {
		require.NoError(t, os.RemoveAll(p.saved().Dir))
	}
	require.NoError(t, p.sluices[i].Restart(t.Context()))
	p.connect(i)
	p.until("the takeover", func(jobRow) bool {
		now, _ := p.term()
		return now > term
	})
}

// goneOn is from which place of the source the job went on last, as a Sluice has logged it.
func (p *progressBench) goneOn() (bytes []int64) {
	for _, in := range p.sluices {
		lines, err := in.Logged("the job goes on from its checkpoint")
		require.NoError(p.t, err)
		for _, text := range lines {
			var fields struct {
				SourceBytes int64 `json:"source_bytes"`
			}
			require.NoError(p.t, json.Unmarshal([]byte(text[strings.LastIndexByte(text, '\t')+1:]), &fields), text)
			bytes = append(bytes, fields.SourceBytes)
		}
	}
	return bytes
}

// TestProgressGoesOn: what jobs show of their progress, through any Sluice, never falls: not at a pause and a resume, not when
// the owner dies, nor when another one reads the source from its beginning again. It goes on from
// where it was, and stays when the job has ended.
func TestProgressGoesOn(t *testing.T) {
	t.Parallel()
	p := newProgressBench(t)
	path := p.wideFile("wide.csv", 24_000, 1000)
	size, err := os.Stat(path)
	require.NoError(t, err)
	p.begin(path)
	row := p.until("some progress", func(row jobRow) bool { return encodes(t, 4)(row) && p.saved().SourceBytes > 0 })
	require.NotEqual(t, "NULL", row["Cur_Step_Speed"])

	// A pause keeps everything, and the resumed job begins with just that.
	p.mu.Lock()
	_, err = p.proxies[1].ExecContext(t.Context(), "PAUSE IMPORT JOB "+p.job)
	p.mu.Unlock()
	require.NoError(t, err)
	paused := p.look()
	require.Equal(t, "paused", paused["Status"])
	require.Equal(t, []string{"NULL", "NULL", "NULL", "NULL"}, []string{paused["ETA"], paused["Speed"], paused["Cur_Step_ETA"], paused["Cur_Step_Speed"]})
	at := p.saved().SourceBytes
	percent := p.storedPercent()
	p.exec("RESUME IMPORT JOB " + p.job)
	p.until("the resume", func(row jobRow) bool { return row["Status"] == "running" })
	eventually(t, func() bool { return len(p.goneOn()) == 1 })
	require.Equal(t, at, p.goneOn()[0])
	require.GreaterOrEqual(t, p.storedPercent(), percent)
	was := percentIn(t, paused, "Progress_Pct")
	row = p.until("what comes behind the pause", encodes(t, was+1))
	require.LessOrEqual(t, percentIn(t, row, "Progress_Pct"), was+15, "it goes on from where it was")

	// The owner dies, and another, or the next one, goes on.
	row = p.until("a checkpoint behind it", func(row jobRow) bool {
		return p.saved().SourceBytes > at && encodes(t, was+2)(row)
	})
	p.kill(false)
	was = percentIn(t, row, "Progress_Pct")
	row = p.until("what comes behind the crash", encodes(t, was+2))
	require.LessOrEqual(t, percentIn(t, row, "Progress_Pct"), was+15)
	require.Len(t, p.goneOn(), 2)

	// It loses all that was sorted: less is done than before, and the percentage goes on all the same.
	p.kill(true)
	p.until("what comes behind the loss", encodes(t, was+4))
	require.Len(t, p.goneOn(), 2)

	for i := range p.release {
		p.release[i]()
	}
	row = p.until("the end", func(row jobRow) bool { return row["Status"] == "finished" })
	require.Equal(t, "100", row["Progress_Pct"])
	require.NotEqual(t, "NULL", row["Speed"], "that of the whole job")
	require.Equal(t, "24000", row["Imported_Rows"])
	p.consistent("t")
	p.stepsAreKept(size.Size())
}

// storedPercent is the job's percentage as its row has it.
func (p *progressBench) storedPercent() (percent float64) {
	require.NoError(p.t, p.direct.QueryRowContext(p.t.Context(), "SELECT percent FROM sluice.jobs WHERE id = "+p.job).Scan(&percent))
	return percent
}

// stepsAreKept: the row of a finished job has what its steps took.
func (p *progressBench) stepsAreKept(source int64) {
	t := p.t
	var text string
	var kept uint64
	require.NoError(t, p.direct.QueryRowContext(t.Context(), "SELECT steps, total_bytes FROM sluice.jobs WHERE id = "+p.job).Scan(&text, &kept))
	var steps []struct {
		Step    string
		Seconds float64
		Bytes   int64
	}
	require.NoError(t, json.Unmarshal([]byte(text), &steps))
	bytes := map[string]int64{}
	for _, s := range steps {
		require.Positive(t, s.Seconds, s.Step)
		bytes[s.Step] = s.Bytes
	}
	require.Equal(t, source, bytes["encode"])
	for _, step := range []string{"ingest", "checksum", "analyze"} {
		require.EqualValues(t, kept, bytes[step], step)
	}
}

// TestProgressOfAJobThatEndsEarly stays what was shown last.
func TestProgressOfAJobThatEndsEarly(t *testing.T) {
	t.Parallel()
	p := newProgressBench(t)
	path := p.wideFile("wide.csv", 12_000, 1000)
	p.begin(path)
	p.until("some progress", encodes(t, 3))
	p.mu.Lock()
	_, err := p.proxies[1].ExecContext(t.Context(), "CANCEL IMPORT JOB "+p.job)
	p.mu.Unlock()
	require.NoError(t, err)
	row := p.until("the cancellation", func(row jobRow) bool { return row["Status"] == "cancelled" })
	require.Equal(t, []string{"encode", "NULL", "NULL"}, []string{row["Cur_Step"], row["ETA"], row["Cur_Step_ETA"]})
	require.Less(t, percentIn(t, row, "Progress_Pct"), 100)
	require.Positive(t, percentIn(t, row, "Cur_Step_Progress_Pct"))

	// The last row is wrong.
	bad := filepath.Join(p.dir, "bad.csv")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(bad, append(text, "no number,x,1,y\n"...), 0o600))
	p.begin(bad)
	row = p.until("the failure", func(row jobRow) bool { return row["Status"] == "failed" })
	require.Equal(t, []string{"encode", "NULL"}, []string{row["Cur_Step"], row["ETA"]})
	require.Greater(t, percentIn(t, row, "Cur_Step_Progress_Pct"), 50)
	require.Less(t, percentIn(t, row, "Progress_Pct"), 100)
}
