package sqlext

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// What Sluice's RESTORE has beside TiDB's:
//
//	[EXPLAIN] RESTORE {DATABASE | SCHEMA} {* | name [AS name] [, ...]} FROM 'location' [option ...]
//	[EXPLAIN] RESTORE TABLE [db.]name [AS [db.]name] [, ...] FROM 'location' [option ...]
//
// and these options, between TiDB's own: FILTER [=] 'rules', ROUTE [=] 'rules', FILES [=] 'rules', COMPACT [[=] {TRUE | FALSE}], DETACHED, DRY_RUN or DRY RUN, and
// options of IMPORT INTO that hold for a whole job (sharedOptions). All of it is cut out, TiDB's parser reads the rest.

// sharedOptions are options of IMPORT INTO that RESTORE has under the same name.
var sharedOptions = map[string]bool{
	"detached": true, "dry_run": true, "keep_partial": true,
	"character_set": true, "disk_quota": true, "group_key": true, "job_priority": true, "max_errors": true, "max_latency": true, "skip_prechecks": true,
}

// restoreCut is what has been cut out.
type restoreCut struct {
	// any tells that there was something to be cut out.
	any bool
	// explain, with what stood behind it.
	explain, analyze bool
	format           string
	// as has the new names by the number of the database or table.
	as map[int]RestoreTable
	// options are those that IMPORT INTO has too.
	options []*ast.LoadDataOpt
	filter  *string
	route   *string
	files   *string
	compact *bool
}

// restoreCutter walks through a text once. blanked is the text with blanks where something was cut out.
type restoreCutter struct {
	extensionParser
	blanked []byte
	cut     restoreCut
}

// cutRestore returns false for a text that doesn't begin like a RESTORE of databases or tables.
func cutRestore(sql string, mode mysql.SQLMode) (rest string, cut *restoreCut, ours bool, err *Error) {
	c := &restoreCutter{blanked: []byte(sql), cut: restoreCut{as: map[int]RestoreTable{}}}
	c.sql, c.mode = sql, mode
	c.s = clauseScanner{rest: []byte(sql), ansiQuotes: mode.HasANSIQuotesMode()}
	c.cut.explain, c.cut.analyze, c.cut.format = c.s.explain()
	if c.cut.explain {
		c.blank(0)
	}
	if !c.s.word("RESTORE") {
		return "", nil, false, nil
	}
	tables := c.s.word("TABLE")
	if !tables && !c.s.word("DATABASE") && !c.s.word("SCHEMA") {
		return "", nil, false, nil
	}
	c.targets(tables)
	if c.err == nil && c.s.word("FROM") {
		if c.s.blanks(); len(c.s.rest) > 0 {
			c.s.skipSymbol(mode.HasNoBackslashEscapesMode())
		}
		c.options()
	}
	return string(c.blanked), &c.cut, true, c.err
}

// blank puts blanks over the text from a place up to where the scanner is. Ends of lines stay, for the places in errors.
func (c *restoreCutter) blank(from int) {
	c.cut.any = true
	for i := from; i < c.at(); i++ {
		if c.blanked[i] != '\n' {
			c.blanked[i] = ' '
		}
	}
}

// targets cuts out the new names.
func (c *restoreCutter) targets(tables bool) {
	if c.s.symbol('*') {
		return
	}
	for i := 0; ; i++ {
		if _, _, ok := c.tableName(tables); !ok {
			return // TiDB's parser finds the fault
		}
		c.s.blanks()
		if at := c.at(); c.s.word("AS") {
			db, table, ok := c.tableName(tables)
			c.want(ok)
			c.cut.as[i] = RestoreTable{AsDB: db, AsTable: table}
			c.blank(at)
		}
		if c.err != nil || !c.s.symbol(',') {
			return
		}
	}
}

// tableName takes a name, with that of a database before it if there may be one.
func (c *restoreCutter) tableName(qualified bool) (db, name string, ok bool) {
	name, ok = c.s.name()
	if ok && qualified && c.s.symbol('.') {
		db = name
		name, ok = c.s.name()
	}
	return db, name, ok
}

// options cuts out those that TiDB's parser doesn't know.
func (c *restoreCutter) options() {
	for c.err == nil {
		c.s.blanks()
		at := c.at()
		if len(c.s.rest) == 0 || c.s.rest[0] == ';' {
			return
		}
		word, rest := cutWord(c.s.rest)
		if len(word) == 0 {
			c.s.skipSymbol(c.mode.HasNoBackslashEscapesMode())
			continue
		}
		c.s.rest = rest
		switch name := strings.ToLower(string(word)); {
		case name == "backend", name == "on_duplicate", name == "duplicate":
			// Their values are bare words.
			c.s.symbol('=')
			c.s.blanks()
			_, c.s.rest = cutWord(c.s.rest)
		case name == "filter":
			c.once(name, &c.cut.filter)
			c.blank(at)
		case name == "route":
			c.once(name, &c.cut.route)
			c.blank(at)
		case name == "files":
			c.once(name, &c.cut.files)
			c.blank(at)
		case name == "compact":
			c.compact()
			c.blank(at)
		case name == "dry" && c.s.word("RUN"):
			c.shared("dry_run")
			c.blank(at)
		case sharedOptions[name]:
			c.shared(name)
			c.blank(at)
		}
	}
}

