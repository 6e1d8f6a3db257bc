package restores_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
)

// TestWarningsOutliveTheProcess: what a job has to say of its tables, and what its prechecks said, is told by whoever ends it.
func TestWarningsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$.a-schema.sql", "CREATE TABLE a (i INT PRIMARY KEY)")
	b.file("$.a.csv", "i\n1\n2\n1\n")
	b.file("$.b-schema.sql", "CREATE TABLE b (i INT PRIMARY KEY)")
	b.file("$.b.csv", "i\n7\n7\n8\n9\n")
	b.file("$.s-schema-sequence.sql", "CREATE SEQUENCE s;")
	b.exec("CREATE SEQUENCE s")
	task := b.task()
	task.Options.OnDuplicate = importcore.DuplicateIgnore
	want := b.restore(task).Warnings
	for _, text := range []string{"table `$`.`a`: ", "table `$`.`b`: ", "`$`.`s` exists already"} {
		require.Contains(t, strings.Join(want, "\n"), b.own(text))
	}
	b.exec("DROP TABLE a, b")
	for at, done := 1, false; !done; at++ {
		w := &world{cause: errDied, behind: at%2 == 0, dieAt: (at + 1) / 2}
		if at%3 == 2 {
			w.cause = importcore.ErrPaused
		}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := b.run(ctx, task)
		kill(nil)
		if done = err == nil; !done {
			require.ErrorIs(t, err, w.cause)
			w.dieAt = 0
			require.Equal(t, want, b.restore(task).Warnings, "at save %d", (at+1)/2)
		}
		require.Equal(t, []string{"1", "2"}, b.rows("SELECT * FROM a ORDER BY i"))
		b.exec("DROP TABLE a, b")
		require.False(t, done && at < 8)
	}
}
