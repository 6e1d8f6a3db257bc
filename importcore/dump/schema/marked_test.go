package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarked(t *testing.T) {
	t.Parallel()
	maria := Server{Name: "MariaDB", MariaDB: true}
	for _, c := range []struct{ sql, marked, restore string }{
		{"CREATE TABLE `d`.`t` (`a` INT) ENGINE = InnoDB", "CREATE TABLE `d`.`t` (`a` INT) ENGINE = InnoDB COMMENT = 'm 1'", "ALTER TABLE `d`.`t` COMMENT = ''"},
		{"CREATE TABLE `t` (`a` INT COMMENT 'x',CHECK(`a` > 1)) COMMENT = 'it''s \\\\ \\' mine' PARTITION BY HASH (`a`) PARTITIONS 2",
			"CREATE TABLE `t` (`a` INT COMMENT 'x',CHECK(`a` > 1)) COMMENT = 'm 1' PARTITION BY HASH (`a`) PARTITIONS 2", "ALTER TABLE `t` COMMENT = 'it''s \\\\ '' mine'"},
		{"CREATE SEQUENCE `d`.`s` START WITH 3 CACHE 10 COMMENT = 'own'", "CREATE SEQUENCE `d`.`s` START WITH 3 CACHE 10 COMMENT = 'm 1'", "ALTER TABLE `d`.`s` COMMENT = 'own'"},
	} {
		marked, restore, err := Marked(c.sql, "m 1", maria)
		require.NoError(t, err, c.sql)
		require.Equal(t, c.marked, marked)
		require.Equal(t, c.restore, restore)
	}
	for _, sql := range []string{"CREATE VIEW v AS SELECT 1", "CREATE TABLE t (a INT); CREATE TABLE u (a INT)", "CREATE"} {
		_, _, err := Marked(sql, "m", maria)
		require.Error(t, err, sql)
	}
}
