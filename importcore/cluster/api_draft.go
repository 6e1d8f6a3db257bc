package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/meta/model"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/kv"
)

var errDraft = errors.New("cluster: under construction")

// Config says how to reach a cluster.
type Config struct {
	// TiDB are the SQL addresses (host:port), tried in turn. Required.
	TiDB []string
	// User and Password are the service account's. Never logged.
	User, Password string
	// PD are the client addresses (host:port) of PD; empty means ask the cluster.
	PD []string
	// StatusAddr is the status address (host:port) of one TiDB; "" means ask the cluster.
	StatusAddr string
	// Logger is required.
	Logger *zap.Logger
}

// Cluster is an open target cluster. It is safe for concurrent use.
type Cluster struct{}

// Open connects to the cluster and checks its version.
func Open(ctx context.Context, cfg Config) (*Cluster, error) { return nil, errDraft }

// Close releases the leases that are still held and then all connections.
func (c *Cluster) Close() error { return errDraft }

// Query runs one statement with the service account and returns its result.
func (c *Cluster) Query(ctx context.Context, sql string) (*mysql.Result, error) { return nil, errDraft }

// TSO returns a fresh timestamp of PD.
func (c *Cluster) TSO(ctx context.Context) (uint64, error) { return 0, errDraft }

// ScanRegions implements ingest.Cluster.
func (c *Cluster) ScanRegions(ctx context.Context, start, end []byte) ([]region.Region, error) {
	return nil, errDraft
}

// SplitRegions implements ingest.Cluster.
func (c *Cluster) SplitRegions(ctx context.Context, keys [][]byte) error { return errDraft }

// ScatterRegions implements ingest.Cluster.
func (c *Cluster) ScatterRegions(ctx context.Context, start, end []byte) error { return errDraft }

// StoreConn implements ingest.Cluster.
func (c *Cluster) StoreConn(ctx context.Context, storeID uint64) (grpc.ClientConnInterface, error) {
	return nil, errDraft
}

// LoadTable returns the table's schema as TiDB holds it, with column ids, and
// whether the cluster uses new collations. An unknown table is a User fault with code 1146.
func (c *Cluster) LoadTable(ctx context.Context, db, table string) (info *model.TableInfo, newCollation bool, err error) {
	return nil, false, errDraft
}

// CheckTableUnchanged returns an error if the table is not the one (id,
// columns, indexes, partitions) it was when LoadTable returned was.
func (c *Cluster) CheckTableUnchanged(ctx context.Context, db, table string, was *model.TableInfo) error {
	return errDraft
}

// TableIsEmpty reports whether the table has no rows.
func (c *Cluster) TableIsEmpty(ctx context.Context, db, table string) (bool, error) {
	return false, errDraft
}

// ChecksumTable returns ADMIN CHECKSUM TABLE of the table.
func (c *Cluster) ChecksumTable(ctx context.Context, db, table string) (kv.Checksum, error) {
	return kv.Checksum{}, errDraft
}

// Analyze collects the table's statistics.
func (c *Cluster) Analyze(ctx context.Context, db, table string) error { return errDraft }

// AutoIDs are the largest ids that an import used; 0 means none.
type AutoIDs struct {
	// RowID is the largest _tidb_rowid without shard bits.
	RowID int64
	// AutoIncrement is the largest value of the AUTO_INCREMENT column.
	AutoIncrement uint64
	// AutoRandom is the largest counter part of the AUTO_RANDOM column.
	AutoRandom int64
}

// RebaseAutoIDs makes the table's allocators go on after ids.
func (c *Cluster) RebaseAutoIDs(ctx context.Context, db, table string, ids AutoIDs) error {
	return errDraft
}

// RegionLimits are the sizes at which TiKV splits a region.
type RegionLimits struct {
	SplitSize int64 // bytes
	SplitKeys int64
}

// RegionLimits returns the largest limits over the TiKV stores.
func (c *Cluster) RegionLimits(ctx context.Context) (RegionLimits, error) {
	return RegionLimits{}, errDraft
}

// KeyRange is [Start, End) in raw keys.
type KeyRange struct{ Start, End []byte }

// Lease is a change to the cluster that ends by itself unless it is renewed.
type Lease struct{}

// LeaseInfo describes a held lease.
type LeaseInfo struct {
	Kind    string // "safe-point", "import-mode", "schedulers", "partition-range"
	ID      string // the cluster's name of it
	Owner   string
	Expires time.Time
}

// Release undoes the change; it is idempotent and does its work even if ctx is
// cancelled, bounded by a time limit of its own.
func (l *Lease) Release(ctx context.Context) error { return errDraft }

// Lost is closed when the lease could not be kept; Err says why.
func (l *Lease) Lost() <-chan struct{} { return nil }

// Err returns why the lease was lost, or nil.
func (l *Lease) Err() error { return nil }

// Info returns what is held.
func (l *Lease) Info() LeaseInfo { return LeaseInfo{} }

// AcquireSafePoint keeps data visible at ts from garbage collection. owner
// names the job and purpose ("job-12-checksum") and must be unique among the leases of its kind.
func (c *Cluster) AcquireSafePoint(ctx context.Context, owner string, ts uint64) (*Lease, error) {
	return nil, errDraft
}

// AcquireImportMode puts all stores into import mode.
func (c *Cluster) AcquireImportMode(ctx context.Context, owner string) (*Lease, error) {
	return nil, errDraft
}

// AcquireSchedulerPause keeps PD from moving and merging the regions of the ranges.
func (c *Cluster) AcquireSchedulerPause(ctx context.Context, owner string, ranges []KeyRange) (*Lease, error) {
	return nil, errDraft
}

// AcquirePartitionRange asks the stores to cut SSTs at the borders of the
// range while it is ingested; stores that can't are left alone.
func (c *Cluster) AcquirePartitionRange(ctx context.Context, owner string, rng KeyRange) (*Lease, error) {
	return nil, errDraft
}

// Leases returns what is held at the moment.
func (c *Cluster) Leases() []LeaseInfo { return nil }
