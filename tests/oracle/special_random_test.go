package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomTables are tables that nobody thought of: columns of any types, keys
// over any of them.
func randomTables() []twin {
	r := rand.New(rand.NewPCG(seed, 1))
	types := typeCases()
	var out []twin
	for i := range 120 {
		out = append(out, randomTable(r, i, types))
	}
	return out
}

func randomTable(r *rand.Rand, i int, types []typeCase) twin {
	n := 2 + r.IntN(14)
	defs, cells, of := []string{"id INT"}, []cell{number}, []typeCase{{sql: "INT"}}
	for k := range n {
		c := types[r.IntN(len(types))]
		def := fmt.Sprintf("c%d %s", k, c.sql)
		make := maybe(c.random)
		if r.IntN(4) == 0 {
			def += " NOT NULL"
			make = always(c.random)
		}
		if r.IntN(8) == 0 { // an edge value now and then: a row may be refused for it
			values, good := c.values, make
			make = func(r *rand.Rand, i int) value {
				if r.IntN(20) == 0 {
					return text(values[r.IntN(len(values))])
				}
				return good(r, i)
			}
		}
		defs, cells, of = append(defs, def), append(cells, make), append(of, c)
	}
	name := func(k int) string {
		if k == 0 {
			return "id"
		}
		return fmt.Sprint("c", k-1)
	}
	keyList := func(parts int) string {
		var list []string
		for _, k := range r.Perm(n + 1) {
			if c := of[k]; !c.noIndex && len(list) < parts {
				part := name(k)
				if c.prefixOnly || c.isString && r.IntN(2) == 0 && !c.oneLetter() {
					part += fmt.Sprintf("(%d)", 1+r.IntN(7))
				}
				list = append(list, part)
			}
		}
		return strings.Join(list, ", ")
	}
	primary := []string{", PRIMARY KEY (id)", ", PRIMARY KEY (id) NONCLUSTERED", "", ", PRIMARY KEY (id, %s) CLUSTERED", ", PRIMARY KEY (%s, id) CLUSTERED"}[r.IntN(5)]
	if strings.Contains(primary, "%s") {
		list := keyList(2)
		if parts := strings.Split(list, ", "); list == "" || strings.Contains(" "+strings.Join(parts, " ")+" ", " id ") {
			primary = ", PRIMARY KEY (id)"
		} else {
			primary = fmt.Sprintf(primary, list)
		}
	}
	ddl := "(" + strings.Join(defs, ", ") + primary
	for k := range r.IntN(6) {
		if list := keyList(1 + r.IntN(3)); list != "" {
			ddl += fmt.Sprintf(", KEY k%d (%s)", k, list)
		}
	}
	mode := modes[r.IntN(len(modes))]
	s := twin{name: fmt.Sprint("random", i), ddl: []string{create + ddl + ")"}, order: "id", sqlMode: mode.sqlMode, zone: mode.zone}
	if primary == "" || strings.Contains(primary, "NONCLUSTERED") {
		s.ordinal = rowID
	}
	// The fields in another order than the columns.
	perm := r.Perm(n + 1)
	shuffled := []cell{}
	for _, k := range perm {
		s.columns = append(s.columns, name(k))
		shuffled = append(shuffled, cells[k])
	}
	s.rows = rowsOf(shuffled...)
	return s
}
