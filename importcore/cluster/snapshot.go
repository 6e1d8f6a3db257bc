package cluster

import (
	"context"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/tikv/client-go/v2/txnkv"
)

// kvClient is TiKV's own client for transactional reads: it knows regions and
// their errors, and resolves locks. It is made when it is first asked for.
type kvClient struct {
	mu     sync.Mutex
	client *txnkv.Client
}

// Snapshot is the cluster's data as of a timestamp. It is safe for concurrent use.
type Snapshot struct {
	client *txnkv.Client
	ts     uint64
}

// Snapshot returns a view of all data as of ts. The caller keeps that from garbage
// collection, see AcquireSafePoint. There is nothing to close.
func (c *Cluster) Snapshot(ctx context.Context, ts uint64) (*Snapshot, error) {
	c.kv.mu.Lock()
	defer c.kv.mu.Unlock()
	if c.kv.client == nil {
		addrs, err := c.pdAddrs(ctx)
		if err != nil {
			return nil, err
		}
		if c.kv.client, err = txnkv.NewClient(addrs, txnkv.WithAPIVersion(kvrpcpb.APIVersion_V1)); err != nil {
			c.kv.client = nil
			return nil, failed(err, "connect to TiKV")
		}
	}
	return &Snapshot{client: c.kv.client, ts: ts}, nil
}

func (k *kvClient) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == nil {
		return nil
	}
	client := k.client
	k.client = nil
	return client.Close()
}

// Get returns the values of keys, raw, and nil for those that are not there. It
// waits for transactions that may have written them before the snapshot.
func (s *Snapshot) Get(ctx context.Context, keys [][]byte) ([][]byte, error) {
	// A snapshot of the client keeps what it has read, so each call makes its own.
	found, err := s.client.GetSnapshot(s.ts).BatchGet(ctx, keys)
	if err != nil {
		return nil, failed(err, "read %d keys of the table", len(keys))
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if v, ok := found[string(key)]; ok {
			values[i] = append([]byte{}, v...)
		}
	}
	return values, nil
}