// once takes the text of an option that may be there once.
func (c *restoreCutter) once(name string, to **string) {
	if *to != nil {
		c.err = newError(errno.ErrDuplicateOption, name)
		return
	}
	c.s.symbol('=')
	at := c.at()
	value := c.value()
	text := new(string)
	if c.err == nil && !literalOf(value).string(text) {
		c.syntaxError(at)
	}
	*to = text
}

// compact takes the flag, which may have a truth value.
func (c *restoreCutter) compact() {
	if c.cut.compact != nil {
		c.err = newError(errno.ErrDuplicateOption, "compact")
		return
	}
	equals := c.s.symbol('=')
	on, given := c.truth()
	c.want(given || !equals)
	on = on || !given
	c.cut.compact = &on
}

// shared takes an option of IMPORT INTO. A flag may have a truth value here, as TiDB's options of RESTORE have.
func (c *restoreCutter) shared(name string) {
	option := &ast.LoadDataOpt{Name: name}
	equals := c.s.symbol('=')
	if optionSpecs[name].flag {
		on, given := c.truth()
		c.want(given || !equals)
		if given && !on {
			return
		}
	} else {
		option.Value = c.value()
	}
	c.cut.options = append(c.cut.options, option)
}

// truth takes TRUE, FALSE or a number.
func (c *restoreCutter) truth() (on, given bool) {
	switch {
	case c.s.word("TRUE"):
		return true, true
	case c.s.word("FALSE"):
		return false, true
	}
	c.s.blanks()
	if len(c.s.rest) == 0 || c.s.rest[0] < '0' || c.s.rest[0] > '9' {
		return false, false
	}
	return c.number() != 0, true
}

// value takes what TiDB's parser takes for the value of an option of IMPORT INTO.
func (c *restoreCutter) value() ast.ExprNode {
	return c.literal("IMPORT INTO t FROM '/a.csv' WITH thread=", optionValue)
}

// optionValue is the value of the one option of an IMPORT INTO.
func optionValue(n ast.StmtNode) ast.ExprNode {
	into, ok := n.(*ast.ImportIntoStmt)
	if !ok || len(into.Options) != 1 {
		return nil
	}
	return into.Options[0].Value
}

// parseRestore is Parse for a text that TiDB's parser refuses. ours is false if Sluice's grammar doesn't have it either.
func parseRestore(sql string, mode mysql.SQLMode) (st Statement, ours bool, err error) {
	rest, cut, ours, failed := cutRestore(sql, mode)
	if !ours || !cut.any && failed == nil {
		return nil, false, nil
	}
	if !utf8.ValidString(sql) {
		return nil, true, plainError("the text of RESTORE is not valid UTF-8")
	}
	if failed != nil {
		return nil, true, failed
	}
	nodes, parseErr := parseText(rest, mode)
	if parseErr != nil {
		return nil, true, newError(errno.ErrParse, "You have an error in your SQL syntax; check the manual that corresponds to your TiDB version "+
			"for the right syntax to use", parseErr.Error())
	}
	if len(nodes) != 1 {
		return nil, true, plainError("RESTORE must be sent alone, not together with other statements")
	}
	n, ok := nodes[0].(*ast.BRIEStmt)
	if !ok || n.Kind != ast.BRIEKindRestore {
		return nil, false, nil
	}
	restore, failed := convertRestore(n, cut)
	if failed != nil {
		return nil, true, failed
	}
	return restore, true, nil
}

// setCut sets the options that were cut out. text is what they are as SQL, a blank before each.
func (o *RestoreOptions) setCut(cut *restoreCut) (text string, err *Error) {
	job, err := parseOptions(cut.options, FormatCSV)
	if err != nil {
		return "", err
	}
	o.Job = job
	for _, opt := range cut.options {
		text += " " + strings.ToUpper(opt.Name)
		if v, ok := opt.Value.(*driver.ValueExpr); ok {
			text += " = " + literalText(v)
		}
	}
	if cut.filter != nil {
		if o.Filters, err = parseFilters(*cut.filter); err != nil {
			return "", err
		}
		o.Job.Specified["filter"] = *cut.filter
		text += " FILTER = " + quoteText(*cut.filter)
	}
	if cut.route != nil {
		if o.Routes, err = parseRoutes(*cut.route); err != nil {
			return "", err
		}
		o.Job.Specified["route"] = *cut.route
		text += " ROUTE = " + quoteText(*cut.route)
	}
	if cut.files != nil {
		if o.Files, o.DefaultFileRules, err = parseFiles(*cut.files); err != nil {
			return "", err
		}
		o.Job.Specified["files"] = *cut.files
		text += " FILES = " + quoteText(*cut.files)
	}
	if cut.compact != nil {
		o.Compact = *cut.compact
		o.Job.Specified["compact"] = map[bool]int64{true: 1}[o.Compact] // as TiDB's truth values
		text += " COMPACT = " + strings.ToUpper(strconv.FormatBool(o.Compact))
	}
	return text, nil
}

// literalText writes an option's valid value as SQL.
func literalText(v *driver.ValueExpr) string {
	l := literal{value: v}
	var s string
	if l.string(&s) {
		return quoteText(s)
	}
	return exprText(v)
}
