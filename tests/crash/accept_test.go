package crash_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
)

// TestAStatementThatFailsHasNoJob cuts a connection of Sluice at each command that it takes to accept a job, before TiDB has it and
// behind it, so that also the answer to the COMMIT is lost: who hears of an error has no job, and who doesn't has one.
func TestAStatementThatFailsHasNoJob(t *testing.T) {
	t.Parallel()
	k := processKindNamed(t, "plain")
	k.source = func(t *testing.T, _ *sql.DB, _ string) string {
		small := kinds(size{files: 1, rowsPerFile: 20})[0]
		return "'" + small.source(t) + "'"
	}
	b := newProcessBench(t, playground.ForTest(t, processCluster), k, 300)
	n := b.startNode(t)
	defer n.close(t)
	c := &killCase{processBench: b, T: t}
	failed, accepted := 0, 0
	commands := 0
	for i := 0; i <= 2*commands; i++ {
		at := (i + 1) / 2
		b.prepare(t, b.db, b.schema)
		before := b.newestJob(t)
		client, err := n.Open("root", "", "")
		require.NoError(t, err)
		require.NoError(t, client.PingContext(t.Context()))
		n.sql.armAt(at, i%2 == 1, func() {})
		_, err = client.ExecContext(t.Context(), b.statement(b.schema, b.location, true))
		if i == 0 {
			commands = n.sql.counted()
		}
		n.sql.arm(0, nil)
		require.NoError(t, client.Close())
		c.job = b.newestJob(t)
		if err != nil {
			require.Equal(t, before, c.job, "at command %d of %d: %v", at, commands, err)
			failed++
			continue
		}
		require.NotEqual(t, before, c.job, "at command %d of %d", at, commands)
		c.waitForEnd(nil)
		require.Equal(t, b.want, b.outcome(t, c.job))
		accepted++
	}
	t.Logf("%d statements failed, %d were accepted", failed, accepted)
	require.Positive(t, failed)
	require.Positive(t, accepted)
}
