package sqlext

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/types"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// The statements of Sluice's own grammar, which TiDB's parser doesn't know:
//
//	PAUSE | RESUME | RETRY IMPORT JOB n
//	ALTER IMPORT JOB n SET option = value [, ...]
//	SHOW IMPORT JOB n ERRORS [LIMIT [offset,] count]
//	SHOW IMPORT JOB n EVENTS
//	SHOW IMPORT JOB n TABLES
//	SHOW IMPORT GROUPS
//	SHOW IMPORT GROUP 'key'
//	SHOW | REPAIR IMPORT CLUSTER STATE
//
// Only texts that TiDB's parser refuses come here, so nothing that it accepts
// changes its meaning. A text is ours by its first words; what is wrong behind
// them is an error of syntax in TiDB's words, with the place.

// parseExtension reads a text of one of these statements. ours is false when it
// is none of them.
func parseExtension(sql string, mode mysql.SQLMode) (st Statement, ours bool, err *Error) {
	p := &extensionParser{sql: sql, mode: mode}
	p.s = clauseScanner{rest: []byte(sql), ansiQuotes: mode.HasANSIQuotesMode()}
	rule := p.rule()
	if rule == nil {
		return nil, false, nil
	}
	if !utf8.ValidString(sql) {
		return nil, true, plainError("the text of a statement about import jobs is not valid UTF-8")
	}
	st = rule()
	if p.err == nil {
		p.end()
	}
	if p.err != nil {
		return nil, true, p.err
	}
	return st, true, nil
}

// extensionParser keeps the first error; behind it every step does nothing.
type extensionParser struct {
	sql  string
	mode mysql.SQLMode
	s    clauseScanner
	err  *Error
}

// rule takes the words that make a text ours and returns what reads the rest.
func (p *extensionParser) rule() func() Statement {
	switch s := &p.s; {
	case s.word("SHOW"):
		return p.showRule()
	case s.word("ALTER"):
		return p.jobRule(p.alter)
	case s.word("PAUSE"):
		return p.jobRule(func() Statement { return &PauseImportJob{ID: p.id()} })
	case s.word("RESUME"):
		return p.jobRule(func() Statement { return &ResumeImportJob{ID: p.id()} })
	case s.word("RETRY"):
		return p.jobRule(func() Statement { return &RetryImportJob{ID: p.id()} })
	case s.word("REPAIR"):
		if s.word("IMPORT") && s.word("CLUSTER") {
			return func() Statement {
				p.want(p.s.word("STATE"))
				return &RepairImportClusterState{}
			}
		}
	}
	return nil
}

func (p *extensionParser) jobRule(rule func() Statement) func() Statement {
	if p.s.word("IMPORT") && p.s.word("JOB") {
		return rule
	}
	return nil
}

func (p *extensionParser) showRule() func() Statement {
	s := &p.s
	if s.word("RAW") && s.word("IMPORT") {
		return p.later("SHOW RAW IMPORT JOBS")
	}
	switch {
	case !s.word("IMPORT"):
	case s.word("GROUPS"):
		return func() Statement { return &ShowImportGroups{} }
	case s.word("GROUP"):
		return func() Statement {
			key := p.text()
			return &ShowImportGroups{Key: &key}
		}
	case s.word("CLUSTER"):
		return func() Statement {
			p.want(p.s.word("STATE"))
			return &ShowImportClusterState{}
		}
	case !s.word("JOB"):
	case p.behindID("ERRORS"):
		return p.showErrors
	case p.behindID("TABLES"):
		return func() Statement {
			st := &ShowImportTables{ID: p.id()}
			p.want(p.s.word("TABLES"))
			return st
		}
	case p.behindID("EVENTS"):
		return func() Statement {
			st := &ShowImportEvents{ID: p.id()}
			p.want(p.s.word("EVENTS"))
			return st
		}
	}
	return nil
}

// behindID looks whether a word stands behind what is or should be an id.
// Without one the text is TiDB's.
func (p *extensionParser) behindID(word string) bool {
	s := p.s
	s.blanks()
	at := len(p.sql) - len(s.rest)
	s.rest = s.rest[len(p.token(at)):]
	return s.word(word)
}

// later is the rule of a statement that is ours, but can't be run yet.
func (p *extensionParser) later(what string) func() Statement {
	return func() Statement {
		p.err = notSupportedYet(what)
		return nil
	}
}

func (p *extensionParser) showErrors() Statement {
	st := &ShowImportErrors{ID: p.id(), Count: -1}
	p.want(p.s.word("ERRORS"))
	if p.err == nil && p.s.word("LIMIT") {
		st.Count = p.number()
		if p.err == nil && p.s.symbol(',') {
			st.Offset, st.Count = st.Count, p.number()
		}
	}
	return st
}

// alter reads ALTER's options one by one: their values are what TiDB's parser
// takes for the value of an option of IMPORT INTO.
func (p *extensionParser) alter() Statement {
	st := &AlterImportJob{ID: p.id()}
	p.want(p.s.word("SET"))
	var list []*ast.LoadDataOpt
	for p.err == nil {
		p.s.blanks()
		at := p.at()
		name, ok := p.s.name()
		if !ok {
			p.syntaxError(at)
			break
		}
		p.want(p.s.symbol('='))
		if p.err != nil {
			break
		}
		value := p.literal("IMPORT INTO t FROM '/a.csv' WITH thread=", optionValue)
		list = append(list, &ast.LoadDataOpt{Name: strings.ToLower(name), Value: value})
		if !p.s.symbol(',') {
			break
		}
	}
	if p.err == nil {
		st.Options, p.err = alterOptions(list)
		st.redacted = "ALTER IMPORT JOB " + itoa(st.ID) + " SET " + optionsText(list)
	}
	return st
}

