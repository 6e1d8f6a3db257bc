package brarchive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/stretchr/testify/require"
)

// Each archive is made with CHECKSUM = TRUE: TiDB compares its own sums of each
// table with those of the files, and fails when they differ.
func TestBackupByTiDB(t *testing.T) {
	t.Parallel()
	db := playground.Shared(t).DB(t)
	Shapes(t, db, "backed_up")
	t.Cleanup(func() { Drop(t, db, "backed_up") })
	for name, o := range map[string]Options{
		"zstd": {}, "lz4": {Compression: "lz4"}, "snappy": {Compression: "snappy"},
		"limited": {More: " RATE_LIMIT = 100 MB/SECOND CONCURRENCY = 1"},
		"aes128":  {Method: "aes128-ctr"}, "aes192": {Method: "aes192-ctr"}, "aes256": {Method: "aes256-ctr"},
	} {
		t.Run(name, func(t *testing.T) {
			o.Checksum = true
			a := Backup(t, db, "DATABASE backed_up", o)
			require.NotZero(t, a.BackupTS)
			files := filesIn(t, a.Dir)
			require.NotZero(t, files["_default.sst"])
			require.Greater(t, files["_write.sst"], len(shapes))
		})
	}
	t.Run("one table", func(t *testing.T) {
		whole := filesIn(t, Backup(t, db, "DATABASE backed_up", Options{}).Dir)
		one := filesIn(t, Backup(t, db, "TABLE backed_up.by_hash", Options{Checksum: true}).Dir)
		require.Less(t, one["_write.sst"], whole["_write.sst"])
		require.Zero(t, one["_default.sst"])
	})
}

func TestIncrementalBackupByTiDB(t *testing.T) {
	t.Parallel()
	db := playground.Shared(t).DB(t)
	Shapes(t, db, "changing")
	t.Cleanup(func() { Drop(t, db, "changing") })
	full := Backup(t, db, "DATABASE changing", Options{Checksum: true})
	for _, q := range []string{
		"DELETE FROM changing.int_clustered WHERE id < 0", "UPDATE changing.long_values SET body = CONCAT(body, '+') WHERE id % 3 = 0",
		"INSERT INTO changing.empty VALUES (1, 1)", "CREATE TABLE changing.later (id INT)",
	} {
		_, err := db.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
	next := Backup(t, db, "DATABASE changing", Options{LastBackupTS: full.BackupTS})
	all, changed := filesIn(t, full.Dir), filesIn(t, next.Dir)
	require.Less(t, changed["_write.sst"], all["_write.sst"]/2)
	require.NotZero(t, changed["_default.sst"])
}

// filesIn counts an archive's SSTs by the end of their names.
func filesIn(t *testing.T, dir string) map[string]int {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, "backupmeta"))
	require.NoError(t, err)
	names, err := filepath.Glob(filepath.Join(dir, "*", "*.sst"))
	require.NoError(t, err)
	out := make(map[string]int)
	for _, n := range names {
		out[n[strings.LastIndexByte(n, '_'):]]++
	}
	return out
}
