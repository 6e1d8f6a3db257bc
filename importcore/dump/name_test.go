package dump_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sluicedb/sluice/importcore/dump"
)

// FuzzParseName writes a table's name as Dumpling does and expects it back, and makes sure that no path fails.
func FuzzParseName(f *testing.F) {
	for _, seed := range [][2]string{{"db", "t"}, {"a.b", "t-schema"}, {"100%", "中"}, {"x", "1"}, {"-schema-create", "a.b.sql"}, {"s/t", "v-schema-view.sql.bak"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, db, table string) {
		dump.ParseName(db)
		dump.ParseName(db + "." + table)
		if db == "" || table == "" || strings.ContainsRune(db+table, 0) {
			return
		}
		for suffix, want := range map[string]dump.Kind{
			"-schema.sql": dump.KindTable, "-SCHEMA.Sql": dump.KindTable, "-schema-view.sql": dump.KindView,
			"-schema-sequence.sql.gz": dump.KindSequence, ".000000001.sql": dump.KindData, ".1.csv.zst": dump.KindData,
		} {
			path := "folder.of/" + escape(db) + "." + escape(table) + suffix
			n := dump.ParseName(path)
			if n.Kind != want || n.DB != db || n.Object != table {
				t.Fatalf("%q: %+v, not %v of %q.%q", path, n, want, db, table)
			}
		}
	})
}

// escape writes more with % than has to be.
func escape(name string) string {
	return strings.NewReplacer(".", "%2E", "+", "%2B").Replace(url.PathEscape(name))
}

// TestMasked: mydumper's stand-ins for names are a prefix and a number.
func TestMasked(t *testing.T) {
	for name, want := range map[string]bool{"mydumper_0": true, "mydumper_123": true, "mydumper_": false, "mydumper_1a": false, "amydumper_1": false, "": false} {
		if got := dump.Masked(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
