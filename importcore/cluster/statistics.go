package cluster

import (
	"context"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
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

// LoadStats replaces statistics by those of a text in the form of TiDB's LOAD STATS, which says itself which table they belong to.
func (c *Cluster) LoadStats(ctx context.Context, text []byte) error {
	err := c.sql.Use(ctx, func(s *sqlconn.Session) error { return s.Upload("LOAD STATS 'statistics.json'", text) })
	return failed(err, "load statistics")
}