// alterOptions are the options that can be changed while a job runs.
func alterOptions(list []*ast.LoadDataOpt) (Options, *Error) {
	for _, opt := range list {
		_, known := optionSpecs[opt.Name]
		if _, alterable := alterable[opt.Name]; known && !alterable {
			return Options{}, newError(errno.ErrLoadDataUnsupportedOption, opt.Name, "ALTER IMPORT JOB")
		}
	}
	return parseOptions(list, FormatCSV)
}

func optionsText(list []*ast.LoadDataOpt) string {
	texts := make([]string, len(list))
	for i, opt := range list {
		texts[i] = opt.Name + " = " + restored(opt.Value, format.DefaultRestoreFlags|format.RestoreStringWithoutDefaultCharset)
	}
	return strings.Join(texts, ", ")
}

// text takes a string literal.
func (p *extensionParser) text() string {
	expr := p.literal("SHOW IMPORT JOBS LIKE ", func(n ast.StmtNode) ast.ExprNode {
		show, ok := n.(*ast.ShowStmt)
		if !ok || show.Pattern == nil {
			return nil
		}
		if value, ok := show.Pattern.Pattern.(*driver.ValueExpr); !ok || value.IsNull() || value.GetType().EvalType() != types.ETString {
			return nil
		}
		return show.Pattern.Pattern
	})
	if value, ok := expr.(*driver.ValueExpr); ok {
		return value.GetString()
	}
	return ""
}

// maxLiteral is the number of tokens that a literal may have: a sign, a
// character set, a text.
const maxLiteral = 4

// literal takes the longest literal: what TiDB's parser reads as one behind
// frame, where one has to stand.
func (p *extensionParser) literal(frame string, find func(ast.StmtNode) ast.ExprNode) (found ast.ExprNode) {
	if p.err != nil {
		return nil
	}
	p.s.blanks()
	at := p.at()
	end := at
	for range maxLiteral {
		p.s.blanks()
		token := p.token(p.at())
		if token == "" || token == ";" {
			break
		}
		p.s.rest = p.s.rest[len(token):]
		nodes, err := parseText(frame+p.sql[at:p.at()], p.mode)
		if err != nil || len(nodes) != 1 {
			continue
		}
		if expr := find(nodes[0]); expr != nil {
			found, end = expr, p.at()
		}
	}
	p.s.rest = []byte(p.sql[end:])
	if found == nil {
		p.syntaxError(at)
	}
	return found
}

// id takes a job's id.
func (p *extensionParser) id() int64 { return p.number() }

// number takes a whole number that fits int64.
func (p *extensionParser) number() (n int64) {
	if p.err != nil {
		return 0
	}
	p.s.blanks()
	at := p.at()
	token := p.token(at)
	if token == "" || strings.Trim(token, "0123456789") != "" {
		p.syntaxError(at)
		return 0
	}
	for _, c := range []byte(token) {
		next := n*10 + int64(c-'0')
		if n > (1<<63-1)/10 || next < 0 {
			p.syntaxError(at)
			return 0
		}
		n = next
	}
	p.s.rest = p.s.rest[len(token):]
	return n
}

// end makes sure that nothing but a semicolon follows.
func (p *extensionParser) end() {
	ended := p.s.symbol(';')
	p.s.blanks()
	switch {
	case len(p.s.rest) == 0:
	case ended:
		p.err = plainError("a statement about import jobs must be sent alone, not together with other statements")
	default:
		p.syntaxError(p.at())
	}
}

// want is an error of syntax here unless ok.
func (p *extensionParser) want(ok bool) {
	if !ok && p.err == nil {
		p.s.blanks()
		p.syntaxError(p.at())
	}
}

// at is where the scanner stands.
func (p *extensionParser) at() int { return len(p.sql) - len(p.s.rest) }

// token is what stands at a place, taken as TiDB's lexer would.
func (p *extensionParser) token(at int) string {
	rest := []byte(p.sql[at:])
	if len(rest) == 0 {
		return ""
	}
	i := 0
	for i < len(rest) && rest[i] == '@' {
		i++
	}
	number := rest[0] >= '0' && rest[0] <= '9'
	for i < len(rest) && (isWordByte(rest[i]) || number && rest[i] == '.') {
		i++
	}
	if i == 0 {
		s := clauseScanner{rest: rest, ansiQuotes: p.s.ansiQuotes}
		s.skipSymbol(p.mode.HasNoBackslashEscapesMode())
		i = len(rest) - len(s.rest)
	}
	return string(rest[:i])
}

// maxNear is how much of a text TiDB repeats in an error, in bytes.
const maxNear = 2048

// syntaxError is TiDB's error for a text that makes no sense at a place.
func (p *extensionParser) syntaxError(at int) {
	if p.err != nil {
		return
	}
	read := []byte(p.sql[:at+len(p.token(at))])
	line := bytes.Count(read, []byte{'\n'})
	column := len(read)
	if i := bytes.LastIndexByte(read, '\n'); i >= 0 {
		column = len(read) - i
	}
	near, length := p.sql[at:], ""
	if len(near) > maxNear {
		length = fmt.Sprintf("(total length %d)", len(near))
		near = near[:maxNear]
	}
	p.err = newError(errno.ErrParse, "You have an error in your SQL syntax; check the manual that corresponds to your TiDB version "+
		"for the right syntax to use", fmt.Sprintf(`line %d column %d near "%s" %s`, line+1, column, near, length))
}
