package brarchive

import (
	"database/sql"
	"database/sql/driver"
	"testing"
)

// Evolving creates a database with tables for Evolve to change, and a view and sequences, and returns the tables' names.
func Evolving(t testing.TB, db *sql.DB, database string) []string {
	t.Helper()
	run(t, db, database, append([]string{"CREATE DATABASE `" + database + "`", "USE `" + database + "`"}, evolving...))
	return []string{"wide", "keys", "typed", "strict", "wiped", "gone", "left_of", "right_of", "again", "parents", "children", "parted", "plain", "named"}
}

// Evolve changes schemas and rows of Evolving in the ways that a restore of the next incremental backup follows, with rows of before, between and after
// the changes, and returns the tables that there are then.
func Evolve(t testing.TB, db *sql.DB, database string) []string {
	t.Helper()
	run(t, db, database, append([]string{"USE `" + database + "`"}, evolved...))
	return []string{"wide", "keys", "typed", "strict", "wiped", "left_of", "right_of", "again", "parents", "children", "parted", "plain", "renamed", "fresh", "fresh_parts"}
}

// run runs statements in a session of their own, whose settings nobody else gets.
func run(t testing.TB, db *sql.DB, database string, statements []string) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	for _, q := range append([]string{"SET time_zone = '+05:30'"}, statements...) {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %s: %v", database, q, err)
		}
	}
}

var evolving = []string{
	"CREATE TABLE wide (id INT PRIMARY KEY, a INT, b VARCHAR(10), c INT, KEY (c))", "INSERT INTO wide VALUES (1, 11, 'b1', 13), (2, 21, 'b2', 23), (3, 31, 'b3', 33)",
	"CREATE TABLE `keys` (id INT PRIMARY KEY, a INT, b INT, c VARCHAR(10), KEY on_a (a), KEY on_b (b), UNIQUE KEY on_c (c), KEY seen (b, a))",
	"INSERT INTO `keys` VALUES (1, 1, 1, 'x'), (2, 1, 2, 'y'), (3, 3, 2, 'z'), (4, 4, 4, 'u')",
	"CREATE TABLE typed (id INT PRIMARY KEY, a VARCHAR(10), b INT, e ENUM('p', 'q'), t TEXT, KEY (a), KEY (b))", "INSERT INTO typed VALUES (1, '11', 1, 'p', 't1'), (2, '22', 2, 'q', 't2'), (3, '33', 3, NULL, NULL)",
	"CREATE TABLE strict (id INT NOT NULL, a INT, b INT)", "INSERT INTO strict VALUES (1, NULL, 5), (2, 2, 5), (3, 3, 6)",
	"CREATE TABLE wiped (id INT PRIMARY KEY AUTO_INCREMENT, a INT, KEY (a))", "INSERT INTO wiped (a) VALUES (1), (2), (3)",
	"CREATE TABLE gone (id INT PRIMARY KEY)", "INSERT INTO gone VALUES (1)",
	"CREATE TABLE left_of (id INT PRIMARY KEY, was VARCHAR(10))", "INSERT INTO left_of VALUES (1, 'left')",
	"CREATE TABLE right_of (id INT PRIMARY KEY, was VARCHAR(10))", "INSERT INTO right_of VALUES (1, 'right')",
	"CREATE TABLE again (id INT PRIMARY KEY, a INT)", "INSERT INTO again VALUES (1, 1), (2, 2)",
	"CREATE TABLE parents (id INT PRIMARY KEY, a INT)", "INSERT INTO parents VALUES (1, 1), (2, 2)", "CREATE TABLE children (id INT PRIMARY KEY, p INT)", "INSERT INTO children VALUES (1, 77), (2, 2)",
	"CREATE TABLE parted (id INT PRIMARY KEY, a INT, b INT, KEY (a)) PARTITION BY HASH (id) PARTITIONS 3", "INSERT INTO parted VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)",
	"CREATE TABLE plain (id INT PRIMARY KEY, a INT)", "INSERT INTO plain VALUES (1, 1), (2, 2)",
	"CREATE TABLE named (id INT PRIMARY KEY, old_name INT, v INT, KEY old_index (v))", "INSERT INTO named VALUES (1, 1, 1), (2, 2, 2)",
	"CREATE VIEW over_rows AS SELECT id, a FROM wide", "CREATE VIEW dropped_view AS SELECT id FROM wide", "CREATE SEQUENCE numbers", "CREATE SEQUENCE dropped_numbers",
}

