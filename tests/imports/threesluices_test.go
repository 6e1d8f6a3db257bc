package imports_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
)

// TestThreeSluices: each of three Sluices accepts jobs, and each of the others shows,
// alters, pauses, resumes and cancels them.
func TestThreeSluices(t *testing.T) {
	t.Parallel()
	b := ownBench(t, playground.Options{RegionSplitSize: 1 << 20, RegionSplitKeys: 3_000})
	sluices := []*instance.Instance{b.sluice, startWith(t, b.cluster, instance.Options{}), startWith(t, b.cluster, instance.Options{})}
	var proxies []*sql.DB
	for _, in := range sluices {
		db, err := in.Open("root", "", b.name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		proxies = append(proxies, db)
	}
	b.exec("CREATE TABLE t " + cleanupTable)
	path := b.csvFile("x.csv", 6_000)
	before := steering(t, b.cluster)
	for owner := range sluices {
		for other := range sluices {
			if other == owner {
				continue
			}
			t.Run(fmt.Sprintf("%d by %d", owner, other), func(t *testing.T) {
				c := &sharedJob{bench: b.in(t), owner: proxies[owner], other: proxies[other], file: path}
				c.begin(sluices[owner])
				c.alter()
				c.do("PAUSE")
				require.Equal(t, "paused", c.shown()["Status"])
				c.holdsNothing(before)
				c.refused("PAUSE", 8171)
				c.do("RESUME")
				require.NoError(t, b.cluster.ClearFaults(t.Context()))
				row := c.ended(c.job)
				require.Equal(t, "finished", row["Status"], row["Result_Message"])
				c.consistent("t")
				require.Equal(t, "6000", c.count("t"))
				b.exec("TRUNCATE TABLE t")

				c.begin(sluices[owner])
				c.do("CANCEL")
				require.Equal(t, "cancelled", c.ended(c.job)["Status"])
				require.NoError(t, b.cluster.ClearFaults(t.Context()))
				c.holdsNothing(before)
				require.Equal(t, "0", c.count("t"))
				c.refused("RESUME", 8171)
				c.do("RETRY")
				require.Equal(t, "finished", c.ended(c.job)["Status"])
				c.consistent("t")
				b.exec("TRUNCATE TABLE t")
			})
		}
	}
}

// sharedJob is a job that one Sluice owns and another one controls.
type sharedJob struct {
	*bench
	owner, other *sql.DB
	file, job    string
}

// begin starts the job and holds it where it writes.
func (c *sharedJob) begin(owner *instance.Instance) {
	t := c.t
	c.inject(fault.Rule{RPC: rpcWrite, Kind: fault.Hold})
	_, values, err := rows(t, c.owner, fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached, thread=2", c.file))
	require.NoError(t, err)
	c.job = values[0][0]
	eventually(t, func() bool { return c.fired(rpcWrite) > 0 })
	require.Equal(t, "running", c.shown()["Status"])
	_, values, err = rows(t, c.direct, "SELECT owner FROM sluice.jobs WHERE id = "+c.job)
	require.NoError(t, err)
	port := owner.Addr[strings.LastIndexByte(owner.Addr, ':'):]
	require.True(t, strings.HasSuffix(values[0][0], port), "%s is not that of %s", values[0][0], owner.Addr)
	_, _, err = rows(t, c.other, fmt.Sprintf("IMPORT INTO t FROM '%s'", c.file))
	_ = requireMySQLError(t, "a second job", err, 8173, "active job")
}

// shown is the job's row as the other Sluice shows it, alone and among all.
func (c *sharedJob) shown() jobRow {
	t := c.t
	columns, one, err := rows(t, c.other, "SHOW IMPORT JOB "+c.job)
	require.NoError(t, err)
	_, all, err := rows(t, c.other, "SHOW IMPORT JOBS WHERE Job_ID = "+c.job)
	require.NoError(t, err)
	require.Len(t, all, 1)
	row := jobRow{}
	for i, name := range columns {
		row[name] = one[0][i]
	}
	return row
}

func (c *sharedJob) do(verb string) {
	_, err := c.other.ExecContext(c.t.Context(), verb+" IMPORT JOB "+c.job)
	require.NoError(c.t, err, verb)
}

func (c *sharedJob) refused(verb string, code uint16) {
	_, err := c.other.ExecContext(c.t.Context(), verb+" IMPORT JOB "+c.job)
	_ = requireMySQLError(c.t, verb, err, code, verb)
}

// alter gives the job other settings, with which it goes on where it is.
func (c *sharedJob) alter() {
	t := c.t
	written := c.fired(rpcWrite)
	_, err := c.other.ExecContext(t.Context(), "ALTER IMPORT JOB "+c.job+" SET thread = 1, max_write_speed = '200MiB'")
	require.NoError(t, err)
	_, values, err := rows(t, c.direct, "SELECT options, settings, term FROM sluice.jobs WHERE id = "+c.job)
	require.NoError(t, err)
	require.Contains(t, values[0][0], `"thread":1`)
	require.Equal(t, []string{"1", "1"}, values[0][1:])
	eventually(t, func() bool { return c.fired(rpcWrite) > written })
}
