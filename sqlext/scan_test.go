package sqlext

import (
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// scanSeeds are texts with what MaybeOurs must say of them.
var scanSeeds = []struct {
	sql  string
	want bool
}{
	{"", false},
	{" ", false},
	{"select 1", false},
	{"insert into t values (1,'x')", false},
	{"import into t from '/a.csv'", true},
	{"\t\n /* x */ -- y\n#z\n IMPORT/**/INTO t FROM '/a.csv'", true},
	{"/*! import into t from '/a.csv' */", true},
	{"/*!40101 import into t from '/a.csv' */", true},
	{"/*!40101 */import into t from '/a.csv'", true},
	{"/*!40101 SET NAMES utf8mb4 */", false},
	{"/*T! import into t from '/a.csv' */", true},
	{"/*T![auto_rand] import into t from '/a.csv' */", true},
	{"/*/ x */import into t from '/a.csv'", true},
	{"/***/import into t from '/a.csv'", true},
	{"/* import into t */ select 1", false},
	{"/*+ hint */ import into t from '/a.csv'", true},
	{"/*M! x */ import into t from '/a.csv'", true},
	{"--\nimport into t from '/a.csv'", true},
	{"--import into t from '/a.csv'", false},
	{"\x85\xa0import into t from '/a.csv'", true},
	{"select 1; import into t from '/a.csv'", true},
	{";;import into t from '/a.csv'", true},
	{"select ';import'", true},
	{"select 'import into'", false},
	{"show import jobs", true},
	{"show import job 1", true},
	{"show restores", true},
	{"show raw import jobs", true},
	{"show tables", false},
	{"show create table import", false},
	{"cancel import job 1", true},
	{"cancel distribution job 1", false},
	{"pause import job 1", true},
	{"resume import job 1", true},
	{"retry import job 1", true},
	{"alter import job 1 set thread=8", true},
	{"alter table import add column a int", false},
	{"explain import into t from '/a.csv'", true},
	{"explain analyze format='brief' import into t from '/a.csv'", true},
	{"desc import into t from '/a.csv'", true},
	{"describe import into t from '/a.csv'", true},
	{"explain select 1", false},
	{"restore database * from 'x'", true},
	{"RESTORE/* x */SCHEMA a FROM 'x'", true},
	{"restore table`t` from 'x'", true},
	{"restore /*T![x] database */ * from 'x'", true},
	{"restore point from 'x'", false},
	{"restore", false},
	{"explain restore table t from 'x'", true},
	{"desc format='brief' restore table t from 'x'", true},
	{"backup database * to 'x'", false},
	{"show backups", false},
	{"prepare s from 'import into t from \"/a.csv\"'", false},
	{"importx into t", false},
	{"`import` into", false},
	{"/* unclosed", false},
	{"/*", false},
	{"/*!", false},
	{"/*T", false},
	{"-", false},
	{"*", false},
	{"/", false},
}

func TestMaybeOurs(t *testing.T) {
	t.Parallel()
	for _, tc := range scanSeeds {
		require.Equal(t, tc.want, MaybeOurs([]byte(tc.sql)), "%q", tc.sql)
	}
}

func FuzzMaybeOurs(f *testing.F) {
	for _, tc := range scanSeeds {
		f.Add(tc.sql, false)
		f.Add(tc.sql, true)
	}
	for _, tc := range parseSeeds {
		f.Add(tc, false)
	}
	f.Fuzz(func(t *testing.T, sql string, ansi bool) {
		mode := mysql.SQLMode(0)
		if ansi {
			mode = mysql.ModeANSIQuotes | mysql.ModeNoBackslashEscapes
		}
		st, err := Parse(sql, mode)
		if (st != nil || err != nil) && !MaybeOurs([]byte(sql)) {
			t.Fatalf("the parser recognises %q (%v, %v) but the scanner doesn't", sql, st, err)
		}
	})
}

func TestMaybeOursAllocatesNothing(t *testing.T) {
	sql := []byte("INSERT INTO t VALUES " + strings.Repeat("(1,'a;b'),", 100) + "(1,'c'); SELECT 1")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if MaybeOurs(sql) {
			t.Fatal("an INSERT is not ours")
		}
	}))
}

// TestMaybeOursStaysLinear feeds texts whose blanks could be walked once per
// semicolon. A quadratic walk of 4 MiB would take ten minutes and more.
func TestMaybeOursStaysLinear(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"/*;*/", ";/*", ";--", ";explain ", ";# ", "; \n"} {
		sql := []byte(strings.Repeat(unit, (4<<20)/len(unit)))
		start := time.Now()
		MaybeOurs(sql)
		require.Less(t, time.Since(start), time.Minute, unit)
	}
}

func BenchmarkMaybeOurs(b *testing.B) {
	texts := map[string]string{
		"Select":    "SELECT c FROM sbtest1 WHERE id=50083",
		"Comment":   "/* app:web,route:/orders */ SELECT id, name FROM orders WHERE user_id = 42 ORDER BY id LIMIT 10",
		"Set":       "SET NAMES utf8mb4",
		"Show":      "SHOW VARIABLES LIKE 'version'",
		"Restore":   "RESTORE POINT FROM 's3://backups/log' FULL_BACKUP_STORAGE = 's3://backups/full'",
		"Insert1KB": "INSERT INTO t (a,b,c) VALUES " + strings.Repeat("(1,'abc',2.5),", 70) + "(1,'abc',2.5)",
		"Insert1MB": "INSERT INTO t (a,b,c) VALUES " + strings.Repeat("(1,'abc',2.5),", 70000) + "(1,'abc',2.5)",
	}
	for name, sql := range texts {
		b.Run(name, func(b *testing.B) {
			text := []byte(sql)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if MaybeOurs(text) {
					b.Fatal("not ours")
				}
			}
		})
	}
}
