package brarchive

import (
	"database/sql"
	"testing"
)

// changed are tables whose columns were changed after they had been made, by name, with rows of before and after. All
// rows are different in the column id.
var changed = map[string][]string{
	"dropped": {
		"CREATE TABLE dropped (id INT PRIMARY KEY, a INT, b VARCHAR(10), c INT, KEY (c))", "INSERT INTO dropped VALUES (1, 11, 'b1', 12), (2, 21, 'b2', 22)",
		"ALTER TABLE dropped DROP COLUMN a", "INSERT INTO dropped VALUES (3, 'b3', 32)",
	},
	// A new table has the same ids, but the next column would get that of the one that was dropped.
	"last_dropped": {
		"CREATE TABLE last_dropped (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO last_dropped VALUES (1, 11, 12)", "ALTER TABLE last_dropped DROP COLUMN b",
	},
	"placed": {
		"CREATE TABLE placed (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, UNIQUE KEY u (a), KEY (b, a))", "INSERT INTO placed (a, b) VALUES (1, 2), (3, 4)",
		"ALTER TABLE placed ADD COLUMN f INT FIRST", "ALTER TABLE placed ADD COLUMN x VARCHAR(20) AFTER a", "ALTER TABLE placed MODIFY COLUMN b INT AFTER id",
		"INSERT INTO placed (f, a, x, b) VALUES (5, 6, 'x', 7)",
	},
	"defaults": {
		"CREATE TABLE defaults (id INT PRIMARY KEY)", "INSERT INTO defaults VALUES (1)",
		`ALTER TABLE defaults ADD COLUMN (a VARCHAR(10) DEFAULT 'it''s', b TIMESTAMP DEFAULT '2024-01-02 03:04:05', c BIT(9) DEFAULT b'101', d INT,
			e ENUM('p', 'q') DEFAULT 'q', f DOUBLE DEFAULT 2.5, h SET('u', 'v') DEFAULT 'u,v', i BIGINT NOT NULL, j TEXT NOT NULL, q VARBINARY(5) DEFAULT 0x00ff61,
			s ENUM('first', 'second') NOT NULL, v BINARY(3) NOT NULL, w BIT(3) NOT NULL, x DATETIME NOT NULL, z YEAR NOT NULL, aa DECIMAL(5, 2) NOT NULL, bb TIME(3) NOT NULL,
			ee JSON NOT NULL, ff TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), gg DATETIME DEFAULT CURRENT_TIMESTAMP)`,
		"INSERT INTO defaults (id, i, j, s, v, w, x, z, aa, bb, ee) VALUES (2, 7, 'j', 'second', 'v', 1, '2024-01-01', 2024, 1, '1:1:1', '1')",
		"ALTER TABLE defaults ALTER COLUMN a SET DEFAULT 'another'", "ALTER TABLE defaults ALTER COLUMN i SET DEFAULT 9", "ALTER TABLE defaults ALTER COLUMN f DROP DEFAULT",
		"UPDATE defaults SET d = 1", "ALTER TABLE defaults MODIFY COLUMN d INT NOT NULL DEFAULT 3 COMMENT 'was null'",
	},
	"retyped": {
		"CREATE TABLE retyped (id INT PRIMARY KEY, a VARCHAR(10), b INT NOT NULL, c INT, KEY by_a (a), UNIQUE KEY by_b (b))", "INSERT INTO retyped VALUES (1, '11', 12, 13), (2, '21', 22, 23)",
		"ALTER TABLE retyped MODIFY COLUMN a INT DEFAULT 5", "ALTER TABLE retyped MODIFY COLUMN b VARCHAR(20) NOT NULL", "ALTER TABLE retyped MODIFY COLUMN c BIGINT NOT NULL",
		"ALTER TABLE retyped CHANGE COLUMN c renamed BIGINT", "INSERT INTO retyped VALUES (3, 31, 'b3', 33)",
	},
	"expressed": {
		"CREATE TABLE expressed (id INT PRIMARY KEY, a VARCHAR(10), up VARCHAR(10) AS (UPPER(a)) STORED, low VARCHAR(10) AS (LOWER(a)), gone INT, KEY ((id * 2)), KEY (low))",
		"INSERT INTO expressed (id, a, gone) VALUES (1, 'Aa', 1), (2, 'Bb', 2)", "ALTER TABLE expressed ADD COLUMN b INT DEFAULT 4 AFTER id", "ALTER TABLE expressed ADD KEY on_b ((b + 1), a)",
		"ALTER TABLE expressed DROP COLUMN gone", "ALTER TABLE expressed ADD COLUMN twice INT AS (b * 2) AFTER a", "ALTER TABLE expressed ADD UNIQUE KEY (twice, id)",
		"INSERT INTO expressed (id, b, a) VALUES (3, 5, 'Cc')", "ALTER TABLE expressed ADD COLUMN e JSON", "ALTER TABLE expressed ADD KEY many ((CAST(e->'$.x' AS SIGNED ARRAY)))",
		`INSERT INTO expressed (id, a, e) VALUES (4, 'Dd', '{"x": [1, 2]}')`,
	},
	"clustered": {
		"CREATE TABLE clustered (a VARCHAR(10), gone INT, id INT, c INT, PRIMARY KEY (a, id) CLUSTERED)", "INSERT INTO clustered VALUES ('x', 0, 1, 2)", "ALTER TABLE clustered DROP COLUMN gone",
		"ALTER TABLE clustered MODIFY COLUMN id INT FIRST", "ALTER TABLE clustered ADD COLUMN d INT DEFAULT 8", "ALTER TABLE clustered ADD KEY (d, c)", "INSERT INTO clustered VALUES (2, 'y', 3, 4)",
	},
	"parted": {
		"CREATE TABLE parted (gone INT, id INT, day DATE, PRIMARY KEY (id, day)) PARTITION BY RANGE COLUMNS (day) (PARTITION old VALUES LESS THAN ('2024-01-01'), PARTITION new VALUES LESS THAN (MAXVALUE))",
		"INSERT INTO parted VALUES (1, 1, '2023-01-01'), (2, 2, '2024-01-01')", "ALTER TABLE parted DROP COLUMN gone", "ALTER TABLE parted ADD COLUMN a INT DEFAULT 3 FIRST",
		"ALTER TABLE parted MODIFY COLUMN day DATE NOT NULL FIRST", "ALTER TABLE parted ADD KEY (a)", "INSERT INTO parted VALUES ('2022-02-02', 9, 3)",
	},
	"random": {
		"CREATE TABLE random (id BIGINT PRIMARY KEY AUTO_RANDOM(4), gone INT, a INT)", "INSERT INTO random (a) VALUES (1), (2)", "ALTER TABLE random DROP COLUMN gone",
		"ALTER TABLE random MODIFY COLUMN a INT FIRST", "ALTER TABLE random ADD COLUMN made DATETIME NOT NULL DEFAULT '2024-05-05'", "ALTER TABLE random TTL = made + INTERVAL 900 YEAR TTL_ENABLE = 'OFF'",
	},
	"handleless": {
		"CREATE TABLE handleless (a INT, gone INT, b INT)", "INSERT INTO handleless VALUES (1, 2, 3), (4, 5, 6)", "ALTER TABLE handleless DROP COLUMN gone",
		"ALTER TABLE handleless ADD COLUMN id INT NOT NULL FIRST", "UPDATE handleless SET id = a", "ALTER TABLE handleless ADD PRIMARY KEY (id) NONCLUSTERED", "INSERT INTO handleless VALUES (9, 9, 9)",
	},
	"referring": {
		"CREATE TABLE parents (gone INT, id INT PRIMARY KEY)", "ALTER TABLE parents DROP COLUMN gone", "INSERT INTO parents VALUES (1), (2)",
		"CREATE TABLE referring (id INT PRIMARY KEY, a INT)", "INSERT INTO referring VALUES (1, 1)", "ALTER TABLE referring ADD COLUMN p INT DEFAULT 2",
		"ALTER TABLE referring ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES parents (id) ON DELETE CASCADE",
	},
	// The entries of an index over all partitions name these by their ids.
	"over_all": {
		"CREATE TABLE over_all (id INT PRIMARY KEY, a INT, b VARCHAR(20), UNIQUE KEY u (a) GLOBAL, UNIQUE KEY w (b, a) GLOBAL, KEY (b)) PARTITION BY HASH (id) PARTITIONS 3",
		"INSERT INTO over_all WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, 5000 - i, CONCAT('b', i) FROM n",
		"INSERT INTO over_all VALUES (1001, NULL, 'x'), (1002, NULL, NULL)",
	},
	"over_all_clustered": {
		"CREATE TABLE over_all_clustered (a VARCHAR(10) COLLATE utf8mb4_general_ci, id INT, c VARCHAR(10) COLLATE utf8mb4_general_ci, PRIMARY KEY (a, id) CLUSTERED, UNIQUE KEY (c) GLOBAL) PARTITION BY KEY (a) PARTITIONS 2",
		"INSERT INTO over_all_clustered VALUES ('Aa', 1, 'Xx'), ('bB', 2, 'yY'), ('c', 3, NULL), ('d', 4, 'É')",
	},
	"copied": {
		"CREATE TABLE copied LIKE dropped", "ALTER TABLE copied ADD COLUMN d INT DEFAULT 6", "INSERT INTO copied (id, c) VALUES (2, 3)",
	},
}

// Changed creates a database with tables whose columns were changed after they had been made, with rows of before and after, and
// returns the tables' names.
func Changed(t testing.TB, db *sql.DB, database string) []string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	exec := func(q string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("CREATE DATABASE `" + database + "`")
	exec("USE `" + database + "`")
	exec("SET time_zone = '+05:30', sql_mode = ''")
	names := []string{"parents"}
	for name := range changed {
		if name != "copied" {
			names = append(names, name)
		}
	}
	for _, name := range append(names[1:], "copied") { // copied is of another one
		for _, q := range changed[name] {
			exec(q)
		}
	}
	return append(names, "copied")
}
