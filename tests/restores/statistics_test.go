package restores_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// statistics are those of a database's tables and partitions, by their names, as of a snapshot or, with "", now. The
// size of an index is left out, which LOAD STATS drops.
func (b *bench) statistics(db, snapshot string) map[string][]string {
	b.t.Helper()
	names := map[string]string{}
	for _, row := range b.rows("SELECT tidb_table_id, table_name FROM information_schema.tables WHERE table_schema = '" + db + "' AND table_type = 'BASE TABLE' UNION ALL " +
		"SELECT tidb_partition_id, CONCAT(table_name, '/', partition_name) FROM information_schema.partitions WHERE table_schema = '" + db + "' AND partition_name IS NOT NULL") {
		id, name, _ := strings.Cut(row, "|")
		names[id] = name
	}
	b.db.SetMaxOpenConns(1)
	defer b.db.SetMaxOpenConns(0)
	b.exec("SET tidb_snapshot = '" + snapshot + "'")
	defer b.exec("SET tidb_snapshot = ''")
	out := map[string][]string{}
	for _, query := range []string{
		"SELECT table_id, 'meta', count, modify_count FROM mysql.stats_meta",
		"SELECT table_id, 'histogram', is_index, hist_id, distinct_count, null_count, IF(is_index, 0, tot_col_size), stats_ver, ROUND(correlation, 6) FROM mysql.stats_histograms WHERE stats_ver > 0",
		"SELECT table_id, 'bucket', is_index, hist_id, bucket_id, count, repeats, HEX(lower_bound), HEX(upper_bound), ndv FROM mysql.stats_buckets",
		"SELECT table_id, 'top', is_index, hist_id, HEX(value), count FROM mysql.stats_top_n",
	} {
		for _, row := range b.rows(query) {
			id, rest, _ := strings.Cut(row, "|")
			if name := names[id]; name != "" {
				out[name] = append(out[name], rest)
			}
		}
	}
	return out
}

// TestArchiveStatistics: the statistics of an archive are those of the tables that are made of it, with those of each partition; tables
// without any are analysed, also where the archive's are damaged.
func TestArchiveStatistics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := b.own("$_live")
	tables := brarchive.Shapes(t, b.db, live)
	b.drop(live, b.own("$_again"))
	for _, name := range tables {
		if name != "auto_rand" { // never analysed
			b.exec("ANALYZE TABLE `$_live`.`" + name + "`")
		}
	}
	task, made := b.again(brarchive.Options{More: "IGNORE_STATS = FALSE"})
	require.NotEmpty(t, b.statsFiles(made))
	want := b.statistics(live, b.rows("SELECT TIDB_PARSE_TSO(" + fmt.Sprint(made.BackupTS) + ")")[0])

	task.Options.LoadStats, task.Options.Analyze = true, importcore.AnalyzeOptional
	same := func(sum *restore.Summary) {
		t.Helper()
		for _, w := range sum.Warnings {
			require.NotContains(t, w, "statistics")
		}
		have := b.statistics(b.own("$_again"), "")
		for name, stats := range want {
			if name != "auto_rand" {
				require.ElementsMatch(t, stats, have[name], name)
			}
		}
	}
	same(b.restore(task))
	have := b.statistics(b.own("$_again"), "")
	require.Contains(t, want, "by_hash/p3")
	require.Equal(t, "1", b.rows("SELECT COUNT(DISTINCT version) FROM mysql.stats_histograms WHERE stats_ver > 0 AND table_id IN (SELECT tidb_table_id FROM information_schema.tables " +
		"WHERE table_schema = '$_again' AND table_name = 'int_clustered')")[0], "its columns' statistics were not loaded one by one")
	require.Contains(t, strings.Join(have["auto_rand"], "\n"), "histogram|", "the archive has no statistics of it, so it was analysed")
	require.Eventually(t, func() bool { // a server's view of the statistics follows what is stored
		return len(b.rows("SHOW STATS_META WHERE Db_name = '$_again' AND Table_name = 'int_clustered' AND Row_count = 1000")) > 0
	}, time.Minute, 50*time.Millisecond, "the server knows them")
	b.exec("DROP DATABASE `$_again`")

	// A job that dies when tables have their statistics, and that isn't noted yet, brings these in once more.
	died := task
	w := &world{cause: errDied}
	died.Checkpoints = w
	ctx, kill := context.WithCancelCause(t.Context())
	w.kill = kill
	died.Events = func(e restore.Event) {
		if e.State == restore.TableDone {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.dieAt = 1
		}
	}
	_, err := b.run(ctx, died)
	kill(nil)
	require.ErrorIs(t, err, errDied)
	w.dieAt, died.Events = 0, nil
	require.Contains(t, strings.Join(b.statistics(b.own("$_again"), "")["int_clustered"], "\n"), "histogram|")
	same(b.restore(died))
	b.exec("DROP DATABASE `$_again`")

	task.Options.LoadStats, task.Options.Analyze = false, importcore.AnalyzeOff
	b.restore(task)
	require.NotContains(t, strings.Join(b.statistics(b.own("$_again"), "")["int_clustered"], "\n"), "histogram|")
	b.exec("DROP DATABASE `$_again`")

	task.Options.LoadStats, task.Options.Analyze = true, importcore.AnalyzeOptional
	victim := b.statsFiles(made)[0]
	data, err := os.ReadFile(victim)
	require.NoError(t, err)
	data[len(data)/2] ^= 4
	require.NoError(t, os.WriteFile(victim, data, 0o600))
	sum := b.restore(task)
	require.Contains(t, strings.Join(sum.Warnings, "\n"), filepath.Base(victim))
	have = b.statistics(b.own("$_again"), "")
	for name, stats := range want {
		if strings.Contains(strings.Join(stats, "\n"), "histogram|") {
			require.Contains(t, strings.Join(have[name], "\n"), "histogram|", name)
		}
	}
	b.exec("DROP DATABASE `$_again`")

	require.NoError(t, os.Remove(victim))
	b.fails(task, filepath.Base(victim), "is missing", "LOAD_STATS = FALSE")
	task.Options.LoadStats = false
	b.restore(task)
}

// statsFiles are an archive's files with statistics.
func (b *bench) statsFiles(made brarchive.Archive) []string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(made.Dir, "backupmeta.schema.stats.*"))
	require.NoError(b.t, err)
	return files
}
