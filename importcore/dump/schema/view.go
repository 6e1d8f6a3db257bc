package schema

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/auth"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/model"
)

// Account names an account as mysql.user does; the zero value is none.
type Account struct{ User, Host string }

// ParseAccount reads what CURRENT_USER() gives: a user may have an @ in his name, a host has none.
func ParseAccount(text string) Account {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return Account{}
	}
	return Account{text[:at], text[at+1:]}
}

// View is a view of a dump.
type View struct {
	// SQL makes it in the target; it fails if the view is there.
	SQL string
	// Collation is the collation_connection that the file says it is made with, "" if it doesn't, or not one that TiDB has.
	Collation string
	// RunsAs is the account with whose rights it is read, as far as a name is known; zero for SQL SECURITY INVOKER.
	RunsAs Account
}

// ReadView reads the schema file of a view. One that names no definer, or CURRENT_USER, is that of the account who; if that is zero, of whoever runs
// the statement.
func ReadView(f *File, from Object, names Names, who Account) (*View, error) {
	placeholder := func(n ast.StmtNode) bool {
		_, ok := n.(*ast.CreateTableStmt)
		return ok
	}
	create, err := only[*ast.CreateViewStmt](f, "CREATE VIEW", placeholder)
	if err != nil {
		return nil, err
	}
	own := called(create.ViewName, from)
	create.OrReplace = false
	rename(create, own.DB, names.of(own, from))
	if create.Definer.CurrentUser && who != (Account{}) {
		create.Definer = &auth.UserIdentity{Username: who.User, Hostname: who.Host}
	}
	v := &View{Collation: f.collation()}
	if d := create.Definer; !d.CurrentUser && create.Security == model.SecurityDefiner {
		v.RunsAs = Account{d.Username, d.Hostname}
	}
	v.SQL, err = f.text(create, 0)
	return v, err
}

// collation is collation_connection as the file sets it last.
func (f *File) collation() string {
	name := f.Collation
	nodes, err := f.statements()
	if err != nil {
		return ""
	}
	for _, node := range nodes {
		set, ok := node.(*ast.SetStmt)
		if !ok {
			continue
		}
		for _, v := range set.Variables {
			if !strings.EqualFold(v.Name, "collation_connection") {
				continue
			}
			switch value := v.Value.(type) {
			case ast.ValueExpr:
				name = value.GetString()
			case *ast.ColumnNameExpr: // without quotes
				name = value.Name.Name.O
			}
		}
	}
	known, err := charset.GetCollationByName(name)
	if err != nil {
		return ""
	}
	return known.Name
}
