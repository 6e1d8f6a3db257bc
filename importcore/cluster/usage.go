package cluster

import (
	"context"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	pdhttp "github.com/tikv/pd/client/http"

	"github.com/sluicedb/sluice/importcore/fault"
)

// adminAPI is what is asked of PD's HTTP service about the cluster as a whole.
type adminAPI interface {
	ledgerAPI
	GetStores(ctx context.Context) (*pdhttp.StoresInfo, error)
	GetEmptyRegions(ctx context.Context) (*pdhttp.RegionsInfo, error)
	GetReplicateConfig(ctx context.Context) (map[string]any, error)
	ResetTS(ctx context.Context, ts uint64, forceUseLarger bool) error
}

// StoreUsage is how full a store is, as PD knows it from the store's last heartbeat.
type StoreUsage struct {
	ID      uint64
	Address string
	// TiFlash says that it is a columnar store, Up that it takes part.
	TiFlash, Up bool
	// Capacity and Available are of its disk, in bytes, with the precision that PD's text has.
	Capacity, Available int64
	// Regions is how many regions it has a peer of.
	Regions int64
}

// Usage returns the stores that are up or going down, TiFlash included.
func (c *Cluster) Usage(ctx context.Context) ([]StoreUsage, error) {
	info, err := c.admin.GetStores(ctx)
	if err != nil {
		return nil, failed(err, "ask PD how full the stores are")
	}
	out := make([]StoreUsage, 0, len(info.Stores))
	for _, s := range info.Stores {
		u := StoreUsage{ID: uint64(s.Store.ID), Address: s.Store.Address, Up: s.Store.StateName == "Up", Regions: s.Status.RegionCount}
		for _, l := range s.Store.Labels {
			u.TiFlash = u.TiFlash || l.Key == "engine" && strings.HasPrefix(l.Value, "tiflash")
		}
		if u.Capacity, err = bytesOf(s.Status.Capacity); err == nil {
			u.Available, err = bytesOf(s.Status.Available)
		}
		if err != nil {
			return nil, fault.Wrap(err, fault.Cluster, 0, "PD's sizes of store %d can't be read", s.Store.ID)
		}
		out = append(out, u)
	}
	return out, nil
}

// bytesOf reads a size as PD writes it; a store that never reported has none.
func bytesOf(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return units.RAMInBytes(text)
}

// EmptyRegions returns how many peers of empty regions each store has, by its id.
// PD counts a region as empty up to 1 MiB.
func (c *Cluster) EmptyRegions(ctx context.Context) (map[uint64]int, error) {
	info, err := c.admin.GetEmptyRegions(ctx)
	if err != nil {
		return nil, failed(err, "ask PD for empty regions")
	}
	perStore := map[uint64]int{}
	for _, r := range info.Regions {
		for _, p := range r.Peers {
			perStore[uint64(p.StoreID)]++
		}
	}
	return perStore, nil
}

// MaxReplicas returns how many peers PD keeps of a region, where no placement rule says otherwise.
func (c *Cluster) MaxReplicas(ctx context.Context) (int, error) {
	config, err := c.admin.GetReplicateConfig(ctx)
	if err != nil {
		return 0, failed(err, "ask PD for the number of replicas")
	}
	switch n := config["max-replicas"].(type) {
	case float64:
		return int(n), nil
	case string:
		if v, err := strconv.Atoi(n); err == nil {
			return v, nil
		}
	}
	return 0, fault.New(fault.Cluster, 0, "PD's configuration has no number of replicas")
}
