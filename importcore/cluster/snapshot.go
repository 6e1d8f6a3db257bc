package cluster

import (
	"context"
	"sync"
	"sync/atomic"

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
	group  atomic.Int64 // keys asked for at once; 0 is leastGroup
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

// What is asked for at once: few keys at first, then so many as have about wantedBytes of values. An answer holds all
// of them.
const (
	leastGroup  = 4
	mostGroup   = 256
	wantedBytes = 2 << 20
)

// nextGroup returns how many keys to ask for after some that had so many bytes of values.
func nextGroup(keys, bytes int64) int64 {
	fits := wantedBytes / (bytes/keys + 1)
	return max(1, min(fits, 4*keys, mostGroup))
}

// Each calls do for every key, in their order, with its value, or nil if the key is not there. The value is
// valid during the call. It waits for transactions that may have written keys before the snapshot. Errors
// are do's or the cluster's.
func (s *Snapshot) Each(ctx context.Context, keys [][]byte, do func(i int, value []byte) error) error {
	for from := 0; from < len(keys); {
		size := s.group.Load()
		if size == 0 {
			size = leastGroup
		}
		group := keys[from:min(from+int(size), len(keys))]
		// A snapshot of the client keeps what it has read, so each call makes its own.
		found, err := s.client.GetSnapshot(s.ts).BatchGet(ctx, group)
		if err != nil {
			return failed(err, "read %d keys of the table", len(group))
		}
		var bytes int64
		for i, key := range group {
			value, ok := found[string(key)]
			if ok && value == nil {
				value = []byte{}
			}
			bytes += int64(len(value))
			if err := do(from+i, value); err != nil {
				return err
			}
		}
		s.group.Store(nextGroup(int64(len(group)), bytes))
		from += len(group)
	}
	return nil
}
