package cluster

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

const (
	// probeScan is among how many regions one is looked for that a store leads.
	probeScan = 256
	// probeAgain is how long a region is read that the store no longer leads, before another one is looked for.
	probeAgain = 2 * time.Second
)

// Probe measures how long stores take to answer a point read, as a client of TiDB waits for one: the
// store's gRPC threads, its queue of reads and its data are in it, and the network between. It reads one key that
// isn't there, in a region that the store leads, on connections of its own: those that pairs are
// written through are full of them. It changes nothing. It is safe for concurrent use.
type Probe struct {
	cluster *Cluster
	near    []byte // enc
	mu      struct {
		sync.Mutex
		targets map[uint64]probeTarget
	}
}

// probeTarget is what is read at a store.
type probeTarget struct {
	region region.Region
	key    []byte // raw
	looked time.Time
	stale  bool // the store has answered that it isn't the region's leader, or something like it
}

// NewProbe returns a Probe that prefers regions from a raw key on. There is nothing to close.
func (c *Cluster) NewProbe(near []byte) *Probe {
	p := &Probe{cluster: c, near: region.Enc(near)}
	p.mu.targets = map[uint64]probeTarget{}
	return p
}

// Read reads once and returns how long the answer took, which is patience if there was none by then or if
// the store is too busy. Where the store refuses because of the region, the way to that answer counts.
// An error says that nothing was measured: the store can't be reached, PD knows no region, or ctx has ended.
func (p *Probe) Read(ctx context.Context, store uint64, patience time.Duration) (took time.Duration, err error) {
	target, err := p.target(ctx, store)
	if err != nil {
		return 0, err
	}
	conn, err := p.cluster.probes.get(ctx, store)
	if err != nil {
		return 0, failed(err, "reach store %d", store)
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	resp, err := tikvpb.NewTikvClient(conn).KvGet(limited, target.request())
	took = time.Since(began)
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case status.Code(err) == codes.DeadlineExceeded:
		return patience, nil
	case err != nil:
		return 0, failed(err, "read at store %d", store)
	}
	return p.judge(store, resp.GetRegionError(), took, patience), nil
}

// judge looks at what a store has against a read.
func (p *Probe) judge(store uint64, e *errorpb.Error, took, patience time.Duration) time.Duration {
	switch {
	case e == nil:
		return took
	case e.GetServerIsBusy() != nil:
		return patience
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.mu.targets[store]
	t.stale = true
	p.mu.targets[store] = t
	return took
}

// request reads like an autocommit statement: the newest version, without a timestamp.
func (t *probeTarget) request() *kvrpcpb.GetRequest {
	return &kvrpcpb.GetRequest{
		Context: &kvrpcpb.Context{RegionId: t.region.ID(), RegionEpoch: t.region.Meta.GetRegionEpoch(), Peer: t.region.Leader},
		Key:     t.key, Version: math.MaxUint64,
	}
}

// target returns what is to be read at a store.
func (p *Probe) target(ctx context.Context, store uint64) (probeTarget, error) {
	p.mu.Lock()
	t, known := p.mu.targets[store]
	p.mu.Unlock()
	if known && (!t.stale || time.Since(t.looked) < probeAgain) {
		return t, nil
	}
	r, led, err := p.find(ctx, store)
	if err != nil {
		return probeTarget{}, err
	}
	t = probeTarget{region: r, key: probeKey(r), looked: time.Now(), stale: !led}
	p.mu.Lock()
	p.mu.targets[store] = t
	p.mu.Unlock()
	return t, nil
}

// probeKey is a key behind the region's first one, which is a row's, with a value of any size.
func probeKey(r region.Region) []byte { return append(rawBorder(r.Meta.GetStartKey()), 0) }

// find looks for a region that the store leads, near the table and then at the beginning of the key space. Without one it
// returns any that there is: the answer that the store doesn't lead it takes nearly the same way.
func (p *Probe) find(ctx context.Context, store uint64) (found region.Region, led bool, err error) {
	for _, from := range [][]byte{p.near, nil} {
		page, err := p.cluster.pd.ScanRegions(ctx, from, nil, probeScan)
		if err != nil {
			return region.Region{}, false, failed(err, "find a region of store %d", store)
		}
		for _, r := range page {
			switch {
			case r.Meta == nil:
			case r.Leader.GetStoreId() == store:
				return newRegion(r), true, nil
			case found.Meta == nil || !hasPeer(found, store):
				found = newRegion(r)
				found.Leader = peerAt(r.Meta, store)
			}
		}
	}
	if found.Meta == nil {
		return found, false, errors.New("PD knows no region")
	}
	return found, false, nil
}

func hasPeer(r region.Region, store uint64) bool { return peerAt(r.Meta, store).GetId() != 0 }

// peerAt returns the region's peer at a store; one without an id if it has none there.
func peerAt(meta *metapb.Region, store uint64) *metapb.Peer {
	for _, p := range meta.GetPeers() {
		if p.GetStoreId() == store {
			return p
		}
	}
	return &metapb.Peer{StoreId: store}
}
