package systables

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Ask runs a statement and returns its result, which may be the session's until the next one.
type Ask func(sql string, args ...any) (*mysql.Result, error)

// Existing are those of Accounts that the cluster has.
func (t *Tables) Existing(ask Ask) (list []Account, err error) {
	if len(t.Accounts) == 0 {
		return nil, nil
	}
	res, err := ask("SELECT User, Host FROM mysql.user")
	if err != nil {
		return nil, err
	}
	have := map[Account]bool{}
	for i := range res.RowNumber() {
		user, err1 := res.GetString(i, 0)
		host, err2 := res.GetString(i, 1)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		have[Account{strings.Clone(user), strings.Clone(host)}] = true
	}
	for _, account := range t.Accounts {
		if have[account] {
			list = append(list, account)
		}
	}
	return list, nil
}

// settings are those of a session that rows go in by: timestamps are given as texts in UTC, what doesn't fit is an error, and TiDB's logs have no values.
var settings = []string{
	"SET SESSION time_zone = '+00:00'", "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'", "SET SESSION tidb_redact_log = ON",
}

// maxPlaceholders bounds those of a statement.
const maxPlaceholders = 2000

// Added is what Insert adds beside all accounts with their privileges.
type Added struct {
	// Bindings are those for statements that had none.
	Bindings int `json:"bindings,omitempty"`
	// Listed is how many rows of lists weren't there.
	Listed int `json:"listed,omitempty"`
}

// Insert adds the rows in the session's transaction, which the caller ends; the session is closed after its use. An error is an account that exists by now,
// or one of the server's.
func (t *Tables) Insert(s *sqlconn.Session) (added Added, err error) {
	s.Discard() // it has settings and variables of its own
	for _, sql := range settings {
		if _, err := s.Exec(sql); err != nil {
			return Added{}, err
		}
	}
	existing, err := t.Existing(s.Exec)
	if err != nil {
		return Added{}, err
	}
	if len(existing) > 0 {
		return Added{}, fault.New(fault.User, errno.ErrCannotUser, "accounts of the archive were made by others while the restore went on, such as %s", existing[0])
	}
	for _, of := range t.tables {
		rows := of.rows
		if len(of.accounts) == 0 {
			if rows, err = of.missing(s); err != nil {
				return Added{}, err
			}
		}
		switch {
		case of.name == bindingTable:
			added.Bindings = len(rows)
		case len(of.accounts) == 0:
			added.Listed += len(rows)
		}
		for some := range slices.Chunk(rows, max(1, maxPlaceholders/len(of.columns))) {
			if err := of.insert(s, some); err != nil {
				return Added{}, of.told(err)
			}
		}
	}
	return added, nil
}

// missing are the rows that the cluster doesn't have: of bindings those for statements without one, of a list those that differ from all of its rows.
func (t *table) missing(s *sqlconn.Session) (rows [][]any, err error) {
	if len(t.rows) == 0 {
		return nil, nil
	}
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = sqlconn.QuoteName(c.Name.O)
	}
	res, err := s.Exec(fmt.Sprintf("SELECT %s FROM %s.%s", strings.Join(names, ", "), sqlconn.QuoteName(Schema), sqlconn.QuoteName(t.name)))
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for i := range res.RowNumber() {
		row := make([]any, len(t.columns))
		for c := range row {
			null, err1 := res.IsNull(i, c)
			text, err2 := res.GetString(i, c)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			if !null {
				row[c] = text
			}
		}
		if t.name != bindingTable || lives(t.text(row, "original_sql"), t.text(row, "status")) {
			have[t.identity(row)] = true
		}
	}
	for _, row := range t.rows {
		if !have[t.identity(row)] {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// identity is what no two rows of bindings or of a list have in common.
func (t *table) identity(row []any) string {
	if t.name == bindingTable {
		return strings.Clone(t.text(row, "original_sql"))
	}
	return fmt.Sprintf("%q", row)
}

// insert adds some rows.
func (t *table) insert(s *sqlconn.Session, rows [][]any) error {
	var names, tuples, secrets []string
	var args, hidden []any
	for _, c := range t.columns {
		if !c.IsGenerated() {
			names = append(names, sqlconn.QuoteName(c.Name.O))
		}
	}
	for _, row := range rows {
		var values []string
		for i, c := range t.columns {
			switch {
			case c.IsGenerated():
				continue
			case c.Name.L == t.secret:
				variable := fmt.Sprintf("@sluice_secret_%d", len(hidden))
				secrets, hidden = append(secrets, variable+" = ?"), append(hidden, row[i])
				values = append(values, variable)
				continue
			case t.name == bindingTable && c.Name.L == "update_time":
				values = append(values, "NOW(3)") // TiDB looks for bindings that are newer than those it knows
				continue
			}
			values, args = append(values, "?"), append(args, row[i])
		}
		tuples = append(tuples, "("+strings.Join(values, ", ")+")")
	}
	if len(secrets) > 0 {
		if _, err := s.Exec("SET "+strings.Join(secrets, ", "), hidden...); err != nil {
			return err
		}
	}
	_, err := s.Exec(fmt.Sprintf("INSERT INTO %s.%s (%s) VALUES %s", sqlconn.QuoteName(Schema), sqlconn.QuoteName(t.name),
		strings.Join(names, ", "), strings.Join(tuples, ", ")), args...)
	return err
}

// quotesKeys are errors whose text has no values but those of keys.
var quotesKeys = []uint16{errno.ErrDupEntry, errno.ErrTableaccessDenied, errno.ErrDBaccessDenied, errno.ErrNoSuchTable, errno.ErrBadField}

// told explains an error of the server, without the values that it may quote.
func (t *table) told(err error) error {
	code := sqlconn.Code(err)
	switch {
	case code == 0 || fault.IsRetryable(err):
		return err
	case slices.Contains(quotesKeys, code):
		return fault.Wrap(err, fault.User, code, "%s.%s", Schema, t.name)
	}
	return fault.New(fault.Cluster, code, "rows of the archive's %s.%s are refused by the cluster with error %d", Schema, t.name, code)
}
