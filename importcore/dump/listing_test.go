package dump_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/source"
)

var rewrite = flag.Bool("rewrite", false, "write the listings that the test finds")

// TestListing reads lists of files (name and size) and compares what they make with the golden listings.
func TestListing(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.files")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".files")
		t.Run(filepath.Base(name), func(t *testing.T) {
			got := show(dump.Read(entries(t, input)))
			golden(t, name+".golden", got)
		})
	}
}

// golden compares with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func entries(t *testing.T, input string) []source.File {
	text, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	var list []source.File
	for line := range strings.Lines(string(text)) {
		var size int64
		name, number, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if _, err := fmt.Sscan(number, &size); number != "" && err != nil {
			t.Fatal(err)
		}
		list = append(list, source.File{Path: "/d/" + name, Key: name, Size: size})
	}
	return list
}

func show(l *dump.Listing) string {
	var out strings.Builder
	schema := func(e *dump.Schema) string {
		if e == nil {
			return "no schema"
		}
		return e.Key
	}
	for _, d := range l.Databases {
		fmt.Fprintf(&out, "database %q: %s\n", d.Name, schema(d.Schema))
	}
	for _, kind := range []struct {
		name string
		list []dump.Object
	}{{"table", l.Tables}, {"view", l.Views}, {"sequence", l.Sequences}} {
		for _, o := range kind.list {
			fmt.Fprintf(&out, "%s %q.%q: %s, %d bytes\n", kind.name, o.DB, o.Name, schema(o.Schema), o.Bytes)
			for _, d := range o.Data {
				fmt.Fprintf(&out, "  %s %s\n", d.Format, d.Key)
			}
		}
	}
	for _, p := range l.Policies {
		fmt.Fprintf(&out, "policy %s\n", p.Key)
	}
	if l.Metadata != nil {
		fmt.Fprintf(&out, "metadata %s\n", l.Metadata.Key)
	}
	for _, s := range l.Skipped {
		fmt.Fprintf(&out, "skipped %s: %s\n", s.Path, s.Reason)
	}
	for _, p := range l.Problems {
		fmt.Fprintf(&out, "problem %q.%q %s: %s\n", p.DB, p.Object, p.Path, p.Reason)
	}
	for _, f := range l.Whole {
		fmt.Fprintf(&out, "whole %s\n", f.Key)
	}
	if l.BR != "" {
		fmt.Fprintf(&out, "BR archive %s\n", l.BR)
	}
	return out.String()
}

func TestPosition(t *testing.T) {
	for text, want := range map[string]uint64{
		"Started dump at: 2026-01-02 03:04:05\nSHOW MASTER STATUS:\n\tLog: tidb-binlog\n\tPos: 415195906970746880\n\tGTID:\n\nFinished dump at: x\n":                                              415195906970746880,
		"SHOW MASTER STATUS:\n\tLog: mysql-bin.000001\n\tPos: 7502\n":                                                                                                                             0,
		"SHOW MASTER STATUS:\n\tLog: tidb-binlog\n\tPos: not a number\n":                                                                                                                          0,
		"# Started dump at: 2026-01-02 03:04:05\n[config]\nquote_character = BACKTICK\n\n[source]\nFile = tidb-binlog\nPosition = 415195906970746880\n\n[`a`.`t`]\nreal_table_name=t\nrows = 5\n": 415195906970746880,
		"[master]\nFile = mysql-bin.000001\nPosition = 7502\n":                                                                                                                                    0,
		"[source]\nSOURCE_LOG_FILE = \"tidb-binlog\"\nSOURCE_LOG_POS = 415195906970746880\n":                                                                                                      415195906970746880,
		"": 0,
	} {
		if got := dump.Position(text); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}

// TestRules: the first rule that fits a file says what it is.
func TestRules(t *testing.T) {
	var files []source.File
	for _, key := range []string{"x/orders.txt", "x/orders.10.txt", "x/orders.9.txt", "x/orders.last.txt", "x/orders.sql", "notes", "data.bin", "odd.parquet", "bad.type", "a.t.csv"} {
		files = append(files, source.File{Path: "/d/" + key, Key: key, Size: 1})
	}
	list := []dump.Rule{
		{Pattern: `^x/(\w+)\.sql$`, Schema: "Shop", Table: "${1}", Type: "table-schema"},
		{Pattern: `^x/(?P<table>\w+)(?:\.(\w+))?\.txt$`, Schema: "shop", Table: "${table}", Type: "csv", Key: "$2"},
		{Path: "data.bin", Schema: "shop", Table: "more", Type: "sql", Compression: "GZ"},
		{Path: "odd.parquet", Schema: "shop", Table: "more", Type: "ignore"},
		{Pattern: `^bad\.(.*)$`, Schema: "shop", Table: "more", Type: "$1"},
		{Pattern: `orders`, Schema: "never", Table: "reached", Type: "csv"},
	}
	for name, withDefault := range map[string]bool{"rules": false, "rules_default": true} {
		rules, err := dump.NewRules(list, withDefault)
		if err != nil {
			t.Fatal(err)
		}
		l := dump.ReadBy(files, rules)
		golden(t, "testdata/"+name+".golden", show(l))
		for _, table := range l.Tables {
			if table.Name == "more" && table.Data[0].Compression != source.Gzip {
				t.Error(table.Data)
			}
		}
	}
	if _, err := dump.NewRules([]dump.Rule{{Pattern: "("}}, false); err == nil {
		t.Error("a pattern that can't be read")
	}
}

// TestReadFile: a file that is named itself is a whole dump, if it is of SQL.
func TestReadFile(t *testing.T) {
	if got := show(dump.ReadFile(source.File{Path: "/d/a.b.sql.gz", Key: "a.b.sql.gz"})); got != "whole a.b.sql.gz\n" {
		t.Error(got)
	}
	if got := show(dump.ReadFile(source.File{Path: "/d/a.csv", Key: "a.csv"})); !strings.HasPrefix(got, "skipped /d/a.csv: its suffix") {
		t.Error(got)
	}
}

// TestShell: a dump of MySQL Shell is known by its file @.json.
func TestShell(t *testing.T) {
	if l := dump.Read([]source.File{{Path: "/d/@.json", Key: "@.json"}, {Path: "/d/a@t@@0.tsv.zst", Key: "a@t@@0.tsv.zst"}}); l.Shell != "/d/@.json" {
		t.Error(l.Shell)
	}
}
