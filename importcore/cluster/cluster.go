package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	pd "github.com/tikv/pd/client"
	pdhttp "github.com/tikv/pd/client/http"
	"go.uber.org/zap"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Config says how to reach a cluster.
type Config struct {
	// TiDB are the SQL addresses (host:port), tried in turn. Required.
	TiDB []string
	// User and Password are the service account's. Never logged.
	User, Password string
	// PD are the client addresses (host:port) of PD; empty means ask TiDB.
	PD []string
	// StatusAddr is the status address (host:port) of one TiDB; "" means ask TiDB.
	StatusAddr string
	// Ledger is where changes to the cluster are noted; nil means nowhere.
	Ledger Ledger
	// Logger is required.
	Logger *zap.Logger
}

// pdAPI is what is used of PD's gRPC client.
type pdAPI interface {
	GetClusterID(ctx context.Context) uint64
	GetTS(ctx context.Context) (physical, logical int64, err error)
	GetTSAsync(ctx context.Context) pd.TSFuture
	ScanRegions(ctx context.Context, key, endKey []byte, limit int, opts ...pd.GetRegionOption) ([]*pd.Region, error)
	GetRegionByID(ctx context.Context, id uint64, opts ...pd.GetRegionOption) (*pd.Region, error)
	GetStore(ctx context.Context, id uint64) (*metapb.Store, error)
	GetAllStores(ctx context.Context, opts ...pd.GetStoreOption) ([]*metapb.Store, error)
	ScatterRegions(ctx context.Context, ids []uint64, opts ...pd.RegionsOption) (*pdpb.ScatterRegionResponse, error)
	GetOperator(ctx context.Context, id uint64) (*pdpb.GetOperatorResponse, error)
	UpdateServiceGCSafePoint(ctx context.Context, id string, ttl int64, safePoint uint64) (uint64, error)
	Close()
}

// labelAPI is what is used of PD's HTTP client.
type labelAPI interface {
	SetRegionLabelRule(ctx context.Context, rule *pdhttp.LabelRule) error
	PatchRegionLabelRules(ctx context.Context, patch *pdhttp.LabelRulePatch) error
	Close()
}

// Cluster is an open target cluster. It is safe for concurrent use.
type Cluster struct {
	cfg    Config
	log    *zap.Logger
	sql    *sqlconn.Pool
	status *http.Client
	ports  statusPorts
	// collations is what newCollation has found, 0 before.
	collations atomic.Int32
	pd         pdAPI
	labels     labelAPI
	admin      adminAPI
	pdAt       []string // PD's client addresses as of Open
	stores     *storePool
	probes     *storePool // for Probe, without what jobs send
	keeper     *keeper
	mode       importMode
	kv         kvClient
}

const (
	// sessions is how many connections to TiDB there are at most: the many that create tables, and some for everything else.
	sessions       = 80
	pdSource       = "sluice"
	pdTimeout      = 10 * time.Second
	statusTimeout  = 20 * time.Second
	releaseTimeout = 30 * time.Second
)