var evolved = []string{
	// Columns: rows of before have the values of the moment when the column was added.
	"DELETE FROM wide WHERE id = 1", "ALTER TABLE wide ADD COLUMN d INT NOT NULL DEFAULT 7 AFTER id", "ALTER TABLE wide ADD COLUMN at TIMESTAMP DEFAULT '2024-01-02 03:04:05'",
	"ALTER TABLE wide ADD COLUMN made DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3)", "INSERT INTO wide (id, a, b, c) VALUES (4, 41, 'b4', 43)", "ALTER TABLE wide DROP COLUMN a", "ALTER TABLE wide ADD COLUMN passing INT",
	"ALTER TABLE wide DROP COLUMN passing", "ALTER TABLE wide ADD COLUMN e VARCHAR(5) DEFAULT 'e', ADD COLUMN f INT AS (c + 1)", "ALTER TABLE wide ALTER COLUMN d SET DEFAULT 8", "INSERT INTO wide (id, b, c) VALUES (5, 'b5', 53)",
	"ALTER TABLE wide COMMENT = 'it''s wide', MODIFY COLUMN b VARCHAR(20) FIRST", "UPDATE wide SET c = c + 1 WHERE id = 2",
	// Indexes: rows went before one was made, and before one was made anew.
	"DELETE FROM `keys` WHERE id = 3", "ALTER TABLE `keys` DROP INDEX on_a", "ALTER TABLE `keys` ADD INDEX on_a (a)", "UPDATE `keys` SET a = 5 WHERE id = 1", "CREATE UNIQUE INDEX once ON `keys` (a, b)",
	"ALTER TABLE `keys` RENAME INDEX on_b TO b_index", "ALTER TABLE `keys` ALTER INDEX seen INVISIBLE", "ALTER TABLE `keys` ADD INDEX ((a + b), (LOWER(c)))", "INSERT INTO `keys` VALUES (9, 9, 9, 'Nine')",
	"ALTER TABLE `keys` ADD COLUMN later INT DEFAULT 3", "ALTER TABLE `keys` ADD INDEX (later), ADD INDEX two (later, a)", "DELETE FROM `keys` WHERE id = 4", "ALTER TABLE `keys` DROP INDEX on_c",
	// Other types, with and without new rows for it.
	"DELETE FROM typed WHERE id = 2", "ALTER TABLE typed MODIFY COLUMN a INT", "ALTER TABLE typed MODIFY COLUMN b BIGINT", "ALTER TABLE typed MODIFY COLUMN e ENUM('p', 'q', 'r')", "ALTER TABLE typed MODIFY COLUMN t LONGTEXT",
	"INSERT INTO typed VALUES (4, 44, 1 << 40, 'r', 't4')", "ALTER TABLE typed CHANGE COLUMN b big BIGINT DEFAULT 4", "UPDATE typed SET a = 12 WHERE id = 1",
	// What the rows of before don't fulfil.
	"UPDATE strict SET a = 1 WHERE a IS NULL", "ALTER TABLE strict MODIFY COLUMN a INT NOT NULL", "DELETE FROM strict WHERE id = 2", "ALTER TABLE strict ADD UNIQUE KEY (b)", "ALTER TABLE strict ADD PRIMARY KEY (id) NONCLUSTERED",
	"INSERT INTO strict VALUES (9, 9, 9)", "UPDATE children SET p = 1 WHERE p = 77", "ALTER TABLE children ADD KEY (p)", "ALTER TABLE children ADD CONSTRAINT to_parents FOREIGN KEY (p) REFERENCES parents (id) ON DELETE CASCADE",
	"DELETE FROM parents WHERE id = 2",
	// Tables.
	"TRUNCATE TABLE wiped", "ALTER TABLE wiped ADD COLUMN b INT", "INSERT INTO wiped (a, b) VALUES (7, 8)", "DROP TABLE gone", "RENAME TABLE left_of TO other, right_of TO left_of, other TO right_of",
	"INSERT INTO left_of VALUES (2, 'right too')", "ALTER TABLE right_of ADD COLUMN a INT DEFAULT 1", "DROP TABLE again", "CREATE TABLE again (id INT PRIMARY KEY, a VARCHAR(10))", "INSERT INTO again VALUES (2, 'new')",
	"DELETE FROM parted WHERE id = 2", "ALTER TABLE parted ADD INDEX (b), ADD COLUMN c INT DEFAULT 5", "INSERT INTO parted VALUES (5, 5, 5, 5)", "UPDATE plain SET a = 3 WHERE id = 1", "DELETE FROM plain WHERE id = 2",
	"ALTER TABLE named RENAME COLUMN old_name TO new_name", "RENAME TABLE named TO renamed", "INSERT INTO renamed VALUES (3, 3, 3)", "ALTER TABLE renamed ADD COLUMN more DATE NOT NULL DEFAULT '2024-02-29'",
	"CREATE TABLE fresh LIKE wide", "INSERT INTO fresh (id, b) VALUES (1, 'fresh')", "ALTER TABLE fresh ADD KEY (d)", "CREATE TABLE passing (id INT)", "DROP TABLE passing",
	"CREATE TABLE fresh_parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10))", "INSERT INTO fresh_parts VALUES (1)", "ALTER TABLE fresh_parts ADD PARTITION (PARTITION p1 VALUES LESS THAN (20))",
	"INSERT INTO fresh_parts VALUES (11)", "ALTER TABLE fresh_parts TRUNCATE PARTITION p0",
	// The rest.
	"CREATE OR REPLACE VIEW over_rows AS SELECT id, c AS a FROM wide WHERE id > 2", "DROP VIEW dropped_view", "CREATE VIEW fresh_view AS SELECT more FROM renamed", "ALTER SEQUENCE numbers INCREMENT BY 5", "DO NEXTVAL(numbers)",
	"DROP SEQUENCE dropped_numbers", "CREATE SEQUENCE fresh_numbers", "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
}
