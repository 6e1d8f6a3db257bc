package schema

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/sluicedb/sluice/importcore/format/sqldump"
)

// ReadSequence returns the statements that make the sequence of a schema file and bring it to where it was.
func ReadSequence(f *File, from Object, names Names) (sql []string, err error) {
	plain, sets, err := f.cutSets()
	if err != nil {
		return nil, err
	}
	var values []ast.StmtNode
	setval := func(n ast.StmtNode) bool {
		if !isSetval(n) {
			return false
		}
		values = append(values, n)
		return true
	}
	create, err := only[*ast.CreateSequenceStmt](plain, "CREATE SEQUENCE", setval)
	if err != nil {
		return nil, err
	}
	own := called(create.Name, from)
	create.IfNotExists = false
	for _, node := range append([]ast.StmtNode{create}, values...) {
		rename(node, own.DB, names.of(own, from))
		text, err := f.text(node, 0)
		if err != nil {
			return nil, err
		}
		sql = append(sql, text)
	}
	for _, s := range sets {
		if last, ok := s.last(create); ok {
			sql = append(sql, "SELECT SETVAL("+names.of(own, from)(own).String()+", "+strconv.FormatInt(last, 10)+")")
		}
	}
	return sql, nil
}

// isSetval tells whether a statement is SELECT SETVAL(sequence, value), which Dumpling writes.
func isSetval(n ast.StmtNode) bool {
	s, ok := n.(*ast.SelectStmt)
	if !ok || s.From != nil || s.Fields == nil || len(s.Fields.Fields) != 1 {
		return false
	}
	call, ok := s.Fields.Fields[0].Expr.(*ast.FuncCallExpr)
	return ok && call.FnName.L == ast.SetVal
}

// mariaSet is how MariaDB's mysqldump sets the sequence that it has made in the statement before: DO SETVAL(`s`, 1005, 0). The third argument, which
// TiDB's SETVAL doesn't have, says whether the value is taken.
var mariaSet = regexp.MustCompile("(?is)^(?:DO|SELECT)\\s+SETVAL\\s*\\((?:`(?:[^`]|``)*`|[^`,()\\s]+)\\s*,\\s*(-?[0-9]+)\\s*,\\s*([01])\\s*\\)$")

// set brings a sequence to a value, which is the next one unless it is taken.
type set struct {
	value int64
	taken bool
}

// cutSets takes MariaDB's statements out of a file. The rest keeps its lines.
func (f *File) cutSets() (plain *File, sets []set, err error) {
	var rest strings.Builder
	at := int64(1) // the line that rest has come to
	unread := sqldump.SplitStatements([]byte(f.Text), func(statement string, _, line int64) error {
		m := mariaSet.FindStringSubmatch(statement)
		if m == nil {
			rest.WriteString(strings.Repeat("\n", int(line-at)) + statement + ";")
			at = line + int64(strings.Count(statement, "\n"))
			return nil
		}
		value, parseErr := strconv.ParseInt(m[1], 10, 64)
		if parseErr != nil {
			err = f.bad("%v", parseErr)
		}
		sets = append(sets, set{value, m[2] == "1"})
		return nil
	})
	if unread != nil {
		return f, nil, nil // TiDB's parser says what is wrong
	}
	return &File{Path: f.Path, Line: f.Line, Mode: f.Mode, Text: rest.String()}, sets, err
}

// last is the value after which the sequence goes on; false if it begins with its first one.
func (s set) last(create *ast.CreateSequenceStmt) (int64, bool) {
	if s.taken {
		return s.value, true
	}
	step, start, given := int64(1), int64(0), false
	for _, o := range create.SeqOptions {
		switch o.Tp {
		case ast.SequenceOptionIncrementBy:
			step = o.IntValue
		case ast.SequenceStartWith:
			start, given = o.IntValue, true
		}
	}
	before := s.value - step
	if (before < s.value) != (step > 0) {
		before = s.value // there is no number before it: the value is left out
	}
	return before, !given || s.value != start
}
