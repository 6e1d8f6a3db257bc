package tidb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/tidb/pkg/config"
	"github.com/pingcap/tidb/pkg/ddl"
	"github.com/pingcap/tidb/pkg/domain"
	"github.com/pingcap/tidb/pkg/executor"
	"github.com/pingcap/tidb/pkg/executor/mppcoordmanager"
	"github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/resourcemanager"
	"github.com/pingcap/tidb/pkg/server"
	"github.com/pingcap/tidb/pkg/session"
	"github.com/pingcap/tidb/pkg/sessionctx/variable"
	kvstore "github.com/pingcap/tidb/pkg/store"
	"github.com/pingcap/tidb/pkg/store/copr"
	"github.com/pingcap/tidb/pkg/store/driver"
	"github.com/pingcap/tidb/pkg/util/cpuprofile"
	"github.com/pingcap/tidb/pkg/util/disk"
	"github.com/pingcap/tidb/pkg/util/logutil"
	"github.com/pingcap/tidb/pkg/util/metricsutil"
	"github.com/tikv/client-go/v2/tikv"

	"github.com/sluicedb/sluice/tests/playground/door"
)

// How long Close lets running statements finish, and then how long it waits
// for those that it has cancelled.
const (
	drainWait  = time.Second
	cancelWait = time.Second
)

// Options says where the server finds its cluster and puts its files.
type Options struct {
	// PDAddr is host:port of PD, without a scheme.
	PDAddr string
	// Dir holds temporary files and the slow log. It must exist.
	Dir string
	// LogFile receives TiDB's log, which is the global log of the process.
	LogFile string
	// LogLevel is TiDB's: debug, info, warn, error. Empty means info.
	LogLevel string
	// TxnTotalSizeLimit is performance.txn-total-size-limit, in bytes; 0 means its default.
	TxnTotalSizeLimit uint64
	// ServerVersion is server-version, "" for that of the release.
	ServerVersion string
}

// Server is a running TiDB server.
type Server struct {
	cfg     *config.Config
	storage kv.Storage
	dom     *domain.Domain
	srv     *server.Server
	// workers are TiDB's watchers that end with the domain.
	workers sync.WaitGroup
	// runErr receives the result of the accept loops once.
	runErr    chan error
	doors     doors
	closeOnce sync.Once
	closeErr  error
}

// started guards TiDB's package variables: see the package doc.
var started atomic.Bool

// SetupLog directs TiDB's log, which is also the global log of the process
// (github.com/pingcap/log), to the files of opts. It has to run before Start
// and before any other part that is to share the log; until then the log goes
// to the standard output.
func SetupLog(opts Options) error {
	cfg := config.NewConfig()
	setLog(cfg, opts)
	if err := logutil.InitLogger(cfg.Log.ToLogConfig()); err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	return nil
}

// Start runs a server until Close. It returns when the server accepts
// connections; ctx bounds the start only. The first start on an empty cluster
// creates the system tables. It fails when the process has started a server
// before. SetupLog comes first. A defect of the cluster under it can end the
// process: TiDB's bootstrap logs a fatal line rather than return an error.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, errors.New("this process has already started a TiDB server")
	}
	doors, err := openDoors(ctx)
	if err != nil {
		return nil, err
	}
	// What it tells the cluster are the doors' ports, see serve for its own.
	cfg, err := storeGlobalConfig(opts, port(doors.sql[0]), port(doors.status))
	if err == nil {
		err = applyConfig(cfg)
	}
	if err != nil {
		return nil, errors.Join(err, doors.close())
	}
	s := &Server{cfg: cfg, doors: doors, runErr: make(chan error, 1)}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	if err := metricsutil.RegisterMetrics(); err != nil {
		return fmt.Errorf("metrics of TiDB: %w", err)
	}
	if err := disk.InitializeTempDir(); err != nil {
		return fmt.Errorf("temporary directory of TiDB: %w", err)
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.serve(ctx)
}

// open connects to the cluster and creates or loads the system tables.
func (s *Server) open(ctx context.Context) error {
	// By name too, since IMPORT INTO opens its own store with a tikv:// URL.
	if err := kvstore.Register("tikv", driver.TiKVDriver{}); err != nil {
		return fmt.Errorf("TiKV driver: %w", err)
	}
	executor.Start()
	if err := cpuprofile.StartCPUProfiler(); err != nil { // without it the status port's profiles are empty
		return fmt.Errorf("profiler of TiDB: %w", err)
	}
	resourcemanager.InstanceResourceManager.Start()
	copr.GlobalMPPFailedStoreProber.Run()
	mppcoordmanager.InstanceMPPCoordinatorManager.Run()
	var err error
	s.storage, err = kvstore.New(fmt.Sprintf("%s://%s?disableGC=false", s.cfg.Store, s.cfg.Path))
	if err != nil {
		return fmt.Errorf("open the cluster: %w", err)
	}
	// The owner lives on this context: were it cancelled when the order to stop
	// comes, the ownership would not be given back and the next start on the
	// same data would wait a minute for it to expire.
	if err := ddl.StartOwnerManager(context.WithoutCancel(ctx), s.storage); err != nil {
		return fmt.Errorf("DDL owner: %w", err)
	}
	s.dom, err = session.BootstrapSession(s.storage)
	if err != nil {
		return fmt.Errorf("bootstrap TiDB: %w", err)
	}
	return s.suitStores(ctx)
}

