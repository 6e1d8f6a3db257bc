package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/dump/schema"
)

func TestForServer(t *testing.T) {
	t.Parallel()
	maria := schema.Server{Name: "MariaDB", MariaDB: true, Collations: map[string]bool{"utf8mb4_bin": true, "utf8mb4_general_ci": true, "latin1_bin": true}}
	mysql := schema.Server{Name: "MySQL", Collations: map[string]bool{"utf8mb4_bin": true, "utf8mb4_0900_ai_ci": true}}
	for name, c := range map[string]struct {
		text          string
		to            schema.Server
		refused, left []string
		sql           string
	}{
		"plain": {
			text: "CREATE TABLE t (a INT PRIMARY KEY /*T![clustered_index] CLUSTERED */, v VARCHAR(10) DEFAULT 'a\\\\b') CHARSET=utf8mb4 COLLATE=utf8mb4_bin", to: maria,
			sql: "CREATE TABLE `d`.`t` (`a` INT PRIMARY KEY /*T![clustered_index] CLUSTERED */,`v` VARCHAR(10) DEFAULT 'a\\\\b') DEFAULT CHARACTER SET = UTF8MB4 DEFAULT COLLATE = UTF8MB4_BIN",
		},
		"types": {
			text: "CREATE TABLE t (a VECTOR(3), b VARCHAR(9) CHARACTER SET gbk, c CHAR(1) COLLATE utf8mb4_0900_ai_ci)", to: maria,
			refused: []string{"the type VECTOR of column a", "the character set gbk of column b", "the collation utf8mb4_0900_ai_ci of column c"},
		},
		"indexes": {
			text: "CREATE TABLE t (a INT, j JSON, KEY e ((a + 1)), KEY m ((CAST(j AS UNSIGNED ARRAY))), KEY i (a) INVISIBLE, UNIQUE KEY g (a) GLOBAL)", to: maria,
			refused: []string{"the expression in index e", "the multi-valued index m", "the index g, which is unique beyond its partitions"}, left: []string{"INVISIBLE of index i"},
		},
		"indexes of MySQL": {
			text: "CREATE TABLE t (a INT, j JSON, KEY e ((a + 1)), KEY m ((CAST(j AS UNSIGNED ARRAY))), KEY i (a) INVISIBLE)", to: mysql,
		},
		"TiDB's ways": {
			text: "CREATE TABLE t (a BIGINT PRIMARY KEY AUTO_RANDOM(5), d DATETIME, s INT DEFAULT NEXTVAL(s)) PLACEMENT POLICY = p TTL = d + INTERVAL 1 DAY", to: mysql,
			refused: []string{"the sequence in the default of column s"}, left: []string{"AUTO_RANDOM of column a", "the placement policy p", "TTL"},
		},
		"checks": {
			text: "CREATE TABLE t (a INT CHECK (a <> 'a\\\\b ENFORCED '' one'), b INT CHECK (b > 1) NOT ENFORCED, CONSTRAINT ` ENFORCED` CHECK (a > 0), CONSTRAINT idle CHECK (a > 2) NOT ENFORCED)", to: maria,
			left: []string{"the CHECK constraint idle, which is not enforced", "a CHECK constraint of column b, which is not enforced"},
			sql:  "CREATE TABLE `d`.`t` (`a` INT CHECK(`a` != 'a\\\\b ENFORCED '' one'),`b` INT,CONSTRAINT ` ENFORCED` CHECK(`a` > 0))",
		},
		"partitions": {
			text: "CREATE TABLE t (a INT, b INT AUTO_INCREMENT) PARTITION BY LIST (a) (PARTITION x VALUES IN (1), PARTITION rest DEFAULT)", to: mysql,
			refused: []string{"the default partition rest", "AUTO_INCREMENT of column b, which no index begins with"},
		},
		"partitions of MariaDB": {
			text: "CREATE TABLE t (a INT, b INT AUTO_INCREMENT, KEY (a, b), UNIQUE KEY (b)) PARTITION BY LIST (a) (PARTITION x VALUES IN (1), PARTITION rest DEFAULT)", to: maria,
		},
	} {
		f := &schema.File{Path: "d.t-schema.sql", Text: c.text}
		table, err := schema.ReadTable(f, schema.Object{DB: "d", Name: "t"}, func(o schema.Object) schema.Object { return o })
		require.NoError(t, err, name)
		p, err := f.ForServer(table.SQL, c.to)
		require.NoError(t, err, name)
		require.Equal(t, c.refused, p.Refused, name)
		require.Equal(t, c.left, p.Left, name)
		if c.sql != "" {
			require.Equal(t, c.sql, p.SQL)
		}
		again, err := f.ForServer(p.SQL, c.to)
		require.NoError(t, err, name)
		require.Equal(t, p.SQL, again.SQL, "what it writes, it reads")
	}
}

// TestEngines: tables are refused whose engine has no transactions on the server, or isn't there, be it named or the server's default.
func TestEngines(t *testing.T) {
	t.Parallel()
	to := schema.Server{MariaDB: true, Engines: map[string]bool{"innodb": true, "myisam": false}, Engine: "MyISAM"}
	const myisam = "the engine MyISAM, which has no transactions: rows could be lost or doubled there"
	for text, refused := range map[string][]string{
		"CREATE TABLE t (a INT) ENGINE=InnoDB": nil, "CREATE TABLE t (a INT) ENGINE=MyISAM": {myisam}, "CREATE TABLE t (a INT)": {myisam},
		"CREATE TABLE t (a INT) ENGINE=TokuDB": {"the engine TokuDB"},
	} {
		f := &schema.File{Path: "d.t-schema.sql", Text: text}
		p, err := f.ForServer(text, to)
		require.NoError(t, err)
		require.Equal(t, refused, p.Refused, text)
	}
}

// TestDatabaseForServer: the defaults of a database stay as far as the server has them.
func TestDatabaseForServer(t *testing.T) {
	t.Parallel()
	to := schema.Server{MariaDB: true, Collations: map[string]bool{"utf8mb4_bin": true, "latin1_german1_ci": true}}
	for text, c := range map[string]struct {
		sql  string
		left []string
	}{
		"CREATE DATABASE x": {sql: "CREATE DATABASE IF NOT EXISTS `d`"},
		"CREATE DATABASE `x` /*!40100 DEFAULT CHARACTER SET latin1 COLLATE latin1_german1_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;": {
			sql: "CREATE DATABASE IF NOT EXISTS `d` CHARACTER SET = latin1 COLLATE = latin1_german1_ci"},
		"CREATE DATABASE x CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci PLACEMENT POLICY = p": {
			sql: "CREATE DATABASE IF NOT EXISTS `d` CHARACTER SET = utf8mb4", left: []string{"the default collation utf8mb4_0900_ai_ci", "the placement policy p"}},
		"CREATE DATABASE x CHARSET gbk ENCRYPTION 'Y'": {sql: "CREATE DATABASE IF NOT EXISTS `d`", left: []string{"the default character set gbk", "encryption"}},
	} {
		sql, left, err := schema.DatabaseForServer(&schema.File{Path: "x-schema-create.sql", Text: text}, "d", to)
		require.NoError(t, err, text)
		require.Equal(t, c.sql, sql)
		require.Equal(t, c.left, left)
	}
}
