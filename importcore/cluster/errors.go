package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// failed wraps an error of the cluster with what was being done. An error
// that TiDB answered keeps its code. The end of a context stays what it is.
func failed(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	doing = fmt.Sprintf(doing, args...)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || fault.As(err) != nil {
		return fmt.Errorf("cannot %s: %w", doing, err)
	}
	return fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "cannot %s", doing)
}
