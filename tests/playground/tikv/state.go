package tikv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pingcap/kvproto/pkg/metapb"
)

// stateFile holds what a kept cluster needs beside the engine's own files.
const stateFile = "cluster.json"

const stateVersion = 1

// savedState is the content of stateFile.
type savedState struct {
	Version int           `json:"version"`
	Stores  []uint64      `json:"stores"`
	Regions []savedRegion `json:"regions"` // in key order
}

type savedRegion struct {
	Meta   *metapb.Region `json:"meta"`
	Leader uint64         `json:"leader"`
	Size   int64          `json:"size"`
	Keys   int64          `json:"keys"`
}

// loadState reads the state in dir; nil when there is none.
func loadState(dir string) (*savedState, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st := new(savedState)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	if err := st.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile, err)
	}
	return st, nil
}

// check makes sure that the regions cover the key space and can be led.
func (st *savedState) check() error {
	if st.Version != stateVersion {
		return fmt.Errorf("version %d, want %d", st.Version, stateVersion)
	}
	if len(st.Stores) == 0 || len(st.Regions) == 0 {
		return errors.New("no stores or no regions")
	}
	var border []byte
	for i, r := range st.Regions {
		if r.Meta.GetRegionEpoch() == nil || !bytes.Equal(r.Meta.StartKey, border) || (i > 0 && len(border) == 0) {
			return fmt.Errorf("region %d does not follow its neighbour", r.Meta.GetId())
		}
		if len(r.Meta.EndKey) > 0 {
			if _, err := decodeKey(r.Meta.EndKey); err != nil {
				return fmt.Errorf("region %d: %w", r.Meta.Id, err)
			}
		}
		led := false
		for _, p := range r.Meta.Peers {
			led = led || p.GetStoreId() == r.Leader
		}
		if !led {
			return fmt.Errorf("region %d is led by store %d, which has no peer", r.Meta.Id, r.Leader)
		}
		border = r.Meta.EndKey
	}
	if len(border) > 0 {
		return errors.New("the last region has an end")
	}
	return nil
}

func saveState(dir string, rs *regions) error {
	st := savedState{Version: stateVersion, Stores: rs.stores}
	rs.mu.RLock()
	for _, r := range rs.mu.sorted {
		st.Regions = append(st.Regions, savedRegion{
			Meta: r.meta, Leader: r.leader.Load(), Size: r.approximateSize(), Keys: r.approximateKeys(),
		})
	}
	rs.mu.RUnlock()
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, stateFile+".tmp")
	if err := os.WriteFile(tmp, b, 0o640); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, stateFile))
}

// restore fills the map from a checked state.
func (rs *regions) restore(st *savedState) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, s := range st.Regions {
		r := rs.newRegion(s.Meta, s.Leader)
		r.size.Store(s.Size)
		r.keys.Store(s.Keys)
		rs.mu.byID[s.Meta.Id] = r
		rs.mu.sorted = append(rs.mu.sorted, r)
	}
}
