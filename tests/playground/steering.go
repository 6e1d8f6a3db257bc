package playground

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Steering is everything that an import may change in how the cluster works, as PD and the stores
// tell it: equal values mean that nothing more is held.
type Steering struct {
	// ImportMode and SpeedLimit are the stores', in their order.
	ImportMode []bool
	SpeedLimit []uint64
	// Labels are PD's region label rules, Paused its paused schedulers, SafePoints the names of its
	// service safe points, whose values move all the time.
	Labels     any
	Paused     any
	SafePoints []string
	// Partitions are the ranges at whose borders each store cuts its files.
	Partitions []any
}

// Steering asks PD and the stores. What would have damaged a store meanwhile, see State.Violations, is an error.
func (c *Cluster) Steering(ctx context.Context) (s Steering, err error) {
	state, err := c.State(ctx)
	if err != nil {
		return s, err
	}
	if len(state.Violations) > 0 {
		return s, fmt.Errorf("playground: violations: %q", state.Violations)
	}
	for _, store := range state.Stores {
		s.ImportMode = append(s.ImportMode, store.ImportMode)
		s.SpeedLimit = append(s.SpeedLimit, store.SpeedLimit)
	}
	var points struct {
		List []struct {
			ID string `json:"service_id"`
		} `json:"service_gc_safe_points"`
	}
	into := map[string]any{
		c.PD + "/pd/api/v1/config/region-label/rules": &s.Labels, c.PD + "/pd/api/v1/schedulers?status=paused": &s.Paused,
		c.PD + "/pd/api/v1/gc/safepoint": &points,
	}
	s.Partitions = make([]any, len(c.Stores))
	for i, store := range c.Stores {
		into[store.Status+"/force_partition_ranges"] = &s.Partitions[i]
	}
	for url, into := range into {
		if err := c.getJSON(ctx, url, into); err != nil {
			return s, err
		}
	}
	for _, p := range points.List {
		s.SafePoints = append(s.SafePoints, p.ID)
	}
	return s, nil
}

func (c *Cluster) getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+url, nil)
	if err != nil {
		return fmt.Errorf("playground: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("playground: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("playground: GET %s: %s", url, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("playground: GET %s: %w", url, err)
	}
	return nil
}
