package pd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	rmpb "github.com/pingcap/kvproto/pkg/resource_manager"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/sluicedb/sluice/tests/playground/door"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// keyClusterID lies outside of the cluster's prefix, as with PD.
const keyClusterID = "/pd/cluster_id"

// Server is a running PD. Start makes it, Close ends it; all methods are safe
// for concurrent use.
type Server struct {
	opts    Options
	log     *zap.Logger
	started time.Time

	etcd      *embed.Etcd
	cli       *clientv3.Client
	grpc      atomic.Pointer[grpc.Server]
	door      *door.Relay
	addr      string // the door's
	clusterID uint64

	// Set once before ready turns true, which every request checks first.
	kv         *kvStore
	tso        *tsoAllocator
	ids        *idAllocator
	stores     *storeRegistry
	safePoints *safePoints
	config     *configStore
	overrides  *configOverrides
	labels     *labelRules
	rules      *placementRules
	groups     *resourceGroups
	schedulers *schedulers
	scatter    *scatterer

	ready      atomic.Bool
	leaderAway atomic.Bool
	view       atomic.Pointer[topology.View]

	// stopped ends the watch streams, which would hold up Close otherwise.
	stopped   context.Context
	stop      context.CancelFunc
	closeOnce sync.Once
}

var _ topology.IDAllocator = (*Server)(nil)

// Start starts a PD on a loopback port of the system's choice and returns when
// it serves. Until SetView is called the cluster has no stores and no regions.
// ctx bounds the start only. The caller owns the Server and must Close it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if err := opts.fillDefaults(); err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: opts.Logger, started: opts.Now()}
	s.stopped, s.stop = context.WithCancel(context.Background())
	front, err := door.Listen(ctx)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("pd: %w", err)
	}
	s.addr = front.Addr().String()
	e, inner, err := startEtcd(ctx, opts.DataDir, s.addr, opts.Logger, etcdHooks{register: s.register, handler: s.httpHandler()})
	if err != nil {
		s.stop()
		return nil, errors.Join(fmt.Errorf("pd: %w", err), front.Close())
	}
	s.etcd, s.door = e, door.Serve(front, inner)
	s.cli = v3client.New(e.Server)
	if err := s.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("pd: %w", err), s.Close())
	}
	s.ready.Store(true)
	s.log.Info("pd is ready", zap.String("addr", s.addr), zap.Uint64("cluster-id", s.clusterID))
	return s, nil
}

// register adds the gRPC services to etcd's server.
func (s *Server) register(gs *grpc.Server) {
	s.grpc.Store(gs)
	pdpb.RegisterPDServer(gs, &pdService{Server: s})
	meta_storagepb.RegisterMetaStorageServer(gs, &metaStorageService{Server: s})
	rmpb.RegisterResourceManagerServer(gs, &resourceManagerService{Server: s})
	keyspacepb.RegisterKeyspaceServer(gs, &keyspaceService{Server: s})
}

// load reads everything that an earlier run on the same data has left.
func (s *Server) load(ctx context.Context) error {
	if err := s.loadClusterID(ctx); err != nil {
		return err
	}
	s.kv = &kvStore{cli: s.cli, root: fmt.Sprintf("/pd/%d/", s.clusterID)}
	now := s.opts.Now
	var err error
	if s.tso, err = newTSOAllocator(ctx, s.kv, now); err != nil {
		return err
	}
	if s.ids, err = newIDAllocator(ctx, s.kv); err != nil {
		return err
	}
	if s.stores, err = newStoreRegistry(ctx, s.kv, now); err != nil {
		return err
	}
	if s.config, err = newConfigStore(ctx, s.kv, s.opts); err != nil {
		return err
	}
	if s.overrides, err = newConfigOverrides(ctx, s.cli, now); err != nil {
		return err
	}
	if s.labels, err = newLabelRules(ctx, s.kv, now); err != nil {
		return err
	}
	if s.rules, err = newPlacementRules(ctx, s.kv, s.maxReplicas); err != nil {
		return err
	}
	if s.groups, err = newResourceGroups(ctx, s.cli); err != nil {
		return err
	}
	s.safePoints = newSafePoints(s.kv)
	s.schedulers = newSchedulers(now)
	s.scatter = newScatterer(now)
	return nil
}

