package pd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	keyTTLConfig = "/config/ttl/"
	// minTTLLease is the shortest lease that PD gives to an override in etcd.
	minTTLLease = 5 * time.Second
)

// ttlConfigItems are the only items that PD lets be overridden for a time.
var ttlConfigItems = []string{
	"schedule.max-snapshot-count", "schedule.max-merge-region-size", "schedule.max-pending-peer-count",
	"schedule.max-merge-region-keys", "schedule.leader-schedule-limit", "schedule.region-schedule-limit",
	"schedule.replica-schedule-limit", "schedule.hot-region-schedule-limit", "schedule.merge-schedule-limit",
	"schedule.scheduler-max-waiting-operator", "schedule.enable-location-replacement",
	"schedule.enable-tikv-split-region", "default-add-peer", "default-remove-peer",
}

// ConfigOverride is a config item that a client has overridden for a time.
type ConfigOverride struct {
	Value     string
	ExpiresAt time.Time
}

// configOverrides are the items with a time to live. They lie beside the
// persistent configuration: reading the config does not show them.
type configOverrides struct {
	cli *clientv3.Client
	now func() time.Time

	mu struct {
		sync.Mutex
		items map[string]ConfigOverride // by full key, "schedule.…"
	}
}

func newConfigOverrides(ctx context.Context, cli *clientv3.Client, now func() time.Time) (*configOverrides, error) {
	o := &configOverrides{cli: cli, now: now}
	o.mu.items = map[string]ConfigOverride{}
	resp, err := cli.Get(ctx, keyTTLConfig, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read config overrides: %w", err)
	}
	for _, kv := range resp.Kvs {
		lease, err := cli.TimeToLive(ctx, clientv3.LeaseID(kv.Lease))
		if err != nil {
			return nil, fmt.Errorf("lease of %s: %w", kv.Key, err)
		}
		o.mu.items[strings.TrimPrefix(string(kv.Key), keyTTLConfig)] = ConfigOverride{
			Value: string(kv.Value), ExpiresAt: now().Add(time.Duration(lease.TTL) * time.Second),
		}
	}
	return o, nil
}

// set overrides items for ttl; ttl <= 0 ends the overrides of these keys,
// whatever the values.
func (o *configOverrides) set(ctx context.Context, items map[string]any, ttl time.Duration) error {
	for key := range items {
		if !slices.Contains(ttlConfigItems, key) {
			return fmt.Errorf("unsupported ttl config %s", key)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if ttl <= 0 {
		for key := range items {
			if _, err := o.cli.Delete(ctx, keyTTLConfig+key); err != nil {
				return fmt.Errorf("end the override of %s: %w", key, err)
			}
			delete(o.mu.items, key)
		}
		return nil
	}
	lease, err := o.cli.Grant(ctx, int64(max(ttl, minTTLLease)/time.Second))
	if err != nil {
		return fmt.Errorf("lease for config overrides: %w", err)
	}
	for key, v := range items {
		text := fmt.Sprint(v)
		if n, ok := v.(float64); ok {
			text = fmt.Sprintf("%.0f", n)
		}
		if _, err := o.cli.Put(ctx, keyTTLConfig+key, text, clientv3.WithLease(lease.ID)); err != nil {
			return fmt.Errorf("override %s: %w", key, err)
		}
		o.mu.items[key] = ConfigOverride{Value: text, ExpiresAt: o.now().Add(ttl)}
	}
	return nil
}

// active returns the overrides that have not expired.
func (o *configOverrides) active() map[string]ConfigOverride {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]ConfigOverride{}
	for k, v := range o.mu.items {
		if o.now().Before(v.ExpiresAt) {
			out[k] = v
		}
	}
	return out
}

// setConfig is a plain, lasting change; PD refuses it for an item that is
// overridden at the moment.
func (s *Server) setConfig(ctx context.Context, items map[string]any) error {
	active := s.overrides.active()
	for key := range items {
		sec, item, err := s.config.find(key)
		if err != nil {
			return err
		}
		full := sec + "." + item
		if _, ok := active[full]; ok {
			return fmt.Errorf("need to clean up TTL first for %s", full)
		}
	}
	return s.config.set(ctx, items)
}
