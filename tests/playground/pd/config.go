package pd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
)

const (
	keyConfig = "config"

	sectionSchedule    = "schedule"
	sectionReplication = "replication"
	sectionServer      = "pd-server"

	itemMaxReplicas    = "max-replicas"
	maxReplicasDefault = 3
)

// configSection is one group of settings in the JSON types of PD's API: most
// booleans are the strings "true" and "false", numbers are float64.
type configSection map[string]any

// defaultConfig is what PD 8.5 shows in a new cluster.
func defaultConfig() map[string]configSection {
	return map[string]configSection{
		sectionSchedule: {
			"max-snapshot-count": 64.0, "max-pending-peer-count": 64.0,
			"max-merge-region-size": 54.0, "max-merge-region-keys": 540000.0,
			"split-merge-interval": "1h0m0s", "enable-one-way-merge": "false", "enable-cross-table-merge": "true",
			"patrol-region-interval": "10ms", "patrol-region-worker-count": 1.0,
			"max-store-down-time": "30m0s", "max-store-preparing-time": "48h0m0s",
			"leader-schedule-limit": 4.0, "leader-schedule-policy": "count",
			"region-schedule-limit": 2048.0, "witness-schedule-limit": 4.0, "replica-schedule-limit": 64.0,
			"merge-schedule-limit": 8.0, "hot-region-schedule-limit": 4.0, "hot-region-cache-hits-threshold": 3.0,
			"tolerant-size-ratio": 0.0, "low-space-ratio": 0.8, "high-space-ratio": 0.7,
			"region-score-formula-version": "v2", "scheduler-max-waiting-operator": 5.0,
			"enable-remove-down-replica": "true", "enable-replace-offline-replica": "true",
			"enable-make-up-replica": "true", "enable-remove-extra-replica": "true",
			"enable-location-replacement": "true", "enable-debug-metrics": "false",
			"enable-joint-consensus": "true", "enable-tikv-split-region": "true", "enable-diagnostic": "true",
			"enable-witness": "false", "halt-scheduling": "false",
			"hot-regions-write-interval": "10m0s", "hot-regions-reserved-days": 7.0,
			"max-movable-hot-peer-size": 512.0, "slow-store-evicting-affected-store-ratio-threshold": 0.3,
			"store-limit-version": "v1",
		},
		sectionReplication: {
			itemMaxReplicas: float64(maxReplicasDefault), "location-labels": "", "strictly-match-label": "false",
			"enable-placement-rules": "true", "enable-placement-rules-cache": "false", "isolation-level": "",
		},
		sectionServer: {
			"use-region-storage": "true", "max-gap-reset-ts": "24h0m0s", "key-type": "table",
			"metric-storage": "", "dashboard-address": "none", "trace-region-flow": "true",
			"flow-round-by-digit": 3.0, "min-resolved-ts-persistence-interval": "1s",
			"server-memory-limit": 0.0, "enable-gogc-tuner": "false",
		},
	}
}

// configStore is PD's persistent configuration: the defaults, and over them
// what clients have set.
type configStore struct {
	kv       *kvStore
	defaults map[string]configSection

	mu struct {
		sync.Mutex
		changed map[string]configSection
	}
}

func newConfigStore(ctx context.Context, kv *kvStore, opts Options) (*configStore, error) {
	c := &configStore{kv: kv, defaults: defaultConfig()}
	c.mu.changed = map[string]configSection{}
	found, err := kv.getJSON(ctx, keyConfig, &c.mu.changed)
	if err != nil {
		return nil, err
	}
	if !found && opts.MaxReplicas > 0 {
		return c, c.set(ctx, map[string]any{sectionReplication + "." + itemMaxReplicas: float64(opts.MaxReplicas)})
	}
	return c, nil
}

// find resolves "section.item" or a bare "item".
func (c *configStore) find(key string) (section, item string, err error) {
	if sec, it, ok := strings.Cut(key, "."); ok {
		if _, known := c.defaults[sec][it]; known {
			return sec, it, nil
		}
		return "", "", fmt.Errorf("config item %s not found", key)
	}
	for _, sec := range []string{sectionSchedule, sectionReplication, sectionServer} {
		if _, known := c.defaults[sec][key]; known {
			return sec, key, nil
		}
	}
	return "", "", fmt.Errorf("config item %s not found", key)
}

