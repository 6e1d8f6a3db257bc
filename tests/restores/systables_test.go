package restores_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// ours are the test's accounts, who has which role, and its bindings.
func (b *bench) ours() []string {
	b.t.Helper()
	list := append(b.rows("SELECT user, authentication_string FROM mysql.user WHERE user LIKE '$%' ORDER BY 1"),
		b.rows("SELECT from_user, to_user FROM mysql.role_edges WHERE from_user LIKE '$%'")...)
	return append(list, b.rows("SELECT original_sql FROM mysql.bind_info WHERE original_sql LIKE '%$%' AND status <> 'deleted'")...)
}

// TestSystemTablesInterrupted: whenever a job is interrupted, accounts and bindings are there once in the end, and the ones that others make meanwhile are never
// touched. It is not parallel to others: an archive of everything has their accounts too.
func TestSystemTablesInterrupted(t *testing.T) {
	b := newBench(t)
	gone := []string{"DROP DATABASE IF EXISTS `$_live`", "DROP USER IF EXISTS `$_a`, `$_b`, `$_role`", "DROP GLOBAL BINDING FOR SELECT * FROM `$_live`.t WHERE a = 1"}
	t.Cleanup(func() {
		for _, sql := range gone {
			_, err := b.db.ExecContext(context.WithoutCancel(t.Context()), b.own(sql))
			require.NoError(t, err)
		}
	})
	b.exec("CREATE DATABASE `$_live`", "CREATE TABLE `$_live`.t (a INT, KEY (a))", "INSERT INTO `$_live`.t VALUES (1), (2)", "CREATE USER `$_a` IDENTIFIED BY 'x', `$_b`",
		"CREATE ROLE `$_role`", "GRANT `$_role` TO `$_a`", "CREATE GLOBAL BINDING FOR SELECT * FROM `$_live`.t WHERE a = 1 USING SELECT * FROM `$_live`.t USE INDEX (a) WHERE a = 1")
	want := b.ours()
	require.Len(t, want, 5)
	made := brarchive.Backup(t, b.db, "DATABASE *", brarchive.Options{})
	b.exec(gone...)
	require.Empty(t, b.ours())
	task := b.task()
	task.Location = made.Location
	task.Selection = restore.Selection{Everything: true, Filters: []string{b.own("$_live.*"), "mysql.*"}}
	task.Options.SystemTables = true

	b.othersMakeAccounts(task)

	unknown := 0 // how often the accounts were there when the job went on, and it did not know
	for at := 1; ; at++ {
		w := &world{cause: errDied, behind: at%2 == 0, dieAt: at}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := b.run(ctx, task)
		kill(nil)
		if err == nil {
			require.Equal(t, want, b.ours())
			require.Positive(t, unknown)
			return
		}
		require.ErrorIs(t, err, errDied)
		w.dieAt = 0
		added := len(b.ours()) > 0
		if added {
			unknown++
		}
		if at%3 == 0 && !added {
			_, err := b.restorer.Abandon(t.Context(), task)
			require.NoError(t, err)
			require.Empty(t, b.ours())
		} else {
			saved := w.data
			b.restore(task)
			require.Equal(t, want, b.ours())
			require.Equal(t, []string{"1", "2"}, b.rows("SELECT a FROM `$_live`.t ORDER BY 1"))
			if added {
				w.data = saved
				fate, err := b.restorer.Abandon(t.Context(), task)
				require.NoError(t, err)
				require.Contains(t, fate, "left behind: the archive's accounts, privileges and bindings, which may have been added, all or none of them")
				require.Equal(t, want, b.ours())
			}
		}
		b.exec(gone...)
	}
}

// othersMakeAccounts: an account that somebody makes after the checks ends the job, which takes away what it has made.
func (b *bench) othersMakeAccounts(task restore.Task) {
	b.t.Helper()
	plan, err := b.restorer.Plan(b.t.Context(), task)
	require.NoError(b.t, err)
	b.exec("CREATE USER `$_b` IDENTIFIED BY 'another'")
	theirs := b.ours()
	_, err = plan.Run(b.t.Context())
	require.ErrorContains(b.t, err, b.own("accounts of the archive were made by others while the restore went on, such as `$_b`@`%`"))
	require.EqualValues(b.t, 1396, fault.As(err).Code)
	require.NotContains(b.t, err.Error(), "left behind")
	require.Equal(b.t, theirs, b.ours())
	require.Empty(b.t, b.rows("SHOW DATABASES LIKE '$\\_live'"))
	b.exec("DROP USER `$_b`")
}
