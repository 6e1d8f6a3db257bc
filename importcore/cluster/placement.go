package cluster

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Policy returns the settings of a placement policy as CREATE PLACEMENT POLICY has them behind the name; ok is false if there is no such policy.
func (c *Cluster) Policy(ctx context.Context, name string) (settings string, ok bool, err error) {
	res, err := c.Query(ctx, "SHOW CREATE PLACEMENT POLICY "+sqlconn.QuoteName(name))
	if sqlconn.Code(err) == errno.ErrPlacementPolicyNotExists {
		return "", false, nil
	}
	var text string
	if err == nil {
		text, err = res.GetString(0, 1)
	}
	if err != nil {
		return "", false, failed(err, "look for a placement policy")
	}
	_, settings, _ = strings.Cut(text, sqlconn.QuoteName(name)+" ")
	return settings, true, nil
}

// PlacementRegions returns the values of the label region that TiKV stores have, which placement policies name.
func (c *Cluster) PlacementRegions(ctx context.Context) ([]string, error) {
	const what = "list the labels of stores"
	res, err := c.Query(ctx, "SHOW PLACEMENT LABELS")
	if err != nil {
		return nil, failed(err, what)
	}
	for i := range res.RowNumber() {
		key, err := res.GetString(i, 0)
		if err != nil {
			return nil, failed(err, what)
		}
		if key != "region" {
			continue
		}
		text, err := res.GetString(i, 1)
		if err != nil {
			return nil, failed(err, what)
		}
		var values []string
		return values, failed(json.Unmarshal([]byte(text), &values), what)
	}
	return nil, nil
}

// PoliciesMadeWith returns the statements by which placement policies were made whose texts held mark, see MadeWith.
func (c *Cluster) PoliciesMadeWith(ctx context.Context, mark string) ([]string, error) {
	texts, err := c.queryStrings(ctx, "SELECT QUERY FROM information_schema.DDL_JOBS WHERE JOB_TYPE = 'create placement policy' AND STATE = 'synced' AND LOCATE(?, QUERY) > 0", mark)
	return texts, failed(err, "look through the history of the schema")
}
