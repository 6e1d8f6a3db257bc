package ingest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// latecomer is a cluster whose calls wait for their connections, during which the
// permission to make them is lost.
type latecomer struct {
	*fakeTiKV
	lost  atomic.Bool
	loses func(method string, req any) bool
}

type lateConn struct {
	grpc.ClientConnInterface
	to *latecomer
}

// StoreConn implements Cluster.
func (l *latecomer) StoreConn(ctx context.Context, id uint64) (grpc.ClientConnInterface, error) {
	conn, err := l.fakeTiKV.StoreConn(ctx, id)
	return lateConn{conn, l}, err
}

// Invoke implements grpc.ClientConnInterface.
func (c lateConn) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	if c.to.loses(method, req) {
		c.to.lost.Store(true)
	}
	return c.ClientConnInterface.Invoke(ctx, method, req, resp, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (c lateConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if c.to.loses(method, nil) {
		c.to.lost.Store(true)
	}
	return c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
}

// TestPermissionLostOnTheWay: what was permitted a while ago is not sent.
func TestPermissionLostOnTheWay(t *testing.T) {
	t.Parallel()
	lost := errors.New("another has the job")
	for name, loses := range map[string]func(string, any) bool{
		"ingest": func(_ string, req any) bool {
			r, ok := req.(*import_sstpb.MultiIngestRequest)
			return ok && len(r.Ssts) > 0
		},
		"write": func(method string, _ any) bool { return method == writeMethod },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kv := &latecomer{fakeTiKV: newFakeTiKV(t, 3), loses: loses}
			src := somePairs(200)
			opts := fastOptions(src)
			allow := func(context.Context) error {
				if kv.lost.Load() {
					return lost
				}
				return nil
			}
			opts.Permit, opts.Hold = allow, allow
			_, err := Run(t.Context(), kv, src, src.ranges(1), opts)
			require.ErrorIs(t, err, lost)
			kv.mu.Lock()
			defer kv.mu.Unlock()
			require.Empty(t, kv.data)
			if name == "write" {
				for store, files := range kv.files {
					require.Empty(t, files, "store %d", store)
				}
			}
		})
	}
}
