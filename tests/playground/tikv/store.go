package tikv

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	deadlockpb "github.com/pingcap/kvproto/pkg/deadlock"
	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	unistore "github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/sluicedb/sluice/tests/playground/door"
)

// grpcWindow is TiKV's grpc-stream-initial-window-size.
const grpcWindow = 2 << 20

// store is one TiKV of the cluster. It serves tikvpb by unistore's server,
// with the methods of kv.go in front.
type store struct {
	*unistore.Server // unistore's handlers, for every method not defined on store

	id         uint64
	addr       string
	statusAddr string
	started    time.Time
	cluster    *Cluster
	engine     *engine
	regions    *regions
	imports    *importer

	// doors are those of the two servers.
	doors  [2]*door.Door
	conns  *trackedListener
	grpc   *grpc.Server
	status *http.Server
	wg     sync.WaitGroup // the two serve loops
	mu     struct {
		sync.Mutex
		serveErr error
	}
}

func startStore(ctx context.Context, c *Cluster, id uint64) (_ *store, err error) {
	lis, err := door.Listen(ctx)
	if err != nil {
		return nil, err
	}
	statusLis, err := door.Listen(ctx)
	if err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	s := &store{
		id: id, addr: lis.Addr().String(), statusAddr: statusLis.Addr().String(), started: time.Now(),
		cluster: c, engine: c.engine, regions: c.regions,
		doors: [2]*door.Door{lis, statusLis}, conns: newTrackedListener(lis),
	}
	rm := &storeView{regions: c.regions, storeID: id, addr: s.addr}
	s.Server = unistore.NewServer(rm, c.engine.mvcc, unistore.NewStandAlongInnerServer(c.engine.bundle))
	s.imports = newImporter(s)
	s.grpc = s.newGRPC()
	s.status = &http.Server{Handler: s.statusHandler(), ReadHeaderTimeout: time.Minute}
	s.wg.Add(2)
	go s.serve(func() error { return s.grpc.Serve(s.conns) })
	go s.serve(func() error { return s.status.Serve(statusLis) })
	return s, nil
}

func (s *store) newGRPC() *grpc.Server {
	g := grpc.NewServer(
		grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.InitialWindowSize(grpcWindow),
		grpc.InitialConnWindowSize(grpcWindow),
		grpc.ForceServerCodec(newWireCodec()),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.interceptUnary),
		grpc.StreamInterceptor(s.interceptStream),
	)
	tikvpb.RegisterTikvServer(g, s)
	deadlockpb.RegisterDeadlockServer(g, s.Server)
	import_sstpb.RegisterImportSSTServer(g, s.imports)
	backuppb.RegisterBackupServer(g, &backuper{store: s})
	debugpb.RegisterDebugServer(g, &debugServer{store: s})
	healthpb.RegisterHealthServer(g, health.NewServer())
	return g
}

func (s *store) serve(f func() error) {
	defer s.wg.Done()
	err := f()
	if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.serveErr = errors.Join(s.mu.serveErr, fmt.Errorf("store %d: %w", s.id, err))
}

// stop ends both servers and waits for every handler.
func (s *store) stop() error {
	s.grpc.Stop()
	err := s.status.Close()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(err, s.mu.serveErr)
}

// trackedListener knows its connections by remote address, so that a fault can
// drop the one that a request came by.
type trackedListener struct {
	net.Listener
	mu struct {
		sync.Mutex
		conns map[string]net.Conn
	}
}

func newTrackedListener(l net.Listener) *trackedListener {
	t := &trackedListener{Listener: l}
	t.mu.conns = make(map[string]net.Conn)
	return t
}

// Accept implements net.Listener.
func (t *trackedListener) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tc := &trackedConn{Conn: c, list: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.conns[c.RemoteAddr().String()] = tc
	return tc, nil
}

// drop closes the connection from addr.
func (t *trackedListener) drop(addr string) {
	t.mu.Lock()
	c := t.mu.conns[addr]
	t.mu.Unlock()
	if c != nil {
		_ = c.Close() // the client sees the close either way
	}
}

type trackedConn struct {
	net.Conn
	list *trackedListener
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.list.mu.Lock()
	delete(c.list.mu.conns, c.RemoteAddr().String())
	c.list.mu.Unlock()
	return c.Conn.Close()
}
