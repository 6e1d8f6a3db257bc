package archive_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/archive/physical"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/playground"
)

// remake makes the archive's tables anew in another database.
func remake(t *testing.T, c *cluster.Cluster, db *sql.DB, from *archive.Database, to string) []physical.Target {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	run := func(q string) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
	run("SET time_zone = '+00:00', sql_mode = '', foreign_key_checks = 0")
	run(define.Database(from.Info, to))
	run("USE " + quoted(to))
	var targets []physical.Target
	for _, table := range from.Tables {
		if table.Info.IsView() || table.Info.IsSequence() {
			continue
		}
		making, err := define.Make(table.Info)
		require.NoError(t, err)
		for _, q := range append([]string{making.Create}, making.Alter...) {
			run(q)
		}
		info, _, err := c.LoadTable(t.Context(), to, table.Info.Name.O)
		require.NoError(t, err)
		targets = append(targets, physical.Target{From: table, DB: to, To: info})
	}
	return targets
}

func downloadOptions(t *testing.T) ingest.DownloadOptions {
	return ingest.DownloadOptions{Options: ingest.Options{
		Concurrency: 4, RegionSplitSize: 4 << 10, Logger: zaptest.NewLogger(t), Backoff: ingest.Backoff{Base: 5 * time.Millisecond, Max: 100 * time.Millisecond},
	}}
}

// requireSame compares two tables row by row, and the second one's indexes with its rows.
func requireSame(t *testing.T, db *sql.DB, a, b string) {
	t.Helper()
	exec(t, db, "ADMIN CHECK TABLE "+b)
	for _, q := range []string{
		"SELECT COUNT(*) FROM %[1]s", "SELECT COUNT(*) FROM %[2]s",
		"SELECT (SELECT COUNT(*) FROM %[1]s) + (SELECT COUNT(*) FROM (SELECT * FROM %[1]s EXCEPT SELECT * FROM %[2]s) x)",
	} {
		var n, want int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+a).Scan(&want))
		require.NoError(t, db.QueryRowContext(t.Context(), fmt.Sprintf(q, a, b)).Scan(&n))
		require.Equal(t, want, n, "%s: %s", a, q)
	}
}

// TestRestoreBesideTheLiveOne: an archive of live tables is restored under another name, and both hold the same.
func TestRestoreBesideTheLiveOne(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	brarchive.Shapes(t, db, "live")
	defer brarchive.Drop(t, db, "live")
	for kind, options := range kinds {
		a := openArchive(t, brarchive.Backup(t, db, "DATABASE live", options))
		name := "beside_" + kind
		targets := remake(t, c, db, a.Databases[0], name)
		plan, err := physical.NewPlan(a, targets)
		require.NoError(t, err)
		require.Positive(t, plan.Bytes())
		require.NoError(t, c.RaiseTSO(t.Context(), a.EndTS))
		stats, err := plan.Run(t.Context(), c, downloadOptions(t), nil)
		require.NoError(t, err)
		require.Greater(t, stats.Regions, 1)
		sums, err := plan.Verify(t.Context(), c, "job-1", 0)
		require.NoError(t, err)
		for i, target := range targets {
			require.Equal(t, target.From.FileSum, sums[i])
			requireSame(t, db, quoted("live", target.To.Name.O), quoted(name, target.To.Name.O))
		}
		brarchive.Drop(t, db, name)
	}
	requireNoViolations(t, pg)
}

func requireNoViolations(t *testing.T, pg *playground.Cluster) {
	t.Helper()
	state, err := pg.State(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.Violations)
}

