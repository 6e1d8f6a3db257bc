package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
	pd "github.com/tikv/pd/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// Store is a TiKV or TiFlash store.
type Store struct {
	// ID is PD's id of the store.
	ID uint64
	// Address is where its import service listens, StatusAddress its status
	// port (host:port); the latter may be "".
	Address, StatusAddress string
	// Version is the release, such as "8.5.4".
	Version string
	// Labels are the store's labels.
	Labels map[string]string
	// TiFlash says that it is a columnar store.
	TiFlash bool
	// Up says that it takes part; false while it is being taken down.
	Up bool
}

// Stores returns the stores that are not tombstones, TiFlash included.
func (c *Cluster) Stores(ctx context.Context) ([]Store, error) {
	metas, err := c.pd.GetAllStores(ctx, pd.WithExcludeTombstone())
	if err != nil {
		return nil, failed(err, "list the stores")
	}
	stores := make([]Store, 0, len(metas))
	for _, m := range metas {
		if m.GetState() != metapb.StoreState_Tombstone {
			stores = append(stores, newStore(m))
		}
	}
	return stores, nil
}

func newStore(m *metapb.Store) Store {
	s := Store{
		ID:            m.GetId(),
		Address:       importAddress(m),
		StatusAddress: m.GetStatusAddress(),
		Version:       m.GetVersion(),
		Labels:        make(map[string]string, len(m.GetLabels())),
		Up:            m.GetState() == metapb.StoreState_Up,
	}
	for _, l := range m.GetLabels() {
		s.Labels[l.GetKey()] = l.GetValue()
	}
	switch s.Labels["engine"] {
	case "tiflash", "tiflash_compute":
		s.TiFlash = true
	}
	return s
}

// importAddress is where the store's raft and import services listen. TiFlash
// has a peer address of its own for them.
func importAddress(m *metapb.Store) string {
	if m.GetPeerAddress() != "" {
		return m.GetPeerAddress()
	}
	return m.GetAddress()
}

// StoreConn returns the shared connection to a store. The caller must not
// close it.
func (c *Cluster) StoreConn(ctx context.Context, storeID uint64) (grpc.ClientConnInterface, error) {
	conn, err := c.stores.get(ctx, storeID)
	if err != nil {
		return nil, failed(err, "reach store %d", storeID)
	}
	return conn, nil
}

// storePool holds one connection per store.
type storePool struct {
	lookup func(ctx context.Context, id uint64) (*metapb.Store, error)
	mu     struct {
		sync.Mutex
		conns  map[uint64]storeConn
		closed bool
	}
}

type storeConn struct {
	addr string
	conn *grpc.ClientConn
}

func newStorePool(lookup func(context.Context, uint64) (*metapb.Store, error)) *storePool {
	p := &storePool{lookup: lookup}
	p.mu.conns = make(map[uint64]storeConn)
	return p
}

// get returns the connection. When it does not work, the store's address is
// looked up again, for the store may have moved.
func (p *storePool) get(ctx context.Context, id uint64) (*grpc.ClientConn, error) {
	p.mu.Lock()
	have := p.mu.conns[id]
	p.mu.Unlock()
	if have.conn != nil && have.conn.GetState() != connectivity.TransientFailure {
		return have.conn, nil
	}
	meta, err := p.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	if meta == nil || meta.GetState() == metapb.StoreState_Tombstone {
		return nil, fmt.Errorf("store %d is not part of the cluster any more", id)
	}
	return p.open(id, importAddress(meta))
}

func (p *storePool) open(id uint64, addr string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, errors.New("the cluster is closed")
	}
	have := p.mu.conns[id]
	if have.conn != nil && have.addr == addr {
		return have.conn, nil
	}
	// NewClient only prepares the connection, it does no I/O.
	conn, err := grpc.NewClient("passthrough:///"+addr, dialOptions()...)
	if err != nil {
		return nil, err
	}
	if have.conn != nil {
		// Calls still on the old address fail and are tried again on the new one.
		_ = have.conn.Close()
	}
	p.mu.conns[id] = storeConn{addr: addr, conn: conn}
	return conn, nil
}

// dialOptions: answers of any size, a dead peer is noticed within 20 s, a
// store that comes back is tried again within 3 s.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
}

func (p *storePool) close() error {
	p.mu.Lock()
	conns := p.mu.conns
	p.mu.conns, p.mu.closed = make(map[uint64]storeConn), true
	p.mu.Unlock()
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// tikvStores returns the stores of the row engine that are up or going down.
func tikvStores(stores []Store) []Store {
	var out []Store
	for _, s := range stores {
		if !s.TiFlash {
			out = append(out, s)
		}
	}
	return out
}
