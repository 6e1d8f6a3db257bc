package sqlext

import (
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	filter "github.com/pingcap/tidb/pkg/util/table-filter"
	router "github.com/pingcap/tidb/pkg/util/table-router"
)

// Route says where tables go whose names in the source fit a pattern.
type Route struct {
	// Schema and Table are patterns of TiDB's table router: * at the end is any text, ? a character, [a-z] and [!a-z] one
	// of a class. Case makes no difference. Table is "" for all of a schema's tables.
	Schema, Table string
	// ToSchema is where they go, ToTable the name that they get, "" for their own.
	ToSchema, ToTable string
}

// maxRules bounds FILTER and ROUTE: each table is compared with each rule.
const maxRules = 200

// parseFilters reads the text of FILTER: rules of TiDB's table filter, separated by commas. If the first one
// leaves something out, all the rest is meant.
// https://docs.pingcap.com/tidb/v8.5/table-filter
func parseFilters(text string) ([]string, *Error) {
	var rules []string
	for _, rule := range splitRules(text) {
		if rule == "" || strings.HasPrefix(rule, "@") || strings.HasPrefix(rule, "#") { // @ would read a file
			return nil, newError(errno.ErrInvalidOptionVal, "filter, a rule has the form db.table or !db.table")
		}
		if len(rules) == 0 && rule[0] == '!' {
			rules = append(rules, "*.*")
		}
		rules = append(rules, rule)
	}
	if len(rules) > maxRules {
		return nil, newError(errno.ErrInvalidOptionVal, "filter, which has too many rules")
	}
	if _, err := filter.Parse(rules); err != nil {
		return nil, newError(errno.ErrInvalidOptionVal, "filter: "+strings.TrimPrefix(err.Error(), "at <cmdline>:1: "))
	}
	return rules, nil
}

// splitRules cuts a text at its commas, but not in quotes, regular expressions and classes.
func splitRules(text string) []string {
	var rules []string
	start := 0
	var closing byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && closing != '`' && closing != '"':
			i++
		case closing != 0:
			if c == closing {
				closing = 0
			}
		case c == '`', c == '"', c == '/':
			closing = c
		case c == '[':
			closing = ']'
		case c == ',':
			rules = append(rules, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(rules, strings.TrimSpace(text[start:]))
}

// parseRoutes reads the text of ROUTE: rules of the form schema[.table] -> schema[.table], separated by commas. A name with
// other than letters, digits, _, $, - and the characters of a pattern stands in backquotes.
func parseRoutes(text string) ([]Route, *Error) {
	var routes []Route
	for _, rule := range splitRules(text) {
		r := routeScanner{rest: rule}
		var to Route
		to.Schema, to.Table = r.names()
		r.symbol("->")
		to.ToSchema, to.ToTable = r.names()
		if r.failed || r.blank() != "" {
			return nil, newError(errno.ErrInvalidOptionVal, "route, a rule has the form schema.table -> schema.table, but one is "+quoteText(rule))
		}
		if to.Table == "" && to.ToTable != "" {
			return nil, newError(errno.ErrInvalidOptionVal, "route, a rule for a whole schema names no table: "+quoteText(rule))
		}
		routes = append(routes, to)
		if !validRoutes(routes) {
			return nil, newError(errno.ErrInvalidOptionVal, "route, a rule is there twice, or has a pattern that makes no sense: "+quoteText(rule))
		}
	}
	return routes, nil
}

// validRoutes asks TiDB's router whether it takes the rules, of which the last is new.
func validRoutes(routes []Route) bool {
	if last := &routes[len(routes)-1]; len(routes) > maxRules || strings.ContainsAny(last.ToSchema+last.ToTable, "*?") {
		return false
	}
	rules := make([]*router.TableRule, len(routes))
	for i, r := range routes {
		rules[i] = &router.TableRule{SchemaPattern: r.Schema, TablePattern: r.Table, TargetSchema: r.ToSchema, TargetTable: r.ToTable}
	}
	_, err := router.NewTableRouter(false, rules)
	return err == nil
}

// routeScanner takes a rule apart.
type routeScanner struct {
	rest   string
	failed bool
}

func (s *routeScanner) blank() string {
	s.rest = strings.TrimSpace(s.rest)
	return s.rest
}

func (s *routeScanner) symbol(text string) {
	rest, ok := strings.CutPrefix(s.blank(), text)
	s.rest, s.failed = rest, s.failed || !ok
}

// names takes schema or schema.table.
func (s *routeScanner) names() (schema, table string) {
	schema = s.name()
	if strings.HasPrefix(s.blank(), ".") {
		s.rest = s.rest[1:]
		table = s.name()
	}
	return schema, table
}

// name takes a pattern or a name, in backquotes or not.
func (s *routeScanner) name() string {
	if strings.HasPrefix(s.blank(), "`") {
		inner := clauseScanner{rest: []byte(s.rest)}
		name, ok := inner.name()
		s.rest, s.failed = string(inner.rest), s.failed || !ok
		return name
	}
	class := false
	i := 0
	for ; i < len(s.rest); i++ {
		c := s.rest[i]
		class = c == '[' || class && c != ']'
		if !class && c != ']' && !strings.ContainsRune("*?!-", rune(c)) && !isWordByte(c) || !class && strings.HasPrefix(s.rest[i:], "->") {
			break
		}
	}
	name := s.rest[:i]
	s.rest, s.failed = s.rest[i:], s.failed || name == ""
	return name
}
