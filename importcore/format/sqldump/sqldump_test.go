package sqldump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// memory is a source.Store of one file.
type memory struct{ data []byte }

func (m memory) List(context.Context) ([]source.File, error) { return []source.File{m.file()}, nil }
func (m memory) Close() error                                { return nil }
func (m memory) file() source.File {
	return source.File{Path: "/data/a.sql", Key: "a.sql", Size: int64(len(m.data)), ModTime: time.Unix(1, 0)}
}

func (m memory) Open(_ context.Context, _ source.File, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.data[offset:])), nil
}

// shown is a field as tests compare it: N for NULL, and a letter for kinds other than text.
func shown(f format.Field) string {
	switch {
	case f.Null:
		return "N"
	case f.Kind == format.Default:
		return "D"
	default:
		return string("tnxb"[f.Kind]) + ":" + string(f.Bytes)
	}
}

// block is what tests keep of one.
type block struct {
	at      format.RowPlace
	columns []string
	rows    []string
}

// readAll reads a file from a place on, and its rows.
func readAll(t testing.TB, text string, section *sqldump.Section, from format.RowPlace, cfg sqldump.Config, blockBytes int) (blocks []block, err error) {
	t.Helper()
	store := memory{[]byte(text)}
	file := store.file()
	pool := format.NewBlockPool(blockBytes, 2, format.LimitedRoom(format.MaxRowBytes))
	s, err := sqldump.NewSplitter(t.Context(), store, &file, 0, section, from, cfg, pool)
	if err != nil {
		return nil, err
	}
	defer func() { require.NoError(t, s.Close()) }()
	r := sqldump.NewReader(cfg)
	row := from.Row
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return blocks, err
		}
		require.Equal(t, row, b.FirstRow)
		require.Equal(t, text[b.Offset:b.Offset+int64(len(b.Data))], string(b.Data))
		require.EqualValues(t, 1+strings.Count(text[:b.Offset], "\n"), b.FirstLine)
		at := format.RowPlace{Offset: b.Offset, Line: b.FirstLine, Row: b.FirstRow, Back: b.Back}
		one := block{at: at, columns: b.Heading.Columns}
		heading, err := sqldump.HeadingAt(t.Context(), store, &file, b.Offset, b.Back, sqldump.Settings{}, cfg)
		require.NoError(t, err)
		require.Equal(t, b.Heading.Columns, heading.Columns)
		r.Reset(b)
		for {
			fields, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if bad := (*format.BadRow)(nil); errors.As(err, &bad) {
				one.rows = append(one.rows, "BAD "+string(r.Row()))
				continue
			}
			if err != nil {
				return append(blocks, one), err
			}
			var all []string
			for _, f := range fields {
				all = append(all, shown(f))
			}
			place := r.Place()
			require.Equal(t, text[place.Offset:place.Offset+int64(len(r.Row()))], string(r.Row()))
			require.EqualValues(t, 1+strings.Count(text[:place.Offset], "\n"), place.Line)
			require.Equal(t, row+int64(len(one.rows)), place.Row)
			one.rows = append(one.rows, strings.Join(all, "|"))
		}
		require.EqualValues(t, len(one.rows), b.Rows)
		row += b.Rows
		b.Release()
		blocks = append(blocks, one)
	}
}

func rowsOf(blocks []block) (rows []string) {
	for _, b := range blocks {
		for _, r := range b.rows {
			rows = append(rows, strings.Join(b.columns, ",")+"="+r)
		}
	}
	return rows
}

func TestRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"plain":             {"INSERT INTO t VALUES (1,'a'),(2,'b');", []string{"=n:1|t:a", "=n:2|t:b"}},
		"no rows":           {"-- nothing\n/* at all */ ;;\n", nil},
		"empty":             {"", nil},
		"several":           {"insert into `t` values(1);\nREPLACE t VALUE (2) ;\n INSERT IGNORE INTO `t`\nVALUES\n(3)\n,\n(4);\n", []string{"=n:1", "=n:2", "=n:3", "=n:4"}},
		"columns":           {"INSERT INTO db.t (a,`b``c`, \"d\") VALUES (1,2,3);INSERT INTO db.t(`b`) VALUES (4);", []string{"a,b`c,d=n:1|n:2|n:3", "b=n:4"}},
		"escapes":           {`INSERT INTO t VALUES ('\0\b\n\r\t\Z\\\'\"\%\_\x','it''s',"say ""x""",'');`, []string{"=t:\x00\b\n\r\t\x1a\\'\"\\%\\_x|t:it's|t:say \"x\"|t:"}},
		"literals":          {`INSERT INTO t VALUES (x'4142',X'',0x4A,0xabc,b'1',B'101000001',0b11,NULL,null,TRUE,false,DEFAULT,\N);`, []string{"=x:AB|x:|x:J|x:\n\xbc|x:\x01|x:\x01A|x:\x03|N|N|n:1|n:0|D|N"}},
		"numbers":           {`INSERT INTO t VALUES (-1,+2,1.5,.5,5.,1e10,-1.5E-3,00012);`, []string{"=n:-1|n:+2|n:1.5|n:.5|n:5.|n:1e10|n:-1.5E-3|n:00012"}},
		"introducers":       {`INSERT INTO t VALUES (_binary'a',_binary '\0',_utf8mb4'b',_UTF8MB3 "c",_binary x'41',_binary 0x42,N'd');`, []string{"=b:a|b:\x00|t:b|t:c|b:A|b:B|t:d"}},
		"mydumper's json":   {"INSERT INTO `t` VALUES\n(1,CONVERT(\"{\\\"a\\\": 1}\" USING UTF8MB4))\n,(2,convert('x' using utf8))\n;", []string{`=n:1|t:{"a": 1}`, "=n:2|t:x"}},
		"blanks":            {"INSERT INTO t VALUES\t( 1 , 'a' /* c */ , # d\n 2 -- e\n ) , /* ) */ ( 3 ) ;", []string{"=n:1|t:a|n:2", "=n:3"}},
		"nothing in a row":  {"INSERT INTO t () VALUES (),();", []string{"=", "="}},
		"quotes in strings": {`INSERT INTO t VALUES ('a,(b);''--',");'"),('\\'),('/*');`, []string{"=t:a,(b);'--|t:);'", `=t:\`, "=t:/*"}},
		"mysqldump": {"-- MySQL dump\n/*!40101 SET @OLD_CS=@@CHARACTER_SET_CLIENT */;\n/*!50503 SET NAMES utf8mb4 */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n" +
			"/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\nDROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (\n `a` int COMMENT 'x;y'\n);\n" +
			"LOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nINSERT INTO `t` VALUES (1,'a');\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;\nUNLOCK TABLES;\n" +
			"/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n-- Dump completed\n", []string{"=n:1|t:a"}},
		"mariadb-dump":   {"/*M!999999\\- enable the sandbox mode */ \nset autocommit=0;\nINSERT INTO `t` VALUES\n(1),\n(2);\ncommit;\n", []string{"=n:1", "=n:2"}},
		"dumpling":       {"/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(1,x'00'),\n(2,NULL);\n", []string{"=n:1|x:\x00", "=n:2|N"}},
		"no backslashes": {"SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES';INSERT INTO \"t\" (\"a\") VALUES ('\\'),('it''s');", []string{"a=t:\\", "a=t:it's"}},
		"mode restored":  {"SET @m=@@sql_mode; SET sql_mode='NO_BACKSLASH_ESCAPES'; SET SESSION sql_mode = @m; INSERT INTO t VALUES ('\\n');", []string{"=t:\n"}},
		"delimiter":      {"DELIMITER ;;\nCREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.a = 1; END ;;\nDELIMITER ;\nINSERT INTO t VALUES (1);", []string{"=n:1"}},
	} {
		for _, blockBytes := range []int{1, 64 << 10} {
			blocks, err := readAll(t, c.text, nil, format.RowPlace{}, sqldump.Config{}, blockBytes)
			require.NoError(t, err, name)
			require.Equal(t, c.want, rowsOf(blocks), name)
		}
	}
}

// TestSessionMode: the job's SQL mode holds where the dump sets none.
func TestSessionMode(t *testing.T) {
	t.Parallel()
	cfg := sqldump.Config{NoBackslashEscapes: true}
	blocks, err := readAll(t, `INSERT INTO t VALUES ('a\','b');`, nil, format.RowPlace{}, cfg, 1<<10)
	require.NoError(t, err)
	require.Equal(t, []string{`=t:a\|t:b`}, rowsOf(blocks))
	blocks, err = readAll(t, `SET sql_mode='';INSERT INTO t VALUES ('a\',');`, nil, format.RowPlace{}, cfg, 1<<10)
	require.NoError(t, err)
	require.Equal(t, []string{`=t:a',`}, rowsOf(blocks))
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"INSERT INTO t VALUES (1);\n DELETE FROM t;":                "line 2, offset 27",
		"UPDATE t SET a = 1;":                                       "isn't understood: UPDATE",
		"INSERT INTO t VALUES (1); TRUNCATE TABLE t;":               "isn't understood: TRUNCATE",
		"LOAD DATA INFILE 'x' INTO TABLE t;":                        "LOAD",
		"CALL p();":                                                 "CALL",
		"ALTER TABLE t DROP COLUMN a;":                              "ALTER",
		"CREATE TABLE t AS SELECT 1;":                               "CREATE",
		"/*!40000 DELETE FROM t */;":                                "DELETE",
		"INSERT INTO t SELECT 1;":                                   "only INSERT and REPLACE with VALUES",
		"INSERT INTO t SET a = 1;":                                  "only INSERT and REPLACE with VALUES",
		"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2;":   "something other than a row follows a row",
		"INSERT INTO t VALUES (1) AS n;":                            "something other than a row",
		"INSERT INTO t VALUES (1), ;":                               "no row behind a comma",
		"INSERT INTO t VALUES 1;":                                   "no row behind VALUES",
		"INSERT INTO t VALUES (1),(2)":                              "the file ends within an INSERT: it has no ;",
		"INSERT INTO t VALUES (1),(2),":                             "the file ends within",
		"INSERT INTO t VALUES (1),(2":                               "the file ends within a row",
		"INSERT INTO t VALUES (1),('a":                              "the file ends within a quoted text",
		"INSERT INTO t VAL":                                         "only INSERT and REPLACE",
		"INSERT INTO":                                               "the file ends within a statement",
		"/* no end":                                                 "the file ends within a comment",
		"SET a = 1":                                                 "the file ends within a statement",
		"INSERT INTO t VALUES (1;":                                  "no closing parenthesis",
		"INSERT INTO t VALUES (1);INSERT INTO u VALUES (1);":        "rows of more than one table: `t` and `u`",
		"INSERT INTO t VALUES (1);USE b; INSERT INTO t VALUES (1);": "more than one database",
		"INSERT INTO t VALUES (1);SET time_zone='+01:00';INSERT INTO t VALUES (1);": "a SET between rows changes what they mean",
		"SET sql_mode=concat(@@sql_mode,',ANSI');INSERT INTO t VALUES (1);":         "it can't be told what the sql_mode is",
		"SET NAMES latin1;INSERT INTO t VALUES (1);":                                "the character set latin1",
		"INSERT INTO t VALUES (1);DROP TABLE t;":                                    "a DROP behind rows",
		"INSERT INTO t VALUES (NOW());":                                             "expressions can't be read",
		"INSERT INTO t VALUES (1 + 1);":                                             "only literals can be read",
		"INSERT INTO t VALUES ('a' 'b');":                                           "only literals",
		"INSERT INTO t VALUES (,);":                                                 "a value is no literal",
		"INSERT INTO t VALUES (1,);":                                                "a value is no literal",
		"INSERT INTO t VALUES (x'4');":                                              "odd number",
		"INSERT INTO t VALUES (0xZZ);":                                              "other characters than digits",
		"INSERT INTO t VALUES (b'2');":                                              "other characters than 0 and 1",
		"INSERT INTO t VALUES (1e);":                                                "no literal",
		"INSERT INTO t VALUES (_latin1'a');":                                        "in another character set",
		"INSERT INTO t VALUES (1a);":                                                "no literal",
		"INSERT INTO t VALUES ((1));":                                               "no literal",
		"INSERT INTO t (a VALUES (1);":                                              "a list of columns is malformed",
	} {
		for _, blockBytes := range []int{1, 64 << 10} {
			_, err := readAll(t, text, nil, format.RowPlace{}, sqldump.Config{}, blockBytes)
			f := fault.As(err)
			require.NotNil(t, f, "%s: %v", text, err)
			require.Equal(t, fault.Source, f.Whose, text)
			require.Contains(t, err.Error(), want, text)
			require.Contains(t, err.Error(), "file /data/a.sql, line ", text)
		}
	}
}

// TestRecover: a row that can't be read costs itself alone.
func TestRecover(t *testing.T) {
	t.Parallel()
	text := "INSERT INTO t VALUES (1),(NOW()),('a;)' 'b'),(2);\nINSERT INTO t VALUES (f(g(1),')')),(3);"
	for _, blockBytes := range []int{1, 64 << 10} {
		blocks, err := readAll(t, text, nil, format.RowPlace{}, sqldump.Config{Recover: true}, blockBytes)
		require.NoError(t, err)
		require.Equal(t, []string{"=n:1", "=BAD (NOW())", "=BAD ('a;)' 'b')", "=n:2", "=BAD (f(g(1),')'))", "=n:3"}, rowsOf(blocks))
	}
}

// dump is a random one of about size bytes.
func dump(rnd *rand.Rand, size int) string {
	var b strings.Builder
	b.WriteString("-- a dump\n/*!40101 SET NAMES utf8mb4 */;\n/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n")
	lists := []string{"", "(`a`,`b`,`c`) ", "(c,b,a)"}
	for b.Len() < size {
		fmt.Fprintf(&b, "INSERT INTO `t` %sVALUES ", lists[rnd.IntN(1+rnd.IntN(3))])
		for i, n := 0, 1+rnd.IntN(20); i < n; i++ {
			if i > 0 {
				b.WriteString([]string{",", ",\n", " , /* , */"}[rnd.IntN(3)])
			}
			fmt.Fprintf(&b, "(%d,%s,%s)", rnd.Int64()-1<<40, value(rnd), value(rnd))
		}
		b.WriteString([]string{";\n", ";", ";\n-- and so on;\n", ";\nSET autocommit = 0;\n"}[rnd.IntN(4)])
	}
	return b.String()
}

func value(rnd *rand.Rand) string {
	switch rnd.IntN(6) {
	case 0:
		return "NULL"
	case 1:
		return fmt.Sprintf("x'%016x'", rnd.Uint64())
	case 2:
		return fmt.Sprintf("%v", rnd.NormFloat64())
	}
	var b strings.Builder
	b.WriteByte('\'')
	for range rnd.IntN(60) {
		b.WriteString([]string{"a", "bc", "\\'", "''", "\\\\", ")", "(", ",", ";", "\n", "é", "\"", "--", "/*", "*/", "`", "some words that are plain"}[rnd.IntN(17)])
	}
	return b.String() + "'"
}

// TestAnySplit: wherever blocks end, and wherever reading goes on, the rows are the same.
func TestAnySplit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		text := dump(rand.New(rand.NewPCG(seed, 2)), 20_000)
		whole, err := readAll(t, text, nil, format.RowPlace{}, sqldump.Config{}, 1<<20)
		require.NoError(t, err)
		want := rowsOf(whole)
		for _, blockBytes := range []int{1 << 10, 3000, 9999} {
			blocks, err := readAll(t, text, nil, format.RowPlace{}, sqldump.Config{}, blockBytes)
			require.NoError(t, err)
			require.Equal(t, want, rowsOf(blocks))
			for i := 0; i < len(blocks); i += 1 + len(blocks)/5 {
				rest, err := readAll(t, text, nil, blocks[i].at, sqldump.Config{}, 2000)
				require.NoError(t, err)
				require.Equal(t, want[blocks[i].at.Row:], rowsOf(rest))
			}
		}
	}
}