// Open connects to the cluster and checks that its version is supported. ctx
// bounds only the opening. The caller closes the Cluster.
func Open(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	if len(cfg.TiDB) == 0 {
		return nil, fault.New(fault.User, 0, "no address of a TiDB server is configured")
	}
	c := newCluster(cfg)
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	if err := c.checkTiDBVersion(ctx); err != nil {
		return nil, err
	}
	addrs, err := c.pdAddrs(ctx)
	if err != nil {
		return nil, err
	}
	c.pdAt = addrs
	if err := c.openPD(ctx, addrs); err != nil {
		return nil, failed(err, "connect to PD at %s", strings.Join(addrs, ","))
	}
	if err := c.checkStoreVersions(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func newCluster(cfg Config) *Cluster {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	c := &Cluster{
		cfg:    cfg,
		log:    cfg.Logger,
		sql:    sqlconn.New(sqlconn.Config{Addrs: cfg.TiDB, User: cfg.User, Password: cfg.Password, Sessions: sessions}),
		status: &http.Client{Timeout: statusTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
		keeper: newKeeper(cfg.Logger, cfg.Ledger),
		mode:   importMode{turn: make(chan struct{}, 1)},
	}
	lookup := func(ctx context.Context, id uint64) (*metapb.Store, error) { return c.pd.GetStore(ctx, id) }
	c.stores, c.probes = newStorePool(lookup), newStorePool(lookup)
	return c
}

// ID returns the number that PD has given the cluster.
func (c *Cluster) ID() uint64 { return c.pd.GetClusterID(context.Background()) }

// openPD connects to PD. The clients live until Close, not until ctx ends.
func (c *Cluster) openPD(ctx context.Context, addrs []string) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	grpcClient, err := pd.NewClientWithContext(life, addrs, pd.SecurityOption{},
		pd.WithCustomTimeoutOption(pdTimeout), pd.WithMaxErrorRetry(3))
	if err != nil {
		stop()
		cancel()
		return err
	}
	if !stop() {
		grpcClient.Close()
		cancel()
		return context.Cause(ctx)
	}
	c.pd = pdConn{grpcClient, cancel}
	httpClient := pdhttp.NewClientWithServiceDiscovery(pdSource, grpcClient.GetServiceDiscovery())
	c.labels, c.admin = httpClient, httpClient
	return nil
}

// pdConn ends the client's life with its Close.
type pdConn struct {
	pd.Client
	cancel context.CancelFunc
}

// Close implements pdAPI.
func (p pdConn) Close() {
	p.Client.Close()
	p.cancel()
}

// Close releases the leases that are still held and then all connections.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	errs := []error{c.keeper.releaseAll(ctx), c.stores.close(), c.probes.close()}
	errs = append(errs, c.kv.close())
	if c.labels != nil {
		c.labels.Close()
	}
	if c.pd != nil {
		c.pd.Close()
	}
	errs = append(errs, c.sql.Close())
	c.status.CloseIdleConnections()
	return errors.Join(errs...)
}

// TSO returns a fresh timestamp of PD: milliseconds << 18 | logical counter.
func (c *Cluster) TSO(ctx context.Context) (uint64, error) {
	physical, logical, err := c.pd.GetTS(ctx)
	if err != nil {
		return 0, failed(err, "get a timestamp from PD")
	}
	return uint64(physical)<<18 + uint64(logical), nil
}

// minVersion is the oldest release that imports are tried on.
var minVersion = version{6, 5, 0}

func (c *Cluster) checkTiDBVersion(ctx context.Context) error {
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	return supportedTiDB(server)
}

// Server says what the server is, and its release.
func (c *Cluster) Server(ctx context.Context) (server sqlconn.Server, err error) {
	err = c.sql.Use(ctx, func(s *sqlconn.Session) (err error) {
		server, err = sqlconn.Identify(s)
		return err
	})
	if err != nil {
		return sqlconn.Server{}, failed(err, "ask TiDB for its version")
	}
	return server, nil
}

func supportedTiDB(s sqlconn.Server) error {
	if !s.TiDB {
		return fault.New(fault.Cluster, 0, "the server is not TiDB, its version is %q", s.Version)
	}
	return checkVersion("TiDB", s.Release)
}

func (c *Cluster) checkStoreVersions(ctx context.Context) error {
	stores, err := c.Stores(ctx)
	if err != nil {
		return err
	}
	return supportedStores(stores)
}

func supportedStores(stores []Store) error {
	for _, s := range stores {
		if err := checkVersion(fmt.Sprintf("store %d at %s", s.ID, s.Address), s.Version); err != nil {
			return err
		}
	}
	return nil
}

// Unsupported says what is too old in the cluster for imports, nil if nothing is.
// Open has looked before, but servers come and go. err is why it can't be told.
func (c *Cluster) Unsupported(ctx context.Context) (what, err error) {
	server, err := c.Server(ctx)
	if err != nil {
		return nil, err
	}
	if what := supportedTiDB(server); what != nil {
		return what, nil
	}
	stores, err := c.Stores(ctx)
	if err != nil {
		return nil, err
	}
	return supportedStores(stores), nil
}

// version is a release number.
type version [3]int

// parseVersion reads "v8.5.4", "8.5.4" and both with a suffix.
func parseVersion(text string) (v version, ok bool) {
	n, _ := fmt.Sscanf(strings.TrimPrefix(text, "v"), "%d.%d.%d", &v[0], &v[1], &v[2])
	return v, n == 3
}

func (v version) less(o version) bool {
	for i := range v {
		if v[i] != o[i] {
			return v[i] < o[i]
		}
	}
	return false
}

func checkVersion(what, text string) error {
	v, ok := parseVersion(text)
	switch {
	case !ok:
		return fault.New(fault.Cluster, 0, "the version %q of %s can't be read", text, what)
	case v.less(minVersion):
		return fault.New(fault.Cluster, 0, "%s is version %s, imports need v%d.%d.%d or later",
			what, text, minVersion[0], minVersion[1], minVersion[2])
	}
	return nil
}
