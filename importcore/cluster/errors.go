package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

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
	return fault.Wrap(err, fault.Cluster, sqlCode(err), "cannot %s", doing)
}

// sqlCode returns the number of an error that a server answered, or 0.
func sqlCode(err error) uint16 {
	var e *mysql.MyError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