// suitStores keeps TiDB from trying what the stores refuse (see the
// stores' KvPrewrite), which it would log each time, and from locks in fair order: unistore
// panics when such a request is sent again because its answer was lost (MVCCStore.pessimisticLockInner).
func (s *Server) suitStores(ctx context.Context) error {
	ctx = kv.WithInternalSourceType(ctx, kv.InternalTxnOthers)
	se, err := session.CreateSession(s.storage)
	if err != nil {
		return fmt.Errorf("session of TiDB: %w", err)
	}
	defer se.Close()
	for _, name := range []string{variable.TiDBEnable1PC, variable.TiDBEnableAsyncCommit, variable.TiDBPessimisticTransactionFairLocking} {
		if err := se.GetSessionVars().GlobalVarsAccessor.SetGlobalSysVar(ctx, name, variable.Off); err != nil {
			return fmt.Errorf("setting %s of TiDB: %w", name, err)
		}
	}
	return nil
}

// serve starts the MySQL and status listeners and waits until they accept.
func (s *Server) serve(ctx context.Context) error {
	// TiDB fills in the ports that it gets, with this switch, which also closes the
	// channel once the listeners are up, the only sign of readiness that TiDB gives.
	server.RunInGoTest = true
	server.RunInGoTestChan = make(chan struct{})
	own := *s.cfg
	own.Port, own.Status.StatusPort = 0, 0
	srv, err := server.NewServer(&own, server.NewTiDBDriver(s.storage))
	if err != nil {
		return fmt.Errorf("TiDB server: %w", err)
	}
	s.srv = srv
	srv.SetDomain(s.dom)
	for _, run := range []func(){
		s.dom.ExpensiveQueryHandle().SetSessionManager(srv).Run,
		s.dom.MemoryUsageAlarmHandle().SetSessionManager(srv).Run,
		s.dom.ServerMemoryLimitHandle().SetSessionManager(srv).Run,
	} {
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			run()
		}()
	}
	s.dom.InfoSyncer().SetSessionManager(srv)
	go func() { s.runErr <- srv.Run(s.dom) }()
	select {
	case <-server.RunInGoTestChan:
		s.doors.serve(int(own.Port), int(own.Status.StatusPort))
		return nil
	case err := <-s.runErr:
		s.runErr <- err
		return fmt.Errorf("TiDB listeners: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr returns host:port of the MySQL protocol.
func (s *Server) Addr() string {
	return net.JoinHostPort(s.cfg.Host, strconv.FormatUint(uint64(s.cfg.Port), 10))
}

// SecondAddr returns host:port of another door to the same server, which is away on
// its own: for clients that know two servers and have to do with one.
func (s *Server) SecondAddr() string { return s.doors.sql[1].Addr().String() }

// SetDoor makes the first or the second SQL address away, hang, or be back; the status
// port goes with the first. Behind an address that is away, statements are not ended
// as they are with a process that dies: TiDB finds out that their client has gone.
func (s *Server) SetDoor(second bool, to door.State) error { return s.doors.set(second, to) }

// StatusAddr returns host:port of the HTTP status port.
func (s *Server) StatusAddr() string {
	return net.JoinHostPort(s.cfg.Status.StatusHost, strconv.FormatUint(uint64(s.cfg.Status.StatusPort), 10))
}

// Close lets running statements finish for a moment, then cancels them, gives
// the DDL ownership back and leaves the cluster. The cluster has to be up
// while it runs. Later calls return the first one's result.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	var errs []error
	if s.srv != nil {
		s.srv.Close()
		s.dom.StopAutoAnalyze()
		s.srv.DrainClients(drainWait, cancelWait)
		s.srv.KillSysProcesses()
		if err := <-s.runErr; err != nil {
			errs = append(errs, fmt.Errorf("TiDB listeners: %w", err))
		}
	}
	if s.dom != nil {
		tikv.StoreShuttingDown(1)
		s.dom.Close()
	}
	s.workers.Wait()
	if s.storage != nil {
		ddl.CloseOwnerManager()
	}
	copr.GlobalMPPFailedStoreProber.Stop()
	mppcoordmanager.InstanceMPPCoordinatorManager.Stop()
	if s.storage != nil {
		if err := s.storage.Close(); err != nil {
			errs = append(errs, fmt.Errorf("leave the cluster: %w", err))
		}
	}
	resourcemanager.InstanceResourceManager.Stop()
	cpuprofile.StopCPUProfiler()
	executor.Stop()
	disk.CleanUp()
	return errors.Join(append(errs, s.doors.close())...)
}
