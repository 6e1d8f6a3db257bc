// Package sqlext decides whether a statement belongs to Sluice and turns it
// into a typed value with validated options.
//
// Two steps keep ordinary traffic cheap. MaybeOurs looks at the first words of
// each statement of a text and costs nanoseconds; it may say "maybe" too often,
// never too seldom. Only a "maybe" goes to Parse, which runs TiDB's own parser:
// a statement is ours if and only if that parser, or the small grammar of
// Sluice's extensions (extension.go, restore_grammar.go), says so. A text that TiDB's parser refuses is
// not ours: the cluster answers it with its own syntax error.
//
// Codes, texts and option rules are those of TiDB 8.5.4's IMPORT INTO
// (https://docs.pingcap.com/tidb/v8.5/sql-statement-import-into). Where TiDB's
// message is broken the same code comes with a readable text.
//
// Values that carry credentials (locations, CLOUD_STORAGE_URI) never appear in
// Redacted or in an error.
package sqlext

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// Statement is a statement that Sluice runs itself. Its values are immutable.
type Statement interface {
	// Redacted is the statement as SQL with every credential replaced by
	// xxxxxx, fit for logs and job rows.
	Redacted() string
	statement()
}

// ImportInto is IMPORT INTO ... FROM 'location', validated as far as the text
// alone allows.
type ImportInto struct {
	// DB is the schema as written; "" means the session's current database.
	DB string
	// Table is the target table's name as written.
	Table string
	// Partitions are the names, as written, of the partitions that all rows
	// must belong to; empty means the table.
	Partitions []string
	// Fields says where each field of a source row goes, in order; empty means
	// the table's columns in their order.
	Fields []Field
	// Assignments is the SET clause, in order.
	Assignments []Assignment
	// Location is where the source files are.
	Location Location
	// Format is FormatCSV, FormatSQL or FormatParquet.
	Format Format
	// Options are the WITH options with TiDB's defaults filled in.
	Options Options
	// Explain says that the statement is EXPLAIN IMPORT INTO, see DryRun.
	Explain bool

	redacted string
}

// Field is one entry of the field list. Exactly one of its members is set.
type Field struct {
	// Column is the name of a column of the target table, as written.
	Column string
	// Var is the name of a user variable without the @: the field is read and
	// can be used in the SET clause only.
	Var string
}

// Assignment is one "column = expression" of the SET clause.
type Assignment struct {
	// Column is the target column's name, as written.
	Column string
	// Expr is the parsed expression. It may be read only.
	Expr ast.ExprNode
	// Text is the expression as SQL.
	Text string
}

// Format is the format of the source files.
type Format string

// The formats that TiDB 8.5 knows.
const (
	FormatCSV     Format = "csv"
	FormatSQL     Format = "sql"
	FormatParquet Format = "parquet"
)

// ShowImportJobs is SHOW IMPORT JOBS [LIKE ... | WHERE ...].
type ShowImportJobs struct {
	// Where is the filter as an SQL expression over the columns of the result,
	// "" for none. LIKE p arrives as "`Job_ID` LIKE p", as TiDB matches LIKE
	// against the first column. It is meant to be evaluated on the user's own
	// connection, with the user's rights.
	Where string
}

// ShowImportJob is SHOW IMPORT JOB n.
type ShowImportJob struct {
	// ID is the job's id.
	ID int64
}

// CancelImportJob is CANCEL IMPORT JOB n.
type CancelImportJob struct {
	// ID is the job's id.
	ID int64
}

// Redacted implements Statement.
func (s *ImportInto) Redacted() string {
	if s.Explain {
		return "EXPLAIN " + s.redacted
	}
	return s.redacted
}

// DryRun says that nothing is to be imported: the statement asks what would be.
func (s *ImportInto) DryRun() bool { return s.Explain || s.Options.DryRun }

// Redacted implements Statement.
func (s *ShowImportJobs) Redacted() string {
	if s.Where == "" {
		return "SHOW IMPORT JOBS"
	}
	return "SHOW IMPORT JOBS WHERE " + s.Where
}

// Redacted implements Statement.
func (s *ShowImportJob) Redacted() string { return "SHOW IMPORT JOB " + itoa(s.ID) }

// Redacted implements Statement.
func (s *CancelImportJob) Redacted() string { return "CANCEL IMPORT JOB " + itoa(s.ID) }

func (*ImportInto) statement()      {}
func (*ShowImportJobs) statement()  {}
func (*ShowImportJob) statement()   {}
func (*CancelImportJob) statement() {}
