package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
)

// modes are the sessions in turn, so that each type meets several of them over
// its kinds of tables.
var modes = []struct{ sqlMode, zone string }{
	{parsermysql.DefaultSQLMode, "UTC"},
	{"", "Asia/Shanghai"},
	{parsermysql.DefaultSQLMode, "America/New_York"},
	{"STRICT_TRANS_TABLES,ALLOW_INVALID_DATES", "Europe/London"},
	{"NO_ZERO_DATE,NO_ZERO_IN_DATE", "Pacific/Apia"},
	{parsermysql.DefaultSQLMode, "Asia/Kathmandu"},
	{"STRICT_ALL_TABLES,NO_ZERO_DATE", "Europe/London"},
	{"ALLOW_INVALID_DATES", "America/New_York"},
	{"STRICT_ALL_TABLES,NO_ZERO_IN_DATE", "Asia/Tokyo"},
}

// companions are the columns beside the one that a shape is about.
const companions = ", s VARCHAR(20) COLLATE utf8mb4_general_ci, n INT, x VARCHAR(10) COLLATE utf8mb4_bin"

// indexes is every plain kind of index that the type allows: whole, unique,
// on a prefix, of several columns, descending (which TiDB reads and ignores), invisible.
func (c *typeCase) indexes() string {
	switch {
	case c.noIndex:
		return ", KEY ks (s), UNIQUE KEY ux (x)"
	case c.prefixOnly:
		return ", KEY kp (v(3)), UNIQUE KEY up (v(5), n), KEY kc (s, v(2), n), KEY kd (n, v(100) DESC), KEY ki (v(1)) INVISIBLE"
	case c.isString && !c.oneLetter():
		return ", KEY kv (v), UNIQUE KEY uv (v, n), KEY kp (v(3)), UNIQUE KEY up (v(5), n), KEY kc (s, v(2), n), KEY kd (s(2), n DESC), UNIQUE KEY ux (x), KEY ki (v(1) DESC) INVISIBLE"
	default:
		return ", KEY kv (v), UNIQUE KEY uv (v, n), KEY kc (s, v, n), KEY kd (n, s(3) DESC), UNIQUE KEY ux (x), KEY ki (v DESC, n) INVISIBLE"
	}
}

// oneLetter is for strings too short for a prefix.
func (c *typeCase) oneLetter() bool { return strings.Contains(c.sql, "(1)") }

// keyPart is the column in an index: the shortest that the type allows.
func (c *typeCase) keyPart() string {
	if c.prefixOnly || c.isString && !c.oneLetter() {
		return "v(6)"
	}
	return "v"
}

// layouts are the kinds of handles.
func (c *typeCase) layouts() []string {
	body := "v " + c.sql + companions + c.indexes()
	layouts := []string{
		"(id BIGINT PRIMARY KEY CLUSTERED, " + body + ")",
		"(id BIGINT UNSIGNED, " + body + ")",
		"(id DECIMAL(20,0), " + body + ", PRIMARY KEY (id) CLUSTERED)",
		"(id INT, " + body + ", PRIMARY KEY (id) NONCLUSTERED)",
	}
	if c.noIndex {
		return layouts
	}
	layouts = append(layouts,
		"(id INT, "+body+", PRIMARY KEY ("+c.keyPart()+", id) CLUSTERED)",
		"(id VARCHAR(10) COLLATE utf8mb4_unicode_ci, "+body+", PRIMARY KEY (id, "+c.keyPart()+") CLUSTERED)",
		"(id INT, "+body+", PRIMARY KEY (id, "+c.keyPart()+") NONCLUSTERED)")
	if c.isString && !c.prefixOnly || c.class == classDate || c.class == classDecimal || c.class == classFloat {
		layouts = append(layouts, "(id INT, "+body+", PRIMARY KEY (v) CLUSTERED)", "(id INT, "+body+", PRIMARY KEY (v) NONCLUSTERED)")
	}
	return layouts
}

