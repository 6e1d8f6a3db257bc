package cluster

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// maxSequenceValues is how many values one statement draws. It is less than a
// chunk of rows, up to which TiDB evaluates them one after the other.
const maxSequenceValues = 1000

// NextSequenceValues draws n values from a sequence, in the order in which the
// cluster gave them. Nobody else gets them, whether they are used or not. The
// error has TiDB's code (4135 when the sequence has run out, 1146, 1142).
func (c *Cluster) NextSequenceValues(ctx context.Context, db, sequence string, n int) ([]int64, error) {
	name := quoteTable(db, sequence)
	values := make([]int64, 0, n)
	for len(values) < n {
		want := min(n-len(values), maxSequenceValues)
		// A statement of many rows asks TiDB once per row, but us only once.
		res, err := c.Query(ctx, fmt.Sprintf("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100) "+
			"SELECT NEXTVAL(%s) FROM n AS a, n AS b LIMIT %d", name, want))
		if err != nil {
			if code := sqlconn.Code(err); code != 0 {
				return nil, fault.Wrap(err, fault.User, code, "cannot draw from sequence %s", name)
			}
			return nil, failed(err, "draw from sequence %s", name)
		}
		if res.RowNumber() != want {
			return nil, fault.New(fault.Cluster, 0, "sequence %s gave %d values instead of %d", name, res.RowNumber(), want)
		}
		for i := range want {
			v, err := res.GetInt(i, 0)
			if err != nil {
				return nil, failed(err, "draw from sequence %s", name)
			}
			values = append(values, v)
		}
		res.Close()
	}
	return values, nil
}
