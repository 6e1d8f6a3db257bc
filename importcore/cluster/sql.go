package cluster

import (
	"context"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Query runs one statement with the service account and returns its result,
// which the caller owns. args replace ? in it. A statement that is running
// when ctx ends is killed.
func (c *Cluster) Query(ctx context.Context, sql string, args ...any) (*mysql.Result, error) {
	var res *mysql.Result
	err := c.sql.Use(ctx, func(s *sqlconn.Session) (err error) {
		res, err = s.Exec(sql, args...)
		return err
	})
	return res, err
}

// quoteTable quotes a table's full name.
func quoteTable(db, table string) string {
	return sqlconn.QuoteName(db) + "." + sqlconn.QuoteName(table)
}

// Transact lends f a session of the service account within a pessimistic transaction, which is committed when f returns nil and rolled back
// otherwise.
func (c *Cluster) Transact(ctx context.Context, f func(*sqlconn.Session) error) error {
	return c.sql.Transact(ctx, f)
}
