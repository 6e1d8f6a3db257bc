package sqldump_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
)

// mysqldump is what it writes with --databases, shortened.
const mysqldump = `-- MySQL dump 10.13
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;

CREATE DATABASE /*!32312 IF NOT EXISTS*/ ` + "`a`" + ` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;

USE ` + "`a`" + `;
DROP TABLE IF EXISTS ` + "`t`" + `;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE ` + "`t`" + ` (
  ` + "`id`" + ` int NOT NULL COMMENT ';'
) ENGINE=InnoDB;
/*!40101 SET character_set_client = @saved_cs_client */;
LOCK TABLES ` + "`t`" + ` WRITE;
/*!40000 ALTER TABLE ` + "`t`" + ` DISABLE KEYS */;
INSERT INTO ` + "`t`" + ` VALUES (1),(2);
INSERT INTO ` + "`t`" + ` VALUES (3);
/*!40000 ALTER TABLE ` + "`t`" + ` ENABLE KEYS */;
UNLOCK TABLES;
/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_BACKSLASH_ESCAPES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=` + "`root`@`localhost`" + `*/ /*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.id = 1; END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
/*!50001 DROP VIEW IF EXISTS ` + "`v`" + `*/;
/*!50001 CREATE TABLE ` + "`v`" + ` (
  ` + "`id`" + ` tinyint NOT NULL
) ENGINE=MyISAM */;

CREATE DATABASE b;
USE b;
CREATE TABLE u (a int);
INSERT INTO u (a) VALUES ('x\'');
INSERT INTO a.t VALUES (9);

USE ` + "`a`" + `;
/*!50001 DROP TABLE IF EXISTS ` + "`v`" + `*/;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=` + "`root`@`localhost`" + ` SQL SECURITY DEFINER */
/*!50001 VIEW ` + "`v`" + ` AS select 1 AS ` + "`id`" + ` */;
CREATE SEQUENCE s START WITH 1;
DO SETVAL(s, 5, 0);
GRANT SELECT ON a.* TO x;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
`

func TestOutline(t *testing.T) {
	t.Parallel()
	store := memory{[]byte(mysqldump)}
	file := store.file()
	o, err := sqldump.ReadOutline(t.Context(), store, &file, sqldump.Config{})
	require.NoError(t, err)
	var made []string
	for _, s := range o.Statements {
		made = append(made, fmt.Sprint(s.Kind, " ", s.Database, ".", s.Name))
		require.True(t, strings.HasPrefix(mysqldump[s.Offset:], s.Text), s.Text)
		require.EqualValues(t, 1+strings.Count(mysqldump[:s.Offset], "\n"), s.Line)
	}
	require.Equal(t, []string{"1 a.", "2 a.t", "1 b.", "2 b.u", "3 a.v", "4 a.s", "5 a.s"}, made)
	require.Equal(t, "CREATE TABLE u (a int)", o.Statements[3].Text)
	require.Len(t, o.Skipped, 2)
	require.Equal(t, "trigger tr privileges", o.Skipped[0].What+" "+o.Skipped[0].Name+" "+o.Skipped[1].What)

	want := []struct{ table, text, rows string }{
		{"a.t", "INSERT INTO `t` VALUES (1),(2);\nINSERT INTO `t` VALUES (3);", "[=n:1 =n:2 =n:3]"},
		{"b.u", `INSERT INTO u (a) VALUES ('x\'');`, "[a=t:x']"},
		{"a.t", "INSERT INTO a.t VALUES (9);", "[=n:9]"},
	}
	require.Len(t, o.Rows, len(want))
	for i, w := range want {
		r := o.Rows[i]
		require.Equal(t, w.table, r.Database+"."+r.Table)
		require.Equal(t, w.text, mysqldump[r.Section.Start:r.Section.End])
		require.EqualValues(t, len(w.text), r.Bytes())
		require.EqualValues(t, 1+strings.Count(mysqldump[:r.Section.Start], "\n"), r.Section.Line)
		require.Equal(t, sqldump.Setting{Given: true, Text: "+00:00"}, r.Section.Settings.TimeZone)
		require.True(t, r.Section.Settings.NoAutoValueOnZero())
		blocks, err := readAll(t, mysqldump, &r.Section, format.RowPlace{}, sqldump.Config{}, 1<<10)
		require.NoError(t, err)
		require.Equal(t, w.rows, fmt.Sprint(rowsOf(blocks)))
		rest, err := readAll(t, mysqldump, &r.Section, blocks[0].at, sqldump.Config{}, 1<<10)
		require.NoError(t, err)
		require.Equal(t, blocks, rest)
	}
}

func TestOutlineErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"CREATE TABLE t (a int);\nDELETE FROM t;":                         "DELETE (file /data/a.sql, line 2, offset 24)",
		"INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1),":            "the file ends within an INSERT (file /data/a.sql, line 2",
		"INSERT INTO t VALUES (1);\nDROP TABLE t;":                        "a DROP of what the file has rows for",
		"USE a; INSERT INTO t VALUES (1); DROP DATABASE a;":               "a DROP of what the file has rows for",
		"SET NAMES gbk; INSERT INTO t VALUES (1);":                        "the character set gbk",
		"CREATE TABLE t (a int)":                                          "the file ends within a statement",
		"INSERT INTO t VALUES (1);\n\nINSERT INTO t SELECT * FROM other;": "line 3",
	} {
		store := memory{[]byte(text)}
		file := store.file()
		_, err := sqldump.ReadOutline(t.Context(), store, &file, sqldump.Config{})
		require.NotNil(t, fault.As(err), text)
		require.ErrorContains(t, err, want)
	}
}

// TestOutlineOfLongFiles: rows and statements may be longer than what is read at a time.
func TestOutlineOfLongFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	text := "CREATE TABLE t (a text COMMENT '" + long + "');INSERT INTO t VALUES " + strings.Repeat("('"+long[:100]+"'),", 30_000) + "('" + long + "');INSERT INTO u VALUES (1);"
	store := memory{[]byte(text)}
	file := store.file()
	o, err := sqldump.ReadOutline(t.Context(), store, &file, sqldump.Config{})
	require.NoError(t, err)
	require.Len(t, o.Statements, 1)
	require.Len(t, o.Rows, 2)
	require.Equal(t, strings.Index(text, "INSERT INTO u"), int(o.Rows[0].Section.End))
	require.Equal(t, strings.Index(text, "INSERT INTO u"), int(o.Rows[1].Section.Start))
	require.Equal(t, len(text), int(o.Rows[1].Section.End))
}

func TestSplitStatements(t *testing.T) {
	t.Parallel()
	text := "-- head\n/*!40101 SET NAMES binary*/;\nCREATE TABLE `a;b` (x int /* ; */);;\nDELIMITER //\nCREATE TRIGGER x BEGIN a; END//\nDELIMITER ;\nlast -- c\n"
	var got []string
	require.NoError(t, sqldump.SplitStatements([]byte(text), func(s string, offset, line int64) error {
		require.True(t, strings.HasPrefix(text[offset:], s))
		got = append(got, fmt.Sprint(line, " ", s))
		return nil
	}))
	require.Equal(t, []string{"2 /*!40101 SET NAMES binary*/", "3 CREATE TABLE `a;b` (x int /* ; */)", "5 CREATE TRIGGER x BEGIN a; END", "7 last -- c"}, got)
	require.ErrorContains(t, sqldump.SplitStatements([]byte("a;\nb 'c"), func(string, int64, int64) error { return nil }), "line 2")
	require.NoError(t, sqldump.SplitStatements(nil, nil))
}