// rows are the edge values one by one, some of them changed a little, and then
// random ones; the companions are NULL now and then, unique or not.
func (c *typeCase) rows(r *rand.Rand, bulk int) (edges, many [][]value) {
	edges = [][]value{{text("1"), nil, nil, nil, nil}, {text("2"), nil, text("tail  "), text("5"), text("x1")}}
	words := []value{text("Äpfel"), text("pad   "), text(""), nil, text("ǅ"), text("z")}
	number := 10
	row := func(v string) []value {
		number++
		out := []value{text(fmt.Sprint(number)), text(v), words[number%len(words)], nil, nil}
		if number%3 != 0 {
			out[3] = text(fmt.Sprint(number))
		}
		if number%2 == 0 {
			out[4] = text(fmt.Sprint("x", number))
		}
		return out
	}
	for _, v := range c.values {
		edges = append(edges, row(v))
	}
	for range bulk / 6 {
		from := c.random(r)
		if r.IntN(2) == 0 {
			from = c.values[r.IntN(len(c.values))]
		}
		if len(from) < 1000 {
			edges = append(edges, row(mutate(r, from)))
		}
	}
	for range bulk {
		out := row(c.random(r))
		if r.IntN(12) == 0 && out[0] != nil {
			out[1] = nil
		}
		many = append(many, out)
	}
	return edges, many
}

// matrix is every type in every kind of table.
func matrix() []twin {
	var out []twin
	for i, c := range typeCases() {
		turn := i
		add := func(kind, ddl string) {
			mode := modes[turn%len(modes)]
			turn++
			s := twin{name: fmt.Sprintf("t%d_%s", i, kind), ddl: []string{"CREATE TABLE {t} " + ddl}, rows: c.rows,
				order: "id", sqlMode: mode.sqlMode, zone: mode.zone}
			if !strings.Contains(ddl, "PRIMARY KEY") || strings.Contains(ddl, "NONCLUSTERED") {
				s.ordinal = []string{"_tidb_rowid"}
			}
			out = append(out, s)
		}
		layouts, others := c.layouts(), c.special()
		if c.once {
			layouts, others = layouts[i%len(layouts):][:1], nil
		}
		for k, ddl := range layouts {
			add(fmt.Sprint("k", k), ddl)
		}
		for _, o := range others {
			add(o.kind, o.ddl)
		}
	}
	return out
}

// kindOfTable is a table that is special in one way.
type kindOfTable struct{ kind, ddl string }

// special are the tables with generated columns, indexes on expressions,
// checks and partitions over the type.
func (c *typeCase) special() []kindOfTable {
	var out []kindOfTable
	v := "v " + c.sql + companions
	for i, g := range c.generated() {
		out = append(out, kindOfTable{fmt.Sprint("g", i), fmt.Sprintf(
			"(id BIGINT PRIMARY KEY CLUSTERED, %s, g %s AS (%s) VIRTUAL, h %s AS (%s) STORED, KEY kg (g), KEY kh (h, s), UNIQUE KEY ug (g, id))", v, g.sql, g.expr, g.sql, g.expr)})
	}
	for i, e := range c.expressions() {
		out = append(out, kindOfTable{fmt.Sprint("e", i), fmt.Sprintf("(id BIGINT, %s, KEY ke ((%s)), UNIQUE KEY ue ((%s), id), KEY km (n, (%s), s(2)))", v, e, e, e)})
	}
	out = append(out, kindOfTable{"c", fmt.Sprintf(
		"(id INT, %s, PRIMARY KEY (id) NONCLUSTERED, CHECK (n IS NULL OR n %% 5 <> 3), CONSTRAINT {t}_cv CHECK (v IS NULL OR %s))", v, c.check())})
	for i, p := range c.partitions() {
		table := fmt.Sprintf("(id BIGINT UNSIGNED, %s, KEY kn (n), UNIQUE KEY ul (v, n), UNIQUE KEY ug (x) GLOBAL)", v)
		if i%2 == 1 {
			table = fmt.Sprintf("(id INT, %s, PRIMARY KEY (v, id) CLUSTERED, KEY ks (s), UNIQUE KEY ug (x) GLOBAL)", v)
		}
		out = append(out, kindOfTable{fmt.Sprint("p", i), table + " PARTITION BY " + p})
	}
	return out
}
