// Package privilege asks the cluster what the user may do, on the user's own
// connection, so that roles, wildcards and default roles are the cluster's
// business.
//
// What an import needs is asked with EXPLAIN IMPORT INTO: TiDB resolves the
// table and checks every privilege for it exactly as for the statement itself,
// and answers with its own code and text. Reading grants and matching them here
// would be a second, slightly different truth.
package privilege

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/types/parser_driver" // literals for the parser

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Querier runs SQL on the user's own connection.
type Querier interface {
	Query(ctx context.Context, sql string) (*mysql.Result, error)
}

// ImportTarget is what CheckImport asks about.
type ImportTarget struct {
	// DB is "" for the session's current database.
	DB, Table string
	// Local is set when files are read from this machine's disk, which needs
	// the FILE privilege.
	Local bool
}

// CheckImport returns nil if the user may import into the target and the
// target can be imported into, otherwise the cluster's error: 1046, 1146,
// 1142, 1227, 1288, 8132 or 1105.
func CheckImport(ctx context.Context, q Querier, t ImportTarget) error {
	// The location is a stand-in: EXPLAIN opens nothing, and the real one may
	// hold credentials that have no place in the cluster's logs.
	location := "s3://sluice/check.csv"
	if t.Local {
		location = "/sluice/check.csv"
	}
	_, err := q.Query(ctx, "EXPLAIN IMPORT INTO "+QuoteTable(t.DB, t.Table)+" FROM '"+location+"'")
	return err
}

// CheckRestore returns nil if the user may restore, otherwise the error 1227. local tells that files are read from
// this machine's disk, which needs the FILE privilege; tidb, that the server is TiDB. Elsewhere SUPER is needed, which MySQL and MariaDB ask for where
// a statement reaches beyond the tables that it names.
func CheckRestore(ctx context.Context, q Querier, tidb, local bool) error {
	if tidb {
		// TiDB asks for the same privileges here, and for no other.
		if _, err := q.Query(ctx, "SHOW RESTORES LIKE ''"); err != nil {
			return err
		}
	} else if err := need(ctx, q, parsermysql.SuperPriv, "SUPER"); err != nil {
		return err
	}
	if !local {
		return nil
	}
	return need(ctx, q, parsermysql.FilePriv, "FILE")
}

// need returns nil if the user holds a global privilege.
func need(ctx context.Context, q Querier, priv parsermysql.PrivilegeType, name string) error {
	may, err := holds(ctx, q, priv)
	if err == nil && !may {
		err = &mysql.MyError{Code: errno.ErrSpecificAccessDenied, State: parsermysql.MySQLState[errno.ErrSpecificAccessDenied],
			Message: fmt.Sprintf(errno.MySQLErrName[errno.ErrSpecificAccessDenied].Raw, name)}
	}
	return err
}

// IsSuper tells whether the user holds SUPER, directly or by an active role.
func IsSuper(ctx context.Context, q Querier) (bool, error) {
	return holds(ctx, q, parsermysql.SuperPriv)
}

// holds tells whether the user holds a global privilege, directly or by an active role.
func holds(ctx context.Context, q Querier, priv parsermysql.PrivilegeType) (bool, error) {
	r, err := q.Query(ctx, "SHOW GRANTS")
	if err != nil {
		return false, err
	}
	p := parser.New()
	for i := range r.RowNumber() {
		grant, err := r.GetString(i, 0)
		if err != nil {
			return false, err
		}
		if grants(p, grant, priv) {
			return true, nil
		}
	}
	return false, nil
}

// grants reads one line of SHOW GRANTS. A line that can't be read grants
// nothing.
func grants(p *parser.Parser, grant string, priv parsermysql.PrivilegeType) bool {
	node, err := p.ParseOneStmt(grant, "", "")
	if err != nil {
		return grantsElsewhere(grant, priv)
	}
	g, ok := node.(*ast.GrantStmt)
	if !ok || g.Level == nil || g.Level.Level != ast.GrantLevelGlobal {
		return false
	}
	for _, granted := range g.Privs {
		if granted.Priv == priv || granted.Priv == parsermysql.AllPriv {
			return true
		}
	}
	return false
}

// grantsElsewhere is grants of a line with words that TiDB doesn't have, such as MariaDB's IDENTIFIED VIA and MySQL's dynamic privileges.
func grantsElsewhere(grant string, priv parsermysql.PrivilegeType) bool {
	rest, ok := strings.CutPrefix(grant, "GRANT ")
	list, _, global := strings.Cut(rest, " ON *.* TO ")
	if !ok || !global {
		return false
	}
	for _, name := range strings.Split(list, ", ") {
		if name == "ALL PRIVILEGES" || strings.EqualFold(name, priv.String()) {
			return true
		}
	}
	return false
}

// QuoteTable writes a table's name as SQL; db may be "".
func QuoteTable(db, table string) string {
	if db == "" {
		return sqlconn.QuoteName(table)
	}
	return sqlconn.QuoteName(db) + "." + sqlconn.QuoteName(table)
}
