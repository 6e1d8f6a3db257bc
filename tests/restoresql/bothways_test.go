package restoresql_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// eachWay runs a test for both ways that rows take into TiDB, and for the one into MariaDB; backend is the option that asks for it.
func eachWay(t *testing.T, f func(t *testing.T, b *bench, backend string)) {
	t.Parallel()
	for _, way := range []struct {
		name    string
		server  func(*testing.T) *server
		backend string
	}{{"local", onTiDB, " BACKEND = LOCAL"}, {"tidb", onTiDB, " BACKEND = TIDB"}, {"MariaDB", onMariaDB, ""}} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			f(t, newBench(t, way.server(t)), way.backend)
		})
	}
}

// tidb tells whether there is TiDB at the other end.
func tidb(backend string) bool { return backend != "" }

// session runs statements in a session of its own, through the proxy, and returns what runs more in it.
func (b *bench) session(statements ...string) (exec func(string)) {
	b.t.Helper()
	db, err := b.sluice.Open("root", "", "")
	require.NoError(b.t, err)
	db.SetMaxOpenConns(1)
	b.t.Cleanup(func() { require.NoError(b.t, db.Close()) })
	exec = func(stmt string) {
		b.t.Helper()
		_, err := db.ExecContext(b.t.Context(), b.own(stmt))
		require.NoError(b.t, err, stmt)
	}
	for _, s := range statements {
		exec(s)
	}
	return exec
}

// finished waits for the test's last job.
func (b *bench) finished() map[string]string {
	b.t.Helper()
	id := b.column(b.proxy, "SELECT MAX(id) FROM sluice.jobs WHERE data_source LIKE '%@dir%'")[0]
	return b.becomes(id, "finished")
}

// TestSessionHolds: what the session says of values, texts and times holds for the whole job, detached or not, as for its own INSERTs.
func TestSessionHolds(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		columns, insert := "id INT PRIMARY KEY, ts TIMESTAMP NULL, s VARCHAR(3), d DATE", "INSERT INTO t (id, ts, s, d)"
		if tidb(backend) { // MariaDB keeps no column whose value depends on a session
			columns += ", w INT AS (WEEK(d)) STORED, e VARCHAR(100) AS (HEX(AES_ENCRYPT(s, '0123456789012345'))) STORED"
		}
		b.file("$_a.t-schema.sql", "CREATE TABLE t ("+columns+");\n")
		b.file("$_a.t.1.csv", "id,ts,s,d\n1,2026-07-02 03:04:05,longer,2026-01-04\n2,\\N,x,2026-02-30\n")
		b.file("$_a.t.2.sql", `INSERT INTO t (id, ts, s, d) VALUES (3,'1999-12-31 23:30:00','a\n',"2027-01-03");`+"\n")
		exec := b.session("SET time_zone = '+05:30'", "SET sql_mode = 'ALLOW_INVALID_DATES,NO_BACKSLASH_ESCAPES'", "SET default_week_format = 3")
		if tidb(backend) {
			exec("SET block_encryption_mode = 'aes-192-ecb'")
		}
		exec("CREATE DATABASE `$_want`")
		exec("USE `$_want`")
		exec("CREATE TABLE t (" + columns + ")")
		exec(insert + " VALUES (1, '2026-07-02 03:04:05', 'longer', '2026-01-04'), (2, NULL, 'x', '2026-02-30')")
		exec(insert + ` VALUES (3, '1999-12-31 23:30:00', 'a\n', '2027-01-03')`)
		query := "SELECT *, UNIX_TIMESTAMP(ts) FROM `$_%s`.t ORDER BY id"
		want := b.column(b.direct, fmt.Sprintf(query, "want"))
		require.Contains(t, want[0], "lon|2026-01-04")
		require.Contains(t, want[2], `a\n|`)
		for name, detached := range map[string]string{"a": "", "b": " DETACHED"} {
			exec("RESTORE DATABASE `$_a` AS `$_" + name + "` FROM '@dir'" + backend + detached)
			b.finished()
			require.Equal(t, want, b.column(b.direct, fmt.Sprintf(query, name)), detached)
		}
	})
}

