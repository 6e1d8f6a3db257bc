package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
	if away(err) {
		err = fault.Retryable(err)
	}
	return fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "cannot %s", doing)
}

// away tells whether an error says that a part of the cluster doesn't answer, or has
// no leader. Those of SQL connections are marked where they come up.
func away(err error) bool {
	if fault.IsRetryable(err) || sqlconn.Code(err) != 0 {
		return false
	}
	var answered *statusError
	if errors.As(err, &answered) {
		return answered.Code >= http.StatusInternalServerError
	}
	var net net.Error
	if errors.As(err, &net) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted, codes.Internal, codes.ResourceExhausted:
			return true
		}
	}
	// PD's clients tell the rest as text.
	for _, text := range awayTexts {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// awayTexts are parts of what PD's clients say of a PD that is away.
var awayTexts = []string{
	"[PD:client:", "rpc error: code = Unavailable", "not leader", "no leader", "request pd http api failed with status: '5",
	"connection refused", "connection reset", "EOF",
}
