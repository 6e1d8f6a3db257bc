package pd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// kvTimeout bounds one access to the embedded etcd, which has no network to
// wait for.
const kvTimeout = 10 * time.Second

// kvStore is PD's own corner of etcd: every key gets the cluster's prefix.
// Safe for concurrent use.
type kvStore struct {
	cli  *clientv3.Client
	root string // "/pd/<cluster id>/"
}

// kvPair is a stored value; key comes without the cluster's prefix.
type kvPair struct {
	key   string
	value []byte
}

// get returns nil without error for a missing key.
func (k *kvStore) get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	resp, err := k.cli.Get(ctx, k.root+key)
	if err != nil {
		return nil, fmt.Errorf("etcd get %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return nil, nil
	}
	return resp.Kvs[0].Value, nil
}

func (k *kvStore) put(ctx context.Context, key string, value []byte, opts ...clientv3.OpOption) error {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	if _, err := k.cli.Put(ctx, k.root+key, string(value), opts...); err != nil {
		return fmt.Errorf("etcd put %s: %w", key, err)
	}
	return nil
}

// delete succeeds for a missing key too.
func (k *kvStore) delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	if _, err := k.cli.Delete(ctx, k.root+key); err != nil {
		return fmt.Errorf("etcd delete %s: %w", key, err)
	}
	return nil
}

// list returns all pairs below prefix in key order.
func (k *kvStore) list(ctx context.Context, prefix string) ([]kvPair, error) {
	ctx, cancel := context.WithTimeout(ctx, kvTimeout)
	defer cancel()
	resp, err := k.cli.Get(ctx, k.root+prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("etcd list %s: %w", prefix, err)
	}
	pairs := make([]kvPair, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		pairs = append(pairs, kvPair{key: string(kv.Key[len(k.root):]), value: kv.Value})
	}
	return pairs, nil
}

func (k *kvStore) putJSON(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	return k.put(ctx, key, data)
}

// getJSON returns false for a missing key and leaves v alone then.
func (k *kvStore) getJSON(ctx context.Context, key string, v any) (bool, error) {
	data, err := k.get(ctx, key)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("decode %s: %w", key, err)
	}
	return true, nil
}

// listJSON decodes every value below prefix into a T.
func listJSON[T any](ctx context.Context, k *kvStore, prefix string) ([]T, error) {
	pairs, err := k.list(ctx, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(pairs))
	for i, p := range pairs {
		if err := json.Unmarshal(p.value, &out[i]); err != nil {
			return nil, fmt.Errorf("decode %s: %w", p.key, err)
		}
	}
	return out, nil
}