// set changes items for good. All of them are checked before any is changed.
func (c *configStore) set(ctx context.Context, items map[string]any) error {
	type change struct {
		section, item string
		value         any
	}
	var changes []change
	for key, v := range items {
		sec, item, err := c.find(key)
		if err != nil {
			return err
		}
		v, err = convertLike(c.defaults[sec][item], v)
		if err != nil {
			return fmt.Errorf("config item %s: %w", key, err)
		}
		changes = append(changes, change{sec, item, v})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[string]configSection{}
	for sec, values := range c.mu.changed {
		next[sec] = maps.Clone(values)
	}
	for _, ch := range changes {
		if next[ch.section] == nil {
			next[ch.section] = configSection{}
		}
		next[ch.section][ch.item] = ch.value
	}
	if err := c.kv.putJSON(ctx, keyConfig, next); err != nil {
		return err
	}
	c.mu.changed = next
	return nil
}

// convertLike gives v the JSON type of model, as PD's typed config does.
func convertLike(model, v any) (any, error) {
	text, isText := v.(string)
	switch m := model.(type) {
	case float64:
		if n, ok := v.(float64); ok {
			return n, nil
		}
	case string:
		if b, ok := v.(bool); ok {
			text, isText = strconv.FormatBool(b), true
		}
		if m == "true" || m == "false" {
			if text == "true" || text == "false" {
				return text, nil
			}
			break
		}
		if isText {
			return text, nil
		}
	}
	return nil, fmt.Errorf("value %v has the wrong type", v)
}

// section returns the items of a section as they are in force, TTL overrides
// aside. The caller owns the result.
func (c *configStore) section(name string) configSection {
	out := maps.Clone(c.defaults[name])
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(out, c.mu.changed[name])
	return out
}

// explicit reports whether a client or Options has set the item.
func (c *configStore) explicit(section, item string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.mu.changed[section][item]
	return ok
}

// maxReplicas is replication.max-replicas; unless set it follows the number of
// stores, as a playground with fewer than three stores could not hold three.
func (s *Server) maxReplicas() int {
	if s.config.explicit(sectionReplication, itemMaxReplicas) {
		n, _ := s.config.section(sectionReplication)[itemMaxReplicas].(float64)
		return int(n)
	}
	if n := len(s.topology().Stores()); n > 0 {
		return min(n, maxReplicasDefault)
	}
	return maxReplicasDefault
}

func (s *Server) replicationConfig() configSection {
	sec := s.config.section(sectionReplication)
	sec[itemMaxReplicas] = s.maxReplicas()
	return sec
}

// scheduleConfig adds to the plain items what is not a plain value.
func (s *Server) scheduleConfig() configSection {
	sec := s.config.section(sectionSchedule)
	limits := map[string]any{}
	for _, st := range s.allStores() {
		limits[strconv.FormatUint(st.GetId(), 10)] = map[string]float64{"add-peer": 15, "remove-peer": 15}
	}
	sec["store-limit"] = limits
	return sec
}

func (s *Server) fullConfig() map[string]any {
	url := "http://" + s.addr
	return map[string]any{
		"name": memberName, "client-urls": url, "advertise-client-urls": url,
		"data-dir": s.opts.DataDir, "lease": 5, "tso-save-interval": tsoSaveAhead.String(),
		"cluster-version": s.clusterVersion(),
		"schedule":        s.scheduleConfig(), "replication": s.replicationConfig(),
		"pd-server": s.config.section(sectionServer),
		"log":       map[string]any{"level": "info"},
	}
}

// clusterVersion is the lowest version of the stores, without the "v".
func (s *Server) clusterVersion() string {
	lowest := ""
	for _, st := range s.allStores() {
		v := strings.TrimPrefix(st.GetVersion(), "v")
		if v != "" && (lowest == "" || versionLess(v, lowest)) {
			lowest = v
		}
	}
	if lowest == "" {
		return strings.TrimPrefix(s.opts.Version, "v")
	}
	return lowest
}

// versionLess compares major.minor.patch; what follows a dash is left out.
func versionLess(a, b string) bool {
	pa, pb := versionParts(a), versionParts(b)
	for i := range pa {
		if pa[i] != pb[i] {
			return pa[i] < pb[i]
		}
	}
	return false
}

func versionParts(v string) (parts [3]int) {
	v, _, _ = strings.Cut(v, "-")
	for i, p := range strings.SplitN(v, ".", 3) {
		n, err := strconv.Atoi(p)
		if err != nil {
			return parts
		}
		parts[i] = n
	}
	return parts
}

// flattenConfig turns {"schedule": {"x": 1}} into {"schedule.x": 1}; flat keys
// stay as they are.
func flattenConfig(body []byte) (map[string]any, error) {
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for k, v := range in {
		nested, ok := v.(map[string]any)
		if !ok {
			out[k] = v
			continue
		}
		for kk, vv := range nested {
			out[k+"."+kk] = vv
		}
	}
	return out, nil
}