// TestOneNow: a job has one NOW(), in the session's time zone, for all rows of all tables.
func TestOneNow(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		var all []string
		for _, table := range []string{"t", "u", "v"} {
			b.file("$_a."+table+"-schema.sql", "CREATE TABLE x (id INT PRIMARY KEY, at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), ts TIMESTAMP(6) DEFAULT NOW(6));\n")
			b.file("$_a."+table+".1.csv", "id\n1\n2\n")
			b.file("$_a."+table+".2.csv", "id\n3\n")
			all = append(all, "SELECT at, ts FROM `$_a`."+table)
		}
		exec := b.session("SET time_zone = '+09:00'")
		exec("RESTORE DATABASE `$_a` FROM '@dir'" + backend)
		union := strings.Join(all, " UNION ALL ")
		require.Equal(t, []string{"1|1|9"}, b.column(b.direct, "SELECT COUNT(DISTINCT at), COUNT(DISTINCT ts), COUNT(*) FROM ("+union+") AS x"))
		require.Equal(t, []string{"9"}, b.column(b.direct, "SELECT ROUND(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), at) / 60) FROM `$_a`.t WHERE id = 1"))
		require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT ABS(UNIX_TIMESTAMP(ts) - UNIX_TIMESTAMP()) < 1800 FROM `$_a`.t WHERE id = 1"))
	})
}

// TestHeaders: by COLUMNS and FIELDS the first line names columns, in whatever order and case; by a number so many lines are left out.
// STRICT_FORMAT asks for no line terminator.
func TestHeaders(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		b.file("$_a.t-schema.sql", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), w INT DEFAULT 7);\n")
		for _, kind := range []struct{ options, text string }{
			{"CSV_HEADER = COLUMNS", "V,id\nx,1\ny,2\n"}, {"CSV_HEADER = FIELDS STRICT_FORMAT = TRUE", "V,id\nx,1\ny,2\n"},
			{"CSV_HEADER = 0", "1,x,7\n2,y,7\n"}, {"CSV_HEADER = 1 STRICT_FORMAT = TRUE", "v,id,none such\n1,x,7\n2,y,7\n"}, {"CSV_HEADER = 2", "\"one,\nid,v\n1,x,7\n2,y,7\n"},
		} {
			b.file("$_a.t.csv", kind.text)
			b.exec("RESTORE DATABASE `$_a` FROM '@dir' "+kind.options+backend, "CREATE DATABASE IF NOT EXISTS `$_a`")
			require.Equal(t, []string{"1|x|7", "2|y|7"}, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY id"), kind.options)
			b.exec("DROP DATABASE `$_a`")
		}

		// What is wrong with the headers of any table is told before one is made.
		b.file("$_a.t.csv", "id,x\n1,2\n")
		b.file("$_a.u-schema.sql", "CREATE TABLE u (id INT PRIMARY KEY, g INT AS (id + 1));\n")
		b.file("$_a.u.csv", "g,ID\n2,1\n")
		b.file("$_a.v-schema.sql", "CREATE TABLE v (id INT);\n")
		b.file("$_a.v.csv", "id,Id\n1,2\n")
		message := b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'"+backend, 1054, "Unknown column 'x'", "$_a.t.csv, line 1", "csv_header: Column 'Id' specified twice", "$_a.v.csv, line 1")
		require.NotContains(t, message, "restore job")
		require.Empty(t, b.databases())
		b.exec("CREATE DATABASE `$_a`", "CREATE TABLE `$_a`.u (id INT PRIMARY KEY, g INT AS (id + 1))", "RESTORE TABLE `$_a`.u FROM '@dir'"+backend)
		require.Equal(t, []string{"1|2"}, b.column(b.direct, "SELECT * FROM `$_a`.u"))
		b.file("$_a.u.csv", "id,more\n2,1\n")
		b.exec("TRUNCATE TABLE `$_a`.u")
		b.fails(b.proxy, "RESTORE TABLE `$_a`.u FROM '@dir' SKIP_SCHEMA_FILES = TRUE"+backend, 1054, "Unknown column 'more'", "$_a.u.csv, line 1")
	})
}

// collisions writes a dump of rows many of which share a key, in files of both formats and in an order that is not that of their names,
// and returns it as statements.
func (b *bench) collisions() (schema string, rows []string) {
	b.t.Helper()
	schema = "(a INT, b VARCHAR(9) COLLATE utf8mb4_general_ci, c INT, v INT, PRIMARY KEY (a), UNIQUE KEY (b), UNIQUE KEY (c))"
	b.file("$_a.t-schema.sql", "CREATE TABLE t "+schema+";\n")
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // rows, not secrets
	var texts [4]strings.Builder
	for file := range texts {
		csv := file%2 == 0
		for row := range 60 {
			c := "NULL"
			if random.IntN(4) > 0 {
				c = fmt.Sprint(random.IntN(100))
			}
			a, letters := random.IntN(100), string(rune('a'+random.IntN(26)))+string(rune('A'+random.IntN(8)))
			if random.IntN(2) == 0 {
				letters = strings.ToUpper(letters)
			}
			line := fmt.Sprintf("(%d,'%s',%s,%d)", a, letters, c, file*100+row)
			rows = append(rows, line)
			if csv {
				fmt.Fprintf(&texts[file], "%d,%s,%s,%d\n", a, letters, strings.ReplaceAll(c, "NULL", `\N`), file*100+row)
				continue
			}
			fmt.Fprintf(&texts[file], "INSERT INTO `t` VALUES %s;\n", line)
		}
	}
	for file, name := range []string{"$_a.t.csv", "$_a.t.2.sql", "$_a.t.10.csv", "$_a.t.0011.sql"} {
		b.file(name, texts[file].String())
	}
	return schema, rows
}

