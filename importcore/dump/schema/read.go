package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	// Also gives the parser the literals that TiDB itself uses.
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"

	"github.com/sluicedb/sluice/importcore/fault"
)

// File is the text of a schema file, or the part of a dump in one file that makes an object.
type File struct {
	// Path is how users know it.
	Path string
	// Text is what is in it, unpacked.
	Text string
	// Line is where Text begins in the file, 1-based; 0 if it is all of the file.
	Line int64
	// Mode is the SQL mode by which it is read. What is made of it is for RunMode.
	Mode mysql.SQLMode
	// Collation is collation_connection where Text begins, "" if that isn't known.
	Collation string
}

// codeParse is MySQL's ER_PARSE_ERROR.
const codeParse = 1064

// parsers are costly to make and not safe for concurrent use.
var parsers = sync.Pool{New: func() any { return parser.New() }}

// errPanicked is for a text on which TiDB's parser fails instead of refusing it.
var errPanicked = errors.New("TiDB's parser can't read it; a number in it may be out of range")

// statements returns all statements of the file.
func (f *File) statements() (nodes []ast.StmtNode, err error) {
	p := parsers.Get().(*parser.Parser)
	defer func() {
		if recover() != nil {
			nodes, err = nil, f.bad("%v", errPanicked) // and the parser isn't used again
			return
		}
		parsers.Put(p)
	}()
	p.SetSQLMode(f.Mode)
	found, _, err := p.ParseSQL(f.Text)
	if err != nil {
		return nil, f.bad("%s", f.placed(strings.TrimSpace(err.Error())))
	}
	return slices.Clone(found), nil // the parser reuses its own for the next text
}

// only returns the file's one statement of type T. Statements of the types that dumps have beside it are left out.
func only[T ast.StmtNode](f *File, what string, extra func(ast.StmtNode) bool) (found T, err error) {
	nodes, err := f.statements()
	if err != nil {
		return found, err
	}
	n := 0
	for _, node := range nodes {
		wanted, ok := node.(T)
		switch {
		case ok:
			found = wanted
			n++
		case harmless(node), extra != nil && extra(node):
		default:
			return found, f.bad("it holds, beside %s, a statement that is not restored: %s", what, short(node.Text()))
		}
	}
	if n != 1 {
		return found, f.bad("it holds %d statements %s where one is expected", n, what)
	}
	return found, nil
}

// harmless tells whether a statement only prepares its session for the others, or makes room for them.
func harmless(node ast.StmtNode) bool {
	switch node.(type) {
	case *ast.SetStmt, *ast.UseStmt, *ast.DropTableStmt, *ast.DropSequenceStmt, *ast.CreateDatabaseStmt:
		return true
	}
	return false
}

func (f *File) bad(format string, args ...any) error {
	where := f.Path
	if f.Line > 0 {
		where = fmt.Sprintf("what %s has in line %d", f.Path, f.Line)
	}
	return fault.New(fault.Source, codeParse, "%s can't be restored: %s", where, fmt.Sprintf(format, args...))
}

// lineOf is where the parser's messages say in which line of its text something is.
var lineOf = regexp.MustCompile(`^line (\d+) column`)

// placed gives a message of the parser the line of the whole file.
func (f *File) placed(message string) string {
	m := lineOf.FindStringSubmatchIndex(message)
	if m == nil || f.Line == 0 {
		return message
	}
	line, err := strconv.ParseInt(message[m[2]:m[3]], 10, 64)
	if err != nil {
		return message
	}
	return message[:m[2]] + strconv.FormatInt(f.Line-1+line, 10) + message[m[3]:]
}

// maxShort bounds what is shown of a statement, in bytes.
const maxShort = 80

func short(sql string) string {
	sql = strings.Join(strings.Fields(sql), " ")
	if len(sql) > maxShort {
		sql = strings.ToValidUTF8(sql[:maxShort], "") + " ..."
	}
	return sql
}

// text writes a statement for a session with RunMode.
func (f *File) text(node ast.Node, flags format.RestoreFlags) (string, error) {
	v := &literals{}
	node.Accept(v)
	if v.found != "" {
		return "", f.bad("a text with a backslash and the character set %s can't be written anew", v.found)
	}
	flags |= format.RestoreStringSingleQuotes | format.RestoreKeyWordUppercase | format.RestoreNameBackQuotes |
		format.RestoreSpacesAroundBinaryOperation | format.RestoreStringWithoutDefaultCharset | format.RestoreStringEscapeBackslash
	var out strings.Builder
	if err := node.Restore(format.NewRestoreCtx(flags, &out)); err != nil {
		return "", f.bad("%v", err)
	}
	return out.String(), nil
}

// literals makes literals be written as all other strings of a statement are: by themselves they escape a backslash
// always, and so would do it twice.
type literals struct{ found string }

// Enter implements ast.Visitor.
func (v *literals) Enter(n ast.Node) (ast.Node, bool) { return n, false }

// Leave implements ast.Visitor.
func (v *literals) Leave(n ast.Node) (ast.Node, bool) {
	lit, ok := n.(*driver.ValueExpr)
	if !ok || lit.Kind() != types.KindString || !strings.Contains(lit.GetString(), `\`) {
		return n, true
	}
	if set := lit.Type.GetCharset(); set != "" && set != mysql.DefaultCharset {
		v.found = set
		return n, true
	}
	lit.SetBytes([]byte(lit.GetString()))
	return n, true
}

// RunMode is the SQL mode in which the statements are to be run that are made of files of another one. Names are in
// backquotes, and backslashes escape.
func RunMode(mode mysql.SQLMode) mysql.SQLMode {
	return mode &^ (mysql.ModeNoBackslashEscapes | mysql.ModeANSIQuotes)
}