// loadClusterID takes the id of kept data or makes and keeps a new one.
func (s *Server) loadClusterID(ctx context.Context) error {
	resp, err := s.cli.Get(ctx, keyClusterID)
	if err != nil {
		return fmt.Errorf("read the cluster id: %w", err)
	}
	want := s.opts.ClusterID
	if len(resp.Kvs) > 0 {
		if len(resp.Kvs[0].Value) != 8 {
			return fmt.Errorf("%s holds %d bytes, want 8", keyClusterID, len(resp.Kvs[0].Value))
		}
		s.clusterID = binary.BigEndian.Uint64(resp.Kvs[0].Value)
		if want != 0 && want != s.clusterID {
			return fmt.Errorf("the data belongs to cluster %d, not to %d", s.clusterID, want)
		}
		return nil
	}
	if want == 0 {
		// Clients take 0 for "unknown"; like PD's ids this stays below 2^63.
		want = rand.Uint64N(1<<63-1) + 1
	}
	if _, err := s.cli.Put(ctx, keyClusterID, string(binary.BigEndian.AppendUint64(nil, want))); err != nil {
		return fmt.Errorf("write the cluster id: %w", err)
	}
	s.clusterID = want
	return nil
}

// SetView connects the TiKV half: from now on its stores and regions are what
// clients see. The Server does not own the View; it must stay usable until
// Close returns.
func (s *Server) SetView(v topology.View) { s.view.Store(&v) }

// topology is the View of SetView, or one of an empty cluster before.
func (s *Server) topology() topology.View {
	if v := s.view.Load(); v != nil {
		return *v
	}
	return emptyView{}
}

// Addr is the host:port that serves etcd, gRPC and HTTP: the address to give
// to clients as PD's.
func (s *Server) Addr() string { return s.addr }

// ClusterID is the id that every request and response header carries.
func (s *Server) ClusterID() uint64 { return s.clusterID }

// AllocID implements topology.IDAllocator: an id that was never given before on
// this data. 0, which is no valid id, means that etcd refused to reserve more
// (the server is closed or its disk is full); the reason is logged.
func (s *Server) AllocID() uint64 {
	id, err := s.ids.alloc(s.stopped)
	if err != nil {
		s.log.Error("cannot allocate an id", zap.Error(err))
		return 0
	}
	return id
}

// TSO gives a fresh timestamp (physical_ms<<18 | logical), as a client would
// get one over the network.
func (s *Server) TSO(ctx context.Context) (uint64, error) {
	last, err := s.tso.alloc(ctx, 1)
	if err != nil {
		return 0, fmt.Errorf("pd: %w", err)
	}
	return last.ts(), nil
}

// SetLeaderAway plays a PD without a leader: gRPC answers Unavailable "not
// leader", HTTP 503, and the member list has no leader, while etcd stays up.
// What PD's leader holds in memory only (paused schedulers, operators) is gone
// when the leader is back.
func (s *Server) SetLeaderAway(away bool) {
	if s.leaderAway.Swap(away) && !away {
		s.schedulers.reset()
		s.scatter.reset()
	}
}

// SetDoor makes PD away, hang, or be back. Other than with SetLeaderAway nothing is
// lost that is held in memory only.
func (s *Server) SetDoor(to door.State) error { return s.door.Set(to) }

// Close stops serving, ends open streams, waits for etcd's goroutines and
// leaves the data directory to the caller. Closing twice is safe.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.ready.Store(false)
		s.stop()
		if gs := s.grpc.Load(); gs != nil {
			stopGRPC(s.etcd, gs)
		}
		if err := s.door.Close(); err != nil {
			s.log.Warn("close PD's door", zap.Error(err))
		}
		// Ends the in-process watchers; it has no connection that could fail.
		if err := s.cli.Close(); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("close the etcd client", zap.Error(err))
		}
		s.etcd.Close()
	})
	return nil
}

// stopGRPC cuts all streams before etcd's own Close, which waits seconds for
// clients that keep watching. The three listener loops (gRPC, HTTP, the split
// between them) end with it, each with an error to e.Err(); etcd closes that
// channel without waiting for them, so they are waited for here.
func stopGRPC(e *embed.Etcd, gs *grpc.Server) {
	const loops = 3
	gs.Stop()
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	for range loops {
		select {
		case <-e.Err():
		case <-timeout.C:
			return
		}
	}
}
