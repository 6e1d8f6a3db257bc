package crash_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
)

// keptTables are tables of the target that hold rows before a restore by SQL: one without a key by which a row that comes twice would be an
// error, and one that gets few rows or none.
var keptTables = []string{"nothing", "parts", "small1"}

// dumpColumns are the tables of the dumps.
func dumpColumns() map[string]string {
	all := map[string]string{}
	for _, d := range dumpTables() {
		all[d.name] = d.columns
	}
	return all
}

// bySQL makes a kind of restore one whose rows go in by SQL, into a database some of whose tables hold rows. They keep these.
func bySQL(k processKind, columns func() map[string]string) processKind {
	statement, drop := k.statement, k.prepare
	k.statement = func(schema, location string, detached bool) string {
		return statement(schema, location, detached) + " BACKEND = tidb"
	}
	kept := slices.DeleteFunc(slices.Clone(keptTables), func(name string) bool { return columns()[name] == "" })
	k.onto = true
	k.prepare = func(t *testing.T, db *sql.DB, schema string) {
		drop(t, db, schema)
		exec := func(stmt string) {
			_, err := db.ExecContext(t.Context(), strings.ReplaceAll(stmt, "$", restoredDB(schema)))
			require.NoError(t, err, stmt)
		}
		exec("CREATE DATABASE `$`")
		for _, name := range kept {
			exec("CREATE TABLE `$`." + name + " " + columns()[name])
			exec("INSERT INTO `$`." + name + " (id) VALUES (-1), (-2), (-3)")
		}
	}
	k.content = func(t *testing.T, db *sql.DB, schema string) []string {
		name := restoredDB(schema)
		for _, table := range kept {
			require.Len(t, queryAll(t, db, "SELECT id FROM `"+name+"`."+table+" WHERE id < 0"), 3, "rows that were there before")
		}
		for _, table := range []string{"large", "orders"} { // what has AUTO_INCREMENT gets ids that no row has
			if columns()[table] == "" {
				continue
			}
			last, err := strconv.Atoi(queryAll(t, db, "SELECT MAX(id) FROM `"+name+"`."+table)[0][0])
			require.NoError(t, err)
			first := 0
			for _, next := range queryAll(t, db, "SHOW TABLE `"+name+"`."+table+" NEXT_ROW_ID") { // one allocator is used, the other one isn't
				n, err := strconv.Atoi(next[3])
				require.NoError(t, err)
				first = max(first, n)
			}
			require.Greater(t, first, last)
		}
		return databaseContent(t, db, name, true)
	}
	return k
}

// incrementalArchive makes an archive that continues another one, and names both: see onBase.
func incrementalArchive(t *testing.T, db *sql.DB, schema string) string {
	live := liveDB(schema)
	makeLive(t, db, live)
	full := brarchive.Backup(t, db, "DATABASE `"+live+"`", brarchive.Options{})
	for _, stmt := range []string{
		"UPDATE `$`.large SET v = CONCAT(LEFT(v, 900), 'changed')", "DELETE FROM `$`.large WHERE id % 3 = 0", "INSERT INTO `$`.large (v) VALUES ('new'), ('newer')",
		"UPDATE `$`.parts SET v = CONCAT(v, 'c') WHERE id % 2 = 0", "INSERT INTO `$`.parts VALUES (-1, ''), (NULL, NULL)", "INSERT INTO `$`.nothing VALUES (7)",
		"CREATE TABLE `$`.later (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARBINARY(1100), KEY (v(20)))", "INSERT INTO `$`.later SELECT * FROM `$`.large",
		"DELETE FROM `$`.later WHERE id % 5 = 0", "CREATE VIEW `$`.few_later AS SELECT id FROM `$`.later WHERE id < 20", "DO NEXTVAL(`$`.given)",
	} {
		_, err := db.ExecContext(t.Context(), strings.ReplaceAll(stmt, "$", live))
		require.NoError(t, err, stmt)
	}
	a := brarchive.Backup(t, db, "DATABASE `"+live+"`", brarchive.Options{LastBackupTS: full.BackupTS})
	return fmt.Sprintf("'%s' LAST_BACKUP = %d /* %s */", a.Location, full.BackupTS, full.Location)
}

// onBase makes a kind of restore one onto what the archive before, whose place is behind the location, has left.
func onBase(k processKind) processKind {
	k.onto = true
	k.base = func(t *testing.T, b *processBench) {
		_, place, _ := strings.Cut(b.location, "/* ")
		core, err := importcore.New(t.Context(), importcore.Config{
			Cluster: cluster.Config{TiDB: []string{b.pg.TiDB}, User: "root", Logger: zap.NewNop()}, SortDir: t.TempDir(), Logger: zap.NewNop(),
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, core.Close()) }()
		from, to := restore.Name{DB: liveDB(b.schema)}, restore.Name{DB: restoredDB(b.schema)}
		plan, err := restore.New(core).Plan(t.Context(), restore.Task{
			JobID: 1, Location: strings.TrimSuffix(place, " */"), Selection: restore.Selection{Databases: []string{from.DB}, Renames: []restore.Rename{{From: from, To: to}}},
			Session: restore.Session{User: "root@%"}, Threads: 2, MemoryBudget: 4 * importcore.MinMemoryBudget,
		})
		require.NoError(t, err)
		_, err = plan.Run(t.Context())
		require.NoError(t, err)
	}
	return k
}
