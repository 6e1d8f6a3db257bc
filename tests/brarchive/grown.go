package brarchive

import (
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"
)

// Grow changes rows of nearly all tables of Every, and adds tables, a view and a sequence: what the next incremental backup has. It returns the names
// of the new tables, and gives all but never_analysed new statistics; tables are those that Every returned.
func Grow(t testing.TB, db *sql.DB, database string, tables []string) []string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody else is to have its settings
	}()
	exec := func(q string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("USE `" + database + "`")
	exec("SET SESSION sql_mode = '', time_zone = '+03:00'")
	var names []string
	for _, q := range grown {
		exec(q)
		if name, ok := strings.CutPrefix(q, "CREATE TABLE "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	var analysed []string
	for _, name := range append(names, tables...) {
		if name != "never_analysed" {
			analysed = append(analysed, "`"+name+"`")
		}
	}
	exec("ANALYZE TABLE " + strings.Join(analysed, ", "))
	return names
}

// grown are statements after which rows were inserted, changed and deleted, under keys of every kind.
var grown = []string{
	"DELETE FROM int_clustered WHERE id % 7 = 3", "UPDATE int_clustered SET v = CONCAT(v, 'u') WHERE id % 5 = 0", "INSERT INTO int_clustered VALUES (5000, 'new'), (-5000, NULL)",
	"UPDATE long_values SET body = CONCAT(body, '+') WHERE id % 3 = 0", "DELETE FROM long_values WHERE id > 390", "UPDATE common_handle SET c = c + 1 WHERE b > '2024-01-01 00:00:30'",
	"UPDATE common_handle SET a = CONCAT(a, ' moved') WHERE c < 20", "DELETE FROM nonclustered WHERE v < 40", "INSERT INTO nonclustered VALUES ('another', 5)", "INSERT INTO no_key (a) VALUES (77), (78)",
	"DELETE FROM no_key WHERE a = 3", "INSERT INTO auto_inc (v) VALUES (1), (2), (3)", "INSERT INTO auto_inc_apart (v) VALUES (5)", "INSERT INTO auto_rand (v) VALUES (1)", "DELETE FROM auto_rand WHERE v < 9",
	"DELETE FROM by_hash WHERE v = 7", "UPDATE by_hash SET v = v + 100 WHERE id < 50", "UPDATE by_range SET day = '2025-03-03' WHERE id % 4 = 0", "UPDATE expressions SET v = CONCAT(v, 'X') WHERE id < 9",
	"INSERT INTO empty VALUES (1, 1), (2, NULL)", "DELETE FROM `Odd name %41` WHERE `a b` = 1", "DO NEXTVAL(numbers), NEXTVAL(numbers)",
	"UPDATE by_list SET id = 4 WHERE id = 1", "DELETE FROM by_list WHERE id IS NULL", "DELETE FROM by_list_columns WHERE a = 'x'", "INSERT INTO by_list_columns VALUES ('x', '2024-01-01')", "DELETE FROM by_key WHERE v % 9 = 1",
	"INSERT INTO by_range_expr (at) VALUES ('2023-02-02 02:02:02'), ('2026-01-01 00:00:00')", "UPDATE by_interval SET id = 250 WHERE id = 1",
	"UPDATE composite SET d = 77 WHERE c = 2155", "DELETE FROM composite WHERE d = -5", "UPDATE sharded SET b = 9 WHERE a = 2", "INSERT INTO sharded VALUES (4, 4)",
	"INSERT INTO auto_rand_wide (v) VALUES (4)", "INSERT INTO auto_rand_pair (v) VALUES (4)", "INSERT INTO auto_inc_cached (u) VALUES (4), (5)", "INSERT INTO auto_inc_one (v) VALUES (4)",
	"UPDATE auto_inc_high SET v = 2", "UPDATE numbers_of_all SET b = 7, d = -1.5, f = NULL WHERE id = 1", "DELETE FROM times_of_all WHERE id = 2", "UPDATE times_of_all SET ts = '2024-01-01 00:00:00' WHERE id = 1",
	"UPDATE texts_of_all SET m = 'short', j = '[]', e = '' WHERE id = 1", "INSERT INTO in_gbk VALUES (3, '新', 'new')", "UPDATE in_gbk SET v = '字' WHERE id = 2", "INSERT INTO in_latin1 VALUES (2, 'x', 'y', 'Z')",
	"UPDATE vectors SET v = '[9, 8, 7]'", "DELETE FROM defaults WHERE id = 1", `UPDATE multi_valued SET j = '{"n": [7, 3], "u": ["z"]}' WHERE id = 1`, "DELETE FROM multi_valued WHERE id = 2",
	"UPDATE computed SET a = 10 WHERE a = 1", "DELETE FROM children WHERE id = 1", "DELETE FROM parents WHERE id = 1", "INSERT INTO children VALUES (3, 2, NULL)", "UPDATE changed_names SET `select` = 22",
	"INSERT INTO with_ttl VALUES (2, '2024-02-02')", "UPDATE placed SET v = 3", "INSERT INTO never_analysed VALUES (2, 2)", "DO NEXTVAL(down)", "INSERT INTO from_sequence (v) VALUES (3)",
	"CREATE TABLE later (id BIGINT AUTO_RANDOM(3) PRIMARY KEY, a VARCHAR(10), b JSON, KEY (a), UNIQUE KEY (a, id)) PARTITION BY KEY (id) PARTITIONS 2", "INSERT INTO later (a, b) VALUES ('x', '1'), ('y', NULL)",
	"DELETE FROM later WHERE a = 'y'", "CREATE TABLE later_by_name (a VARCHAR(10) PRIMARY KEY NONCLUSTERED, b INT AUTO_INCREMENT, KEY (b))", "INSERT INTO later_by_name (a) VALUES ('p'), ('q')",
	"CREATE TABLE later_empty LIKE int_clustered", "CREATE VIEW later_view AS SELECT a FROM later", "CREATE SEQUENCE later_numbers START WITH 100",
}

// Reshape changes schemas of tables of Every, and rows before and behind that, in the ways that br follows too, and returns the tables that there are then.
func Reshape(t testing.TB, db *sql.DB, database string, tables []string) []string {
	t.Helper()
	run(t, db, database, append([]string{"USE `" + database + "`"}, reshaped...))
	out := []string{"by_key_now"}
	for _, name := range tables {
		if name != "by_key" {
			out = append(out, name)
		}
	}
	return out
}

var reshaped = []string{
	"ALTER TABLE changed_names ADD COLUMN more INT NOT NULL DEFAULT 3 AFTER Id", "INSERT INTO changed_names (Id, more) VALUES (2, 4)", "ALTER TABLE vectors DROP COLUMN w", "INSERT INTO vectors VALUES (3, '[1, 1, 1]')",
	"TRUNCATE TABLE in_latin1", "INSERT INTO in_latin1 VALUES (9, 'nine', 'n', 'N')", "ANALYZE TABLE in_latin1", "RENAME TABLE by_key TO by_key_now", "DELETE FROM by_key_now WHERE v % 2 = 1", "ALTER TABLE texts_of_all DROP INDEX e",
	"ALTER TABLE computed ADD COLUMN e VARCHAR(10) DEFAULT 'e'", "UPDATE computed SET e = 'f' WHERE a = 2", "ALTER TABLE sharded COMMENT = 'other'", "ALTER TABLE never_analysed ADD COLUMN w INT FIRST", "UPDATE never_analysed SET w = 7 WHERE id = 1",
	"ALTER TABLE multi_valued ALTER COLUMN a SET DEFAULT 9", "INSERT INTO multi_valued (id) VALUES (9)",
}