// TestRestoreGoesOn: what a run that ended early has told to be done is not downloaded again, and nothing is missing in the end.
func TestRestoreGoesOn(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	brarchive.Shapes(t, db, "early")
	defer brarchive.Drop(t, db, "early", "early_again")
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE early", brarchive.Options{}))
	targets := remake(t, c, db, a.Databases[0], "early_again")
	plan, err := physical.NewPlan(a, targets)
	require.NoError(t, err)

	stop := make(chan struct{})
	var done checkpoint.Ranges
	opts := downloadOptions(t)
	opts.Concurrency, opts.Stop = 1, stop
	opts.Done = func(start, end []byte, _, _ int64) {
		if done = done.Add(checkpoint.Range{Start: start, End: end}); len(done) == 3 {
			close(stop)
		}
	}
	first, err := plan.Run(t.Context(), c, opts, nil)
	require.ErrorIs(t, err, ingest.ErrStopped)
	_, err = plan.Verify(t.Context(), c, "", 0)
	require.ErrorContains(t, err, "checksum mismatched")
	require.ErrorContains(t, err, "`early_again`.`long_values`")

	opts = downloadOptions(t)
	second, err := plan.Run(t.Context(), c, opts, done)
	require.NoError(t, err)
	all, err := plan.Run(t.Context(), c, opts, nil) // the same pairs again change nothing
	require.NoError(t, err)
	require.Less(t, second.SSTs, all.SSTs)
	require.Positive(t, first.SSTs)
	_, err = plan.Verify(t.Context(), c, "", 0)
	require.NoError(t, err)
	for _, target := range targets {
		requireSame(t, db, quoted("early", target.To.Name.O), quoted("early_again", target.To.Name.O))
	}
	requireNoViolations(t, pg)
}

// TestRestoreOfDamage: a file that is damaged, cut or missing is an error that names it.
func TestRestoreOfDamage(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	brarchive.Shapes(t, db, "damage")
	defer brarchive.Drop(t, db, "damage", "damaged")
	made := brarchive.Backup(t, db, "DATABASE damage", brarchive.Options{})
	a := openArchive(t, made)
	targets := remake(t, c, db, a.Databases[0], "damaged")
	plan, err := physical.NewPlan(a, targets)
	require.NoError(t, err)
	var victim string
	for _, table := range a.Databases[0].Tables {
		if table.Info.Name.L == "long_values" {
			victim = table.Parts[0].Write.Key
		}
	}
	path := filepath.Join(made.Dir, victim)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for what, change := range map[string]func() error{
		"cut":     func() error { return os.WriteFile(path, whole[:len(whole)/2], 0o600) },
		"missing": func() error { return os.Remove(path) },
		"flipped": func() error {
			bytes := append([]byte{}, whole...)
			bytes[len(bytes)/3] ^= 0x10
			return os.WriteFile(path, bytes, 0o600)
		},
	} {
		require.NoError(t, change())
		_, err := plan.Run(t.Context(), c, downloadOptions(t), nil)
		require.ErrorContains(t, err, victim, what)
		require.Equal(t, fault.Source, fault.As(err).Whose, what)
		require.False(t, strings.Contains(err.Error(), "after 40 retries"), what)
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
}

// TestRestoreThatDoesNotFit: tables of the target with another structure are refused, all of them by name.
func TestRestoreThatDoesNotFit(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	exec(t, db, "CREATE DATABASE unfit", "CREATE TABLE unfit.moved (a INT, b INT, c INT)", "ALTER TABLE unfit.moved DROP COLUMN b",
		"CREATE TABLE unfit.shorter (a INT, b INT)", "ALTER TABLE unfit.shorter DROP COLUMN b",
		"CREATE TABLE unfit.same (a INT PRIMARY KEY)",
		"INSERT INTO unfit.moved VALUES (1, 3)")
	defer brarchive.Drop(t, db, "unfit", "unfit_again")
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE unfit", brarchive.Options{}))
	remade := remake(t, c, db, a.Databases[0], "unfit_again")
	for i, table := range remade {
		q, err := define.Table(table.To) // at once, with other ids than the archive's
		require.NoError(t, err)
		exec(t, db, "DROP TABLE "+quoted("unfit_again", table.To.Name.O), strings.Replace(q, "TABLE ", "TABLE unfit_again.", 1))
		remade[i].To, _, err = c.LoadTable(t.Context(), "unfit_again", table.To.Name.O)
		require.NoError(t, err)
	}
	_, err := physical.NewPlan(a, remade)
	require.ErrorContains(t, err, "the table moved of the archive doesn't fit its target: its column c has the id 3, that of the target 2")
	require.ErrorContains(t, err, "the table shorter of the archive doesn't fit its target: its columns had ids up to 2, those of the target up to 1")
	require.NotContains(t, err.Error(), "same")
	require.Equal(t, fault.User, fault.As(err).Whose)
}
