package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/kv"
)

const (
	checksumTries = 3
	checksumWait  = 2 * time.Second
)

// ChecksumTable returns the sum over all pairs of the table, indexes and
// partitions included, that ADMIN CHECKSUM TABLE computes. The data is kept
// from garbage collection meanwhile, for owner (see KeepReadable). An error that TiDB answers is
// tried again twice. concurrency is how many requests for each part of the table are made at a time; 0 leaves it to the cluster (tidb_checksum_table_concurrency).
func (c *Cluster) ChecksumTable(ctx context.Context, owner, db, table string, concurrency int) (sum kv.Checksum, err error) {
	_, release, err := c.KeepReadable(ctx, owner)
	if err != nil {
		return sum, err
	}
	defer release()
	for try := 1; ; try++ {
		sum, err = c.checksumOnce(ctx, db, table, concurrency)
		if err == nil || try == checksumTries || ctx.Err() != nil {
			break
		}
		c.log.Warn("cluster: checksum failed", zap.Int("try", try), zap.Error(err))
		if err := pause(ctx, checksumWait); err != nil {
			return kv.Checksum{}, err
		}
	}
	return sum, failed(err, "compute the checksum of table %s", quoteTable(db, table))
}

func (c *Cluster) checksumOnce(ctx context.Context, db, table string, concurrency int) (kv.Checksum, error) {
	var res *mysql.Result
	err := c.sql.Use(ctx, func(s *sqlconn.Session) (err error) {
		// The session has a patience of its own and is not used again.
		s.Discard()
		if _, err = s.Exec("SET SESSION tidb_backoff_weight = 6"); err != nil {
			return err
		}
		if concurrency > 0 {
			if _, err = s.Exec("SET SESSION tidb_checksum_table_concurrency = ?", concurrency); err != nil {
				return err
			}
		}
		res, err = s.Exec("ADMIN CHECKSUM TABLE " + quoteTable(db, table))
		return err
	})
	if err != nil {
		return kv.Checksum{}, err
	}
	if res.RowNumber() != 1 {
		return kv.Checksum{}, fmt.Errorf("ADMIN CHECKSUM TABLE returned %d rows", res.RowNumber())
	}
	sum, err1 := res.GetUintByName(0, "Checksum_crc64_xor")
	pairs, err2 := res.GetUintByName(0, "Total_kvs")
	bytes, err3 := res.GetUintByName(0, "Total_bytes")
	return kv.Checksum{Sum: sum, Pairs: pairs, Bytes: bytes}, errors.Join(err1, err2, err3)
}
