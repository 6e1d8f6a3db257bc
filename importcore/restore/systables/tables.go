package systables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Schema is where the tables are.
const Schema = "mysql"

// layout is what is known of a table. Columns are named in lower case.
type layout struct {
	name string
	// accounts are pairs of columns that name an account: user, host. Tables without are bindings and lists, whose rows are added unless they are there.
	accounts [][2]string
	// secret is a column with hashes of passwords, "" if there is none.
	secret string
	// grows tells that new versions of TiDB add columns that older rows can do without.
	grows bool
}

const (
	userTable    = "user"
	bindingTable = "bind_info"
)

var owner = [][2]string{{"user", "host"}}

// layouts are the tables that are restored, in this order.
var layouts = []layout{
	{name: userTable, accounts: owner, secret: "authentication_string", grows: true},
	{name: "db", accounts: owner},
	{name: "tables_priv", accounts: owner},
	{name: "columns_priv", accounts: owner},
	{name: "global_priv", accounts: owner},
	{name: "global_grants", accounts: owner},
	{name: "default_roles", accounts: [][2]string{{"user", "host"}, {"default_role_user", "default_role_host"}}},
	{name: "role_edges", accounts: [][2]string{{"from_user", "from_host"}, {"to_user", "to_host"}}},
	{name: "password_history", accounts: owner, secret: "password"},
	{name: bindingTable, grows: true},
	{name: "expr_pushdown_blacklist", grows: true},
	{name: "opt_rule_blacklist", grows: true},
}

// Names are the tables that are restored.
func Names() (names []string) {
	for _, l := range layouts {
		names = append(names, l.name)
	}
	return names
}

// Account names a user or a role.
type Account struct{ User, Host string }

// String returns the account as statements have it.
func (a Account) String() string { return sqlconn.QuoteName(a.User) + "@" + sqlconn.QuoteName(a.Host) }

// table is one of the archive.
type table struct {
	layout
	columns []*model.ColumnInfo
	at      map[string]int // of a column by its name in lower case
	// rows have a text or nil for each of columns.
	rows [][]any
}

// Tables are the rows of an archive that are restored.
type Tables struct {
	// Accounts are restored; Kept are in the archive, and stay as the cluster has them.
	Accounts, Kept []Account
	// Bindings is how many the archive has that are in use or disabled.
	Bindings int
	// Orphans is how many rows name accounts that the archive doesn't have, as dropped ones leave them: they are left out.
	Orphans int

	tables []*table
}

// maxSize bounds what is held in memory, in bytes of values.
const maxSize = 128 << 20

// Read reads the tables that chosen returns true for. Accounts that keeps returns true for, by their user's name, are left out. The result is nil if the archive has
// none of the tables. An error is that of files that can't be read.
func Read(ctx context.Context, a *archive.Archive, chosen, keeps func(name string) bool) (*Tables, error) {
	out := &Tables{}
	size := 0
	for _, l := range layouts {
		from := find(a, l.name)
		if from == nil || !chosen(l.name) {
			continue
		}
		t, err := newTable(l, from.RowColumns())
		if err != nil {
			return nil, err
		}
		for _, part := range from.RowParts() {
			if err := t.read(ctx, a, part, &size); err != nil {
				return nil, fmt.Errorf("table %s.%s of the archive: %w", Schema, l.name, err)
			}
		}
		out.tables = append(out.tables, t)
	}
	if len(out.tables) == 0 {
		return nil, nil
	}
	return out, out.choose(keeps)
}

// find returns a table of the archive, or nil.
func find(a *archive.Archive, name string) *archive.Table {
	for _, db := range a.Databases {
		if !db.System || !strings.EqualFold(db.Name, Schema) {
			continue
		}
		for _, t := range db.Tables {
			if t.Info.Name.L == name && !t.Info.IsView() {
				return t
			}
		}
	}
	return nil
}

