package logical

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Errors that a caller must tell apart.
var (
	// ErrFenced: another process has claimed the table's ledger since. Whoever gets it may not go on by itself: the job is another's.
	ErrFenced = errors.New("another process goes on with this import")
	// ErrBasis: the ledger holds what was done for another source or other options.
	ErrBasis = errors.New("can't go on with this import")
)

// errGone: the ledger knows nothing of a job that has brought rows in.
var errGone = fault.New(fault.Cluster, 0,
	"how far the job was isn't known any more: its rows of the ledger (schema %s on the server that the rows go to) are gone", Schema)

// errMoved: the ledger is neither where the lane left it nor where it was going to be.
var errMoved = errors.New("the ledger has gone back")

// Numbers of errors, see MySQL's and MariaDB's error reference and TiDB's error code manual page.
const (
	codeBadNull        = 1048
	codeDuplicate      = 1062
	codeDuplicateKey   = 1586 // the same, with the index's name
	codeTooFewFields   = 1261
	codeTooManyFields  = 1262
	codePacketTooLarge = 1153
	codeWrongString    = 1366 // and wrong numbers
	codeInvalidText    = 1300
	codeReadOnly       = 1290
)

// codeUnsafeStatement is the warning that replicas of a statement's text may come to other rows.
const codeUnsafeStatement = "1592"

// passingCodes are errors that a statement sent again may not meet, beyond what sqlconn knows.
var passingCodes = map[uint16]bool{
	1020: true,             // the row was changed since it was read (MariaDB, innodb_snapshot_isolation)
	1047: true,             // a Galera node that isn't ready
	1180: true,             // COMMIT failed: a Galera node that has lost its cluster
	1290: true, 1836: true, // read-only: during a failover
	1412: true, // the table's definition has changed, try again
	1637: true, // too many concurrent transactions
	1927: true, // the connection was killed
	3100: true, // a replication plugin has refused the transaction
	3101: true, // rolled back by group replication
}

// isPassing tells whether to try a batch again.
func isPassing(err error) bool { return fault.IsRetryable(err) || passingCodes[sqlconn.Code(err)] }

// statementCodes are errors that say nothing about a row.
var statementCodes = map[uint16]bool{
	1005: true, 1016: true, 1021: true, 1026: true, 1030: true, 1034: true, 1036: true, 1037: true, 1038: true, 1041: true,
	1044: true, 1045: true, 1046: true, 1049: true, 1051: true, 1054: true, 1064: true, 1078: true, 1099: true, 1100: true, 1114: true,
	1142: true, 1143: true, 1146: true, 1148: true, 1153: true, 1194: true, 1195: true, 1196: true, 1197: true, 1206: true, 1223: true,
	1227: true, 1235: true, 1305: true, 1356: true, 1449: true, 1665: true, 1785: true, 1792: true, 1881: true, 3105: true, 1906: true,
	8001: true, 8003: true, 8004: true, 8108: true, 8113: true, 8121: true, 8132: true, 8139: true, 8176: true, 8250: true,
}

// isAboutRow tells whether an error that a server has answered to an INSERT may be one row's.
func isAboutRow(err error) bool {
	code := sqlconn.Code(err)
	return code != 0 && !statementCodes[code]
}

func isDuplicate(code uint16) bool { return code == codeDuplicate || code == codeDuplicateKey }

// badClass is the kind of a bad row; c may be nil.
func (c *column) badClass(code uint16) badrows.Class {
	switch {
	case isDuplicate(code):
		return badrows.Conflict
	case code == codeTooFewFields, code == codeTooManyFields:
		return badrows.Syntax
	case code == codeInvalidText, code == codeWrongString && c != nil && c.text:
		return badrows.Charset
	default:
		return badrows.Type
	}
}

var (
	rowPattern = regexp.MustCompile(`\bat row (\d+)`)
	// "for column 'c' at row 1", "Column 'c' cannot be null", "column `db`.`t`.`c`", "Field 'c' doesn't have".
	columnPattern = regexp.MustCompile("(?i)\\b(?:column|field) ((?:['`\"](?:[^'`\"]|``)+['`\"]\\.?)+)")
)

// rowNamed returns the number, counted from 1, of the row that an error names, or 0.
func rowNamed(message string) int {
	if m := rowPattern.FindAllStringSubmatch(message, -1); m != nil {
		n, err := strconv.Atoi(m[len(m)-1][1]) // a value before it may look like it
		if err == nil {
			return n
		}
	}
	return 0
}

// columnNamed returns the column of the table that an error names, or nil.
func (t *Table) columnNamed(message string) *column {
	m := columnPattern.FindAllStringSubmatch(message, -1)
	for i := len(m) - 1; i >= 0; i-- {
		name := strings.Trim(m[i][1], "'`\"")
		for _, sep := range []string{"`.`", "'.'", `"."`} {
			if at := strings.LastIndex(name, sep); at >= 0 {
				name = name[at+len(sep):]
			}
		}
		if at := strings.LastIndexByte(name, '.'); at >= 0 && t.find(name) == nil {
			name = name[at+1:]
		}
		if c := t.find(strings.ReplaceAll(name, "``", "`")); c != nil {
			return c
		}
	}
	return nil
}

// serverText returns the server's own text of an error, without the driver's words.
func serverText(err error) string {
	var e *mysql.MyError
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
