package tikv

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Loops that the libraries start once for the process, and badger's
		// collector, which has no end.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreTopFunction("github.com/golang/glog.(*loggingT).flushDaemon"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/pingcap/badger/epoch.(*ResourceManager).collectLoop"),
		goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
	)
}

// ids and clock stand in for PD.
type ids struct{ n atomic.Uint64 }

func (i *ids) AllocID() uint64 { return i.n.Add(1) }

type clock struct {
	n atomic.Uint64
	// given is called once when a store has been given its next timestamp.
	given atomic.Pointer[func()]
}

func newClock() *clock {
	c := &clock{}
	c.n.Store(uint64(time.Now().UnixMilli()) << physicalShift)
	return c
}

func (c *clock) next() uint64 { return c.n.Add(1) }

func (c *clock) tso(context.Context) (uint64, error) {
	ts := c.next()
	if given := c.given.Swap(nil); given != nil {
		(*given)()
	}
	return ts, nil
}

// bench is a running cluster with clients to its stores.
type bench struct {
	*Cluster
	t      testing.TB
	ctx    context.Context
	clock  *clock
	faults *fault.Set
	conns  map[uint64]*grpc.ClientConn
}

func newBench(t testing.TB, stores int) *bench {
	t.Helper()
	return openBench(t, Options{Stores: stores, IDs: &ids{}})
}

func openBench(t testing.TB, opts Options) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	b := &bench{t: t, ctx: ctx, clock: newClock(), faults: &fault.Set{}, conns: map[uint64]*grpc.ClientConn{}}
	opts.TSO, opts.Faults, opts.ClusterID = b.clock.tso, b.faults, 42
	c, err := Start(ctx, opts)
	require.NoError(t, err)
	b.Cluster = c
	t.Cleanup(func() {
		for _, conn := range b.conns {
			_ = conn.Close()
		}
		require.NoError(t, c.Close())
	})
	for _, s := range c.Stores() {
		conn, err := grpc.NewClient(s.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
		require.NoError(t, err)
		b.conns[s.ID] = conn
	}
	return b
}

func (b *bench) kv(store uint64) tikvpb.TikvClient { return tikvpb.NewTikvClient(b.conns[store]) }
func (b *bench) sst(store uint64) import_sstpb.ImportSSTClient {
	return import_sstpb.NewImportSSTClient(b.conns[store])
}
func (b *bench) debug(store uint64) debugpb.DebugClient {
	return debugpb.NewDebugClient(b.conns[store])
}

// region returns the region of a raw key.
func (b *bench) region(raw []byte) topology.Region {
	r, ok := b.View().RegionByKey(encodeKey(raw))
	require.True(b.t, ok)
	return r
}

// rpc returns the context of a request to the region's leader.
func rpc(r topology.Region) *kvrpcpb.Context {
	epoch := *r.Meta.RegionEpoch
	return &kvrpcpb.Context{RegionId: r.Meta.Id, RegionEpoch: &epoch, Peer: r.Leader}
}

// rpcTo is rpc for the peer on another store.
func rpcTo(r topology.Region, store uint64) *kvrpcpb.Context {
	c := rpc(r)
	for _, p := range r.Meta.Peers {
		if p.StoreId == store {
			c.Peer = p
		}
	}
	return c
}

// put commits one pair by a transaction and returns its commit timestamp.
func (b *bench) put(key, value []byte) uint64 {
	b.t.Helper()
	return b.commit(key, b.prewrite(&kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: key, Value: value}))
}

// remove is put for a delete.
func (b *bench) remove(key []byte) uint64 {
	b.t.Helper()
	return b.commit(key, b.prewrite(&kvrpcpb.Mutation{Op: kvrpcpb.Op_Del, Key: key}))
}

// prewrite does the first half of a transaction and returns its start timestamp.
func (b *bench) prewrite(m *kvrpcpb.Mutation) uint64 {
	b.t.Helper()
	r := b.region(m.Key)
	start := b.clock.next()
	pre, err := b.kv(r.Leader.StoreId).KvPrewrite(b.ctx, &kvrpcpb.PrewriteRequest{
		Context: rpc(r), StartVersion: start, PrimaryLock: m.Key, LockTtl: 3000, Mutations: []*kvrpcpb.Mutation{m},
	})
	require.NoError(b.t, err)
	require.Nil(b.t, pre.RegionError)
	require.Empty(b.t, pre.Errors)
	return start
}

// commit does the second half of a transaction.
func (b *bench) commit(key []byte, start uint64) uint64 {
	b.t.Helper()
	r := b.region(key)
	commit := b.clock.next()
	com, err := b.kv(r.Leader.StoreId).KvCommit(b.ctx,
		&kvrpcpb.CommitRequest{Context: rpc(r), StartVersion: start, CommitVersion: commit, Keys: [][]byte{key}})
	require.NoError(b.t, err)
	require.Nil(b.t, com.RegionError)
	require.Nil(b.t, com.Error)
	return commit
}

// get reads a key at ts; nil when there is nothing.
func (b *bench) get(key []byte, ts uint64) []byte {
	b.t.Helper()
	r := b.region(key)
	resp, err := b.kv(r.Leader.StoreId).KvGet(b.ctx, &kvrpcpb.GetRequest{Context: rpc(r), Key: key, Version: ts})
	require.NoError(b.t, err)
	require.Nil(b.t, resp.RegionError)
	require.Nil(b.t, resp.Error)
	return resp.Value
}

// split cuts the region of the first key at raw keys.
func (b *bench) split(raw ...string) []*metapb.Region {
	b.t.Helper()
	r := b.region([]byte(raw[0]))
	resp, err := b.kv(r.Leader.StoreId).SplitRegion(b.ctx, &kvrpcpb.SplitRegionRequest{Context: rpc(r), SplitKeys: rawKeys(raw...)})
	require.NoError(b.t, err)
	require.Nil(b.t, resp.RegionError)
	return resp.Regions
}

func rawKeys(keys ...string) [][]byte {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = []byte(k)
	}
	return out
}

func whole() []*coprocessor.KeyRange {
	return []*coprocessor.KeyRange{{Start: []byte("a"), End: []byte("z")}}
}

func key(i int) []byte { return fmt.Appendf(nil, "k%06d", i) }
