package sqlext

import (
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	// Gives the parser the literals that TiDB itself uses. The binary links
	// TiDB's expression packages too, and two drivers must not compete for the
	// parser's hooks.
	_ "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// parsers are costly to make (their tables and caches) and not safe for
// concurrent use.
var parsers = sync.Pool{New: func() any { return parser.New() }}

// Parse recognises a statement of ours in sql, a text in UTF-8 as the client
// sent it. mode is the session's SQL mode; ANSI_QUOTES and
// NO_BACKSLASH_ESCAPES change what a text means.
//
// It returns nil, nil when the text is not ours and must be forwarded as it
// is. An error is always an *Error: the text is ours but refused, and must not
// be forwarded.
func Parse(sql string, mode mysql.SQLMode) (Statement, error) {
	nodes, err := parseText(sql, mode)
	if err != nil {
		if quoted, ok := quoteKeywords(sql, mode); ok {
			return Parse(quoted, mode)
		}
		if rest, names, ok := cutPartitions(sql, mode); ok {
			return parsePartitioned(rest, names, mode)
		}
		if st, ours, err := parseRestore(sql, mode); ours {
			return st, err
		}
		// TiDB's parser reports a syntax error for the whole text before it
		// runs any of its statements, so forwarding it runs nothing of ours.
		if st, ours, err := parseExtension(sql, mode); ours {
			if err != nil {
				return nil, err
			}
			return st, nil
		}
		return nil, nil
	}
	for _, node := range nodes {
		if !isOurs(node) {
			continue
		}
		if !utf8.ValidString(sql) {
			// The parser puts ? in the place of what it can't read in a name.
			return nil, plainError("the text of %s is not valid UTF-8", kindOf(node))
		}
		if len(nodes) > 1 {
			return nil, plainError("%s must be sent alone, not together with other statements", kindOf(node))
		}
		return convert(node, mode)
	}
	return nil, nil
}

// errParserPanicked is for a text on which TiDB's parser fails instead of refusing it.
var errParserPanicked = errors.New("TiDB's parser can't read this statement; a number in it may be out of range")

// parseText runs TiDB's parser. It panics on some numbers beyond int64 (ONLINE =
// 18446744073709551615, say), and any client can send them.
func parseText(sql string, mode mysql.SQLMode) (nodes []ast.StmtNode, err error) {
	p := parsers.Get().(*parser.Parser)
	defer func() {
		if recover() != nil {
			// The parser's state is unknown: it is not used again.
			nodes, err = nil, errParserPanicked
			return
		}
		parsers.Put(p)
	}()
	p.SetSQLMode(mode)
	found, _, err := p.ParseSQL(sql,
		parser.CharsetConnection(mysql.UTF8MB4Charset), parser.CollationConnection(mysql.UTF8MB4DefaultCollation))
	if err != nil {
		return nil, err
	}
	// The parser reuses the slice for its next text.
	return append([]ast.StmtNode(nil), found...), nil
}

// isOurs draws the line between Sluice and the cluster. RESTORE POINT and the
// log backup statements stay the cluster's.
func isOurs(node ast.StmtNode) bool { return kindOf(node) != "" }

// kindOf names a statement of ours, "" for every other.
func kindOf(node ast.StmtNode) string {
	switch n := node.(type) {
	case *ast.ImportIntoStmt:
		return "IMPORT INTO"
	case *ast.ImportIntoActionStmt:
		return "CANCEL IMPORT JOB"
	case *ast.BRIEStmt:
		if n.Kind == ast.BRIEKindRestore {
			return "RESTORE"
		}
	case *ast.ShowStmt:
		switch n.Tp {
		case ast.ShowImportJobs:
			return "SHOW IMPORT JOBS"
		case ast.ShowRestores:
			return "SHOW RESTORES"
		}
	case *ast.ExplainStmt:
		if _, ok := n.Stmt.(*ast.ImportIntoStmt); ok {
			return "EXPLAIN IMPORT INTO"
		}
	}
	return ""
}

func convert(node ast.StmtNode, mode mysql.SQLMode) (Statement, error) {
	switch n := node.(type) {
	case *ast.ImportIntoStmt:
		st, err := convertImportInto(n, mode)
		if err != nil {
			return nil, err
		}
		return st, nil
	case *ast.ExplainStmt:
		return convertExplain(n, mode)
	case *ast.ImportIntoActionStmt:
		return &CancelImportJob{ID: n.JobID}, nil
	case *ast.BRIEStmt:
		st, err := convertRestore(n, &restoreCut{})
		if err != nil {
			return nil, err
		}
		return st, nil
	case *ast.ShowStmt:
		return convertShow(n, mode)
	}
	return nil, notSupportedYet(kindOf(node))
}

func convertShow(n *ast.ShowStmt, mode mysql.SQLMode) (Statement, error) {
	if n.ImportJobID != nil {
		return &ShowImportJob{ID: *n.ImportJobID}, nil
	}
	first := "`Job_ID`"
	if n.Tp == ast.ShowRestores {
		first = "`Id`"
	}
	where := ""
	switch {
	case n.Pattern != nil:
		where = first + " LIKE " + exprText(n.Pattern.Pattern)
	case n.Where != nil:
		where = exprText(n.Where)
	}
	if mode.HasNoBackslashEscapesMode() && strings.Contains(where, `\`) {
		return nil, notSupportedYet("a backslash in the filter of " + kindOf(n) + " with sql_mode NO_BACKSLASH_ESCAPES")
	}
	if n.Tp == ast.ShowRestores {
		return &ShowRestores{Where: where}, nil
	}
	return &ShowImportJobs{Where: where}, nil
}

// convertImportInto checks in the order in which TiDB does, so that a
// statement with several faults gets the same answer.
func convertImportInto(n *ast.ImportIntoStmt, mode mysql.SQLMode) (*ImportInto, *Error) {
	if n.Select != nil {
		return nil, notSupportedYet("IMPORT INTO ... FROM SELECT")
	}
	st := &ImportInto{DB: n.Table.Schema.O, Table: n.Table.Name.O, Format: FormatCSV, redacted: redactImport(n, mode)}
	loc, err := parseLocation(n.Path)
	if err != nil {
		return nil, err
	}
	st.Location = loc
	if st.Fields, err = convertFields(n.ColumnsAndUserVars); err != nil {
		return nil, err
	}
	if st.Assignments, err = convertAssignments(n.ColumnAssignments, st.Fields); err != nil {
		return nil, err
	}
	if n.Format != nil {
		st.Format = Format(strings.ToLower(*n.Format))
	}
	if st.Options, err = parseOptions(n.Options, st.Format); err != nil {
		return nil, err
	}
	if st.Options.CSVHeader && len(st.Fields) > 0 {
		return nil, newError(errno.ErrLoadDataUnsupportedOption, "csv_header", "an import with a list of columns")
	}
	if err = checkFormat(st); err != nil {
		return nil, err
	}
	return st, st.Location.check()
}

func convertFields(list []*ast.ColumnNameOrUserVar) ([]Field, *Error) {
	fields := make([]Field, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, f := range list {
		if f.ColumnName == nil {
			fields = append(fields, Field{Var: f.UserVar.Name})
			continue
		}
		if seen[f.ColumnName.Name.L] {
			return nil, newError(errno.ErrFieldSpecifiedTwice, f.ColumnName.Name.O)
		}
		seen[f.ColumnName.Name.L] = true
		fields = append(fields, Field{Column: f.ColumnName.Name.O})
	}
	return fields, nil
}

func checkFormat(st *ImportInto) *Error {
	if st.Location.Raw == "" {
		return newError(errno.ErrLoadDataEmptyPath)
	}
	switch st.Format {
	case FormatCSV, FormatSQL, FormatParquet:
	default:
		return newError(errno.ErrLoadDataUnsupportedFormat, string(st.Format))
	}
	enclosed, terminated := st.Options.FieldsEnclosedBy, st.Options.FieldsTerminatedBy
	if enclosed != "" && (strings.HasPrefix(enclosed, terminated) || strings.HasPrefix(terminated, enclosed)) {
		return &Error{
			Code:    errno.ErrLoadDataWrongFormatConfig,
			Message: "FIELDS ENCLOSED BY and TERMINATED BY must not be prefix of each other",
		}
	}
	return nil
}

// exprText writes an expression as SQL. String literals come with doubled
// backslashes, so the text is for sessions without NO_BACKSLASH_ESCAPES.
func exprText(expr ast.Node) string { return restored(expr, format.DefaultRestoreFlags) }

func restored(expr ast.Node, flags format.RestoreFlags) string {
	var sb strings.Builder
	if err := expr.Restore(format.NewRestoreCtx(flags, &sb)); err != nil {
		return "NULL"
	}
	return sb.String()
}
