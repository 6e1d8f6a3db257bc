package playground

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sluicedb/sluice/tests/playground/fault"
)

// InjectFault adds a rule: from now on requests that fit it fail.
func (c *Cluster) InjectFault(ctx context.Context, rule fault.Rule) error {
	return c.control(ctx, http.MethodPost, PathFaults, rule, nil)
}

// ClearFaults removes all rules and their counts.
func (c *Cluster) ClearFaults(ctx context.Context) error {
	return c.control(ctx, http.MethodDelete, PathFaults, nil, nil)
}

// RemoveFaults removes the rules for one RPC, named as in Rule.RPC, and lets go
// what they hold.
func (c *Cluster) RemoveFaults(ctx context.Context, rpc string) error {
	return c.control(ctx, http.MethodDelete, PathFaults+"?rpc="+url.QueryEscape(rpc), nil, nil)
}

// FaultHits returns the rules in the order of adding, each with the number of
// times that it fired. A test of a fault should assert that it did.
func (c *Cluster) FaultHits(ctx context.Context) ([]FaultHit, error) {
	var hits []FaultHit
	err := c.control(ctx, http.MethodGet, PathFaults, nil, &hits)
	return hits, err
}

// PDLeaderAway plays a PD without a leader, or ends that play.
func (c *Cluster) PDLeaderAway(ctx context.Context, away bool) error {
	return c.control(ctx, http.MethodPost, PathLeaderAway, LeaderAway{Away: away}, nil)
}

// SetDoor makes a part of the cluster away, hang, or be back at the address that it had. Nothing that a part
// holds in memory is lost while it is away; a store that is not there leads no region, if others are.
func (c *Cluster) SetDoor(ctx context.Context, d Door) error {
	return c.control(ctx, http.MethodPost, PathDoor, d, nil)
}

// State tells what clients have left behind in the stores.
func (c *Cluster) State(ctx context.Context) (State, error) {
	var state State
	err := c.control(ctx, http.MethodGet, PathState, nil, &state)
	return state, err
}

// Split cuts regions at raw keys and returns the ids of the new ones.
func (c *Cluster) Split(ctx context.Context, rawKeys ...[]byte) ([]uint64, error) {
	req := Split{Keys: make([]string, len(rawKeys))}
	for i, key := range rawKeys {
		req.Keys[i] = hex.EncodeToString(key)
	}
	var result SplitResult
	err := c.control(ctx, http.MethodPost, PathSplit, req, &result)
	return result.Regions, err
}

// TransferLeader makes the peer on a store lead a region.
func (c *Cluster) TransferLeader(ctx context.Context, region, store uint64) error {
	return c.control(ctx, http.MethodPost, PathTransferLeader, TransferLeader{Region: region, Store: store}, nil)
}

// control sends one request to the control port; in and out may be nil.
func (c *Cluster) control(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("playground %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Control+path, body)
	if err != nil {
		return fmt.Errorf("playground %s: %w", path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("playground %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var failure ControlError
		if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil {
			return fmt.Errorf("playground %s: status %d", path, resp.StatusCode)
		}
		return fmt.Errorf("playground %s: %s", path, failure.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("playground %s: answer: %w", path, err)
	}
	return nil
}
