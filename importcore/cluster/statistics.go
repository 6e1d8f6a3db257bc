package cluster

import (
	"context"
	"strings"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Analyze collects the table's statistics, or those of the partitions named.
func (c *Cluster) Analyze(ctx context.Context, db, table string, partitions ...string) error {
	statement := "ANALYZE TABLE " + quoteTable(db, table)
	if len(partitions) > 0 {
		statement += " PARTITION " + partitionList(partitions)
	}
	_, err := c.Query(ctx, statement)
	return failed(err, "analyze table %s", quoteTable(db, table))
}

// AnalyzeTables collects the statistics of tables by one statement, which costs the cluster a fraction of what one for each does. If that
// fails, each is tried alone: the errors are in the order of the tables, nil for those that are analysed; a nil slice if all are.
func (c *Cluster) AnalyzeTables(ctx context.Context, names []TableName) []error {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteTable(n.DB, n.Table)
	}
	_, err := c.Query(ctx, "ANALYZE TABLE "+strings.Join(quoted, ", "))
	if err == nil {
		return nil
	}
	errs := make([]error, len(names))
	for i, n := range names {
		if answered := sqlconn.Code(err) != 0 && !fault.IsRetryable(err); answered && len(names) > 1 {
			errs[i] = c.Analyze(ctx, n.DB, n.Table)
			continue
		}
		errs[i] = failed(err, "analyze table %s", quoted[i])
	}
	return errs
}

// LoadStats replaces statistics by those of a text in the form of TiDB's LOAD STATS, which says itself which table they belong to.
func (c *Cluster) LoadStats(ctx context.Context, text []byte) error {
	err := c.sql.Use(ctx, func(s *sqlconn.Session) error { return s.Upload("LOAD STATS 'statistics.json'", text) })
	return failed(err, "load statistics")
}