// TestDuplicatesEachWay: of rows with equal keys the same are kept whichever way they take: those that REPLACE and INSERT IGNORE, row by row
// in the order of the files, leave.
func TestDuplicatesEachWay(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		schema, rows := b.collisions()
		for strategy, insert := range map[string]string{"REPLACE": "REPLACE", "IGNORE": "INSERT IGNORE"} {
			b.exec("CREATE DATABASE `$_want`", "CREATE TABLE `$_want`.t "+schema)
			b.exec(insert + " INTO `$_want`.t VALUES " + strings.Join(rows, ", "))
			want := b.column(b.direct, "SELECT * FROM `$_want`.t ORDER BY a")
			require.Less(t, len(want), len(rows)/2)
			b.exec("RESTORE DATABASE `$_a` FROM '@dir' CSV_HEADER = 0 ON_DUPLICATE = " + strategy + backend)
			require.Equal(t, want, b.column(b.direct, "SELECT * FROM `$_a`.t ORDER BY a"), strategy)
			b.exec("DROP DATABASE `$_a`", "DROP DATABASE `$_want`")
		}
		b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir' CSV_HEADER = 0"+backend, 1062, "Duplicate entry", "$_a.t")
		require.Empty(t, b.databases())
	})
}

// TestTablesWithRows: BACKEND = local, which is the default, refuses tables that hold rows and names them all; tidb takes them.
func TestTablesWithRows(t *testing.T) {
	t.Parallel()
	b := newBench(t, onTiDB(t))
	b.exec("CREATE DATABASE `$_a`")
	var names []string
	for i := range 5 {
		table := fmt.Sprintf("t%d", i)
		b.file("$_a."+table+"-schema.sql", "CREATE TABLE t (a INT);\n")
		b.file("$_a."+table+".csv", "a\n1\n")
		b.exec("CREATE TABLE `$_a`." + table + " (a INT)")
		if i != 2 {
			b.exec("INSERT INTO `$_a`." + table + " VALUES (7)")
			names = append(names, b.own("`$_a`.`"+table+"`"))
		}
	}
	for _, backend := range []string{"", " BACKEND = LOCAL", " BACKEND = LOCAL ON_DUPLICATE = REPLACE"} {
		b.fails(b.proxy, "RESTORE DATABASE `$_a` FROM '@dir'"+backend, 8173, "hold rows already: "+strings.Join(names, ", "))
		require.Empty(t, b.column(b.direct, "SELECT * FROM `$_a`.t2"))
	}
	b.exec("CREATE TABLE `$_a`.untouched (a INT)", "INSERT INTO `$_a`.untouched VALUES (5)", "RESTORE DATABASE `$_a` FROM '@dir' BACKEND = TIDB")
	require.Equal(t, []string{"1|7"}, b.column(b.direct, "SELECT MIN(a), MAX(a) FROM `$_a`.t0"))
	require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT a FROM `$_a`.t2"))
	require.Equal(t, []string{"5"}, b.column(b.direct, "SELECT a FROM `$_a`.untouched"))
}

