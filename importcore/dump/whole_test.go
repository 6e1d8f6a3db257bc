package dump_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// texts are files by their keys.
type texts map[string]string

// Open implements source.Store.
func (s texts) Open(_ context.Context, f source.File, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(s[f.Key])[offset:])), nil
}

// List implements source.Store.
func (s texts) List(context.Context) (list []source.File, _ error) {
	for key, text := range s {
		list = append(list, source.File{Path: "/d/" + key, Key: key, Size: int64(len(text))})
	}
	return list, nil
}

// Close implements source.Store.
func (s texts) Close() error { return nil }

// read lists files and reads those that are whole dumps.
func (s texts) read(t *testing.T, db string) (string, error) {
	t.Helper()
	files, _ := s.List(t.Context())
	l := dump.Read(files)
	if err := l.ReadWhole(t.Context(), s, sqldump.Config{}, db); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, d := range l.Databases {
		if d.Schema != nil {
			fmt.Fprintf(&out, "%s: %s\n", d.Schema.Place(), d.Schema.Text)
		}
	}
	for _, list := range [][]dump.Object{l.Tables, l.Views, l.Sequences} {
		for _, o := range list {
			if o.Schema != nil {
				fmt.Fprintf(&out, "%s: %q\n", o.Schema.Place(), o.Schema.Text)
			}
			for _, d := range o.Data {
				if d.Section != nil {
					fmt.Fprintf(&out, "  line %d: %q\n", d.Section.Line, s[d.Key][d.Section.Start:d.Section.End])
				}
			}
		}
	}
	return show(l) + out.String(), nil
}

func TestWhole(t *testing.T) {
	t.Parallel()
	files := texts{
		"a.sql": "CREATE DATABASE a;\nUSE a;\nCREATE TABLE t (x int);\nINSERT INTO t VALUES (1);\nCREATE TABLE A.u (y int);\nINSERT INTO t VALUES (2);\nINSERT INTO T VALUES (3);\n" +
			"CREATE SEQUENCE s;\nDO SETVAL(s, 5, 0);\nGRANT ALL ON x TO y;\nCREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1;",
		"2026-01-02.SQL": "CREATE TABLE `plain` (x int);\nINSERT INTO plain VALUES (1);\nCREATE VIEW v AS SELECT 1;\nINSERT INTO a.t VALUES (9);\nINSERT INTO rows_only VALUES (9);\n",
		"bad.sql":        "USE a;\nCREATE TABLE t (x int);\nCREATE VIEW s AS SELECT 1;\nCREATE VIEW v AS SELECT 1;\nINSERT INTO v VALUES (1);\nDO SETVAL(s, 5, 0);\nDO SETVAL(none, 5, 0);\n",
		"a.more.sql":     "INSERT INTO x VALUES (1)",
		"upper.sql":      "CREATE DATABASE A;CREATE DATABASE IF NOT EXISTS a;",
		"read.me":        "CREATE TABLE z (x int);",
	}
	got, err := files.read(t, "other") // there are several
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/whole.golden", got)
}

// TestWholeWithoutDatabase: what a file leaves open is in the database that the caller names, or that the file is called after.
func TestWholeWithoutDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ db, text, want string }{
		{"", "CREATE TABLE t (x int);", `table "shop"."t"`},
		{"other", "CREATE TABLE t (x int);", `table "other"."t"`},
		{"other", "CREATE TABLE t (x int);USE b;CREATE TABLE u (x int);", `table "other"."t"`},
		{"b", "CREATE TABLE t (x int);USE b;CREATE TABLE u (x int);", `table "shop"."t"`},
	} {
		got, err := texts{"shop.sql": c.text}.read(t, c.db)
		if err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%q %s: %s, %v", c.db, c.text, got, err)
		}
	}
	if _, err := (texts{"shop.sql": "DELETE FROM t;"}).read(t, ""); err == nil || !strings.Contains(err.Error(), "/d/shop.sql, line 1") {
		t.Error(err)
	}
	got, err := texts{"shop.sql": "DELETE FROM t;", "a.t-schema.sql": "CREATE TABLE t (x int);"}.read(t, "")
	if err != nil || !strings.Contains(got, "skipped /d/shop.sql: its name") {
		t.Error(got, err)
	}
}