// newTable makes sure that the columns are there that decide about rows.
func newTable(l layout, columns []*model.ColumnInfo) (*table, error) {
	t := &table{layout: l, columns: columns, at: map[string]int{}}
	for i, c := range columns {
		t.at[c.Name.L] = i
	}
	var needed []string
	for _, pair := range l.accounts {
		needed = append(needed, pair[:]...)
	}
	if l.secret != "" {
		needed = append(needed, l.secret)
	}
	if l.name == bindingTable {
		needed = append(needed, "original_sql", "status", "update_time")
	}
	for _, name := range needed {
		if _, ok := t.at[name]; !ok {
			return nil, fault.New(fault.Source, 0, "table %s.%s of the archive has no column %s", Schema, l.name, name)
		}
	}
	return t, nil
}

// read adds the rows of a part.
func (t *table) read(ctx context.Context, a *archive.Archive, part *archive.Part, size *int) (err error) {
	rows, err := a.Rows(ctx, part, time.UTC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		row := make([]any, len(t.columns))
		for i := range t.columns {
			value := &rows.Row()[i]
			if value.IsNull() {
				continue
			}
			text, err := value.ToString()
			if err != nil {
				return fault.New(fault.Source, 0, "a value of column %s can't be read", t.columns[i].Name.O) // the cause may quote it
			}
			row[i] = strings.Clone(text) // of the reader's memory
			*size += len(text)
		}
		if *size > maxSize {
			return fault.New(fault.User, 0, "accounts and bindings have more than %d bytes, which is too much for one transaction", maxSize)
		}
		t.rows = append(t.rows, row)
	}
	return rows.Err()
}

// text is a value, "" for NULL.
func (t *table) text(row []any, column string) string {
	s, _ := row[t.at[column]].(string)
	return s
}

// named are the accounts that a row names.
func (t *table) named(row []any) (list []Account) {
	for _, pair := range t.accounts {
		list = append(list, Account{t.text(row, pair[0]), t.text(row, pair[1])})
	}
	return list
}

// choose leaves out the rows that aren't restored.
func (t *Tables) choose(keeps func(user string) bool) error {
	restored, kept := map[Account]bool{}, map[Account]bool{}
	for _, of := range t.tables {
		if of.name != userTable {
			continue
		}
		for _, row := range of.rows {
			account := of.named(row)[0]
			if keeps(account.User) {
				t.Kept, kept[account] = append(t.Kept, account), true
			} else {
				t.Accounts, restored[account] = append(t.Accounts, account), true
			}
			if err := of.withoutGroup(row); err != nil {
				return err
			}
		}
	}
	for _, of := range t.tables {
		of.rows = slices.DeleteFunc(of.rows, func(row []any) bool {
			switch {
			case of.name == bindingTable:
				return !lives(of.text(row, "original_sql"), of.text(row, "status"))
			case len(of.accounts) == 0:
				return false
			}
			orphan := false
			for _, account := range of.named(row) {
				if kept[account] {
					return true
				}
				orphan = orphan || !restored[account]
			}
			if orphan {
				t.Orphans++
			}
			return orphan
		})
		if of.name == bindingTable {
			t.Bindings = len(of.rows)
		}
	}
	return nil
}

// lives tells whether a row of bind_info is a binding: TiDB keeps dropped ones for a while, and has a row of its own to lock the table by.
func lives(statement, status string) bool {
	return !slices.Contains([]string{"deleted", "builtin"}, status) && statement != "builtin_pseudo_sql_for_bind_lock"
}

// withoutGroup takes an account out of its resource group, of which an archive doesn't have the definition.
func (t *table) withoutGroup(row []any) error {
	const attributes = "user_attributes"
	at, ok := t.at[attributes]
	if !ok || row[at] == nil {
		return nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(t.text(row, attributes)), &all); err != nil {
		return fault.New(fault.Source, 0, "the attributes of account %s in the archive can't be read", t.named(row)[0])
	}
	if _, ok := all["resource_group"]; !ok {
		return nil
	}
	delete(all, "resource_group")
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("attributes of account %s: %w", t.named(row)[0], err)
	}
	row[at] = string(text)
	return nil
}