// TestNextIDs: the next automatic ids lie behind those that the dump's rows have and those that its schema names, also in tables that were there.
func TestNextIDs(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		tables := map[string]string{
			"behind_rows": "(id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT=3", "behind_schema": "(id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT=500000",
			"no_first": "(v INT, id INT UNSIGNED AUTO_INCREMENT UNIQUE KEY)", "no_key": "(id INT, v INT)",
		}
		if tidb(backend) {
			tables["randomly"] = "(id BIGINT AUTO_RANDOM(3) PRIMARY KEY, v INT)"
			tables["cached"] = "(id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_ID_CACHE=1"
		}
		b.exec("CREATE DATABASE `$_there`")
		for name, shape := range tables {
			b.file("$_a."+name+"-schema.sql", "CREATE TABLE t "+shape+";\n")
			b.file("$_a."+name+".csv", "id,v\n1,1\n90000,2\n40,3\n")
			b.exec("CREATE TABLE `$_there`." + name + " " + shape)
			if name == "behind_rows" && backend != " BACKEND = LOCAL" {
				b.exec("INSERT INTO `$_there`.behind_rows VALUES (95000, 0)")
			}
		}
		for _, target := range []string{"$_b", "$_there"} {
			b.exec("RESTORE DATABASE `$_a` AS `" + target + "` FROM '@dir'" + backend)
			for name := range tables {
				table := "`" + target + "`." + name
				before := b.column(b.direct, "SELECT COUNT(*) FROM "+table)[0]
				b.exec("INSERT INTO "+table+" (v) VALUES (10)", "INSERT INTO "+table+" (v) VALUES (11), (12), (13)")
				require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT COUNT(*) = 4 + "+before+" FROM "+table), name)
				switch name {
				case "no_key":
				case "behind_schema":
					require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT MIN(id) >= 500000 FROM "+table+" WHERE v > 9"))
				default:
					require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT MIN(id) > 90000 FROM "+table+" WHERE v > 9"), name)
				}
			}
		}
	})
}

// TestBackupMeta: a location with backupmeta is a backup, whatever else is in it, and never read as a dump.
func TestBackupMeta(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		b.dump()
		b.file("backupmeta", "not one")
		for _, options := range []string{"", ` FILTER = '*.*'`, ` FILES = "{pattern = 'backupmeta', type = 'ignore'}"`} {
			_, err := b.proxy.ExecContext(t.Context(), b.own("RESTORE DATABASE `$_a` FROM '@dir'"+options+backend))
			require.Error(t, err, options)
			require.Regexp(t, "backupmeta|archive", err.Error())
			require.Empty(t, b.databases())
		}
	})
}

// TestDefinedBefore: views and sequences that exist stay as they are, which is told, but a sequence goes on behind the values that the dump's has given: the tables'
// rows have them. One that is ahead stays there.
func TestDefinedBefore(t *testing.T) {
	eachWay(t, func(t *testing.T, b *bench, backend string) {
		for name, last := range map[string]string{"behind": "9", "ahead": "9", "short": "90"} {
			b.file("$_a."+name+"-schema-sequence.sql", "CREATE SEQUENCE `"+name+"` start with 1 minvalue 1 maxvalue 100 increment by 1 cache 10 nocycle ENGINE=InnoDB;\nSELECT SETVAL(`"+name+"`,"+last+");\n")
		}
		b.file("$_a.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY, b INT);\n")
		b.file("$_a.t.0000.csv", "a,b\n1,1\n9,9\n")
		b.file("$_a.v-schema-view.sql", "CREATE VIEW `v` AS SELECT `a` FROM `t`;\n")
		b.exec("CREATE DATABASE `$_a`", "CREATE SEQUENCE `$_a`.behind", "CREATE SEQUENCE `$_a`.ahead START WITH 50", "CREATE SEQUENCE `$_a`.short MAXVALUE 20",
			"CREATE TABLE `$_a`.t (a INT DEFAULT NEXTVAL(`$_a`.behind) PRIMARY KEY, b INT)", "CREATE VIEW `$_a`.v AS SELECT 5 AS five")
		for range 2 {
			b.exec("RESTORE DATABASE `$_a` FROM '@dir'" + backend)
			told := b.finished()["Result_Message"]
			require.Contains(t, told, b.own("`$_a`.`v` exists already and stays as it is"))
			for _, name := range []string{"behind", "ahead", "short"} {
				require.Contains(t, told, b.own("`$_a`.`"+name+"` exists already and stays as it is, but it goes on behind the values that the source's has given"))
			}
			b.exec("INSERT INTO `$_a`.t (b) VALUES (10)")
			require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT a > 9 FROM `$_a`.t WHERE b = 10"))
			require.Equal(t, []string{"5"}, b.column(b.direct, "SELECT * FROM `$_a`.v"))
			require.Equal(t, []string{"1"}, b.column(b.direct, "SELECT NEXTVAL(`$_a`.ahead) >= 50"))
			_, err := b.direct.ExecContext(t.Context(), b.own("SELECT NEXTVAL(`$_a`.short)"))
			require.ErrorContains(t, err, "has run out")
			b.exec("DELETE FROM `$_a`.t")
		}
	})
}
