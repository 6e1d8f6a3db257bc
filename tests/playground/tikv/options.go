package tikv

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"go.uber.org/zap"
)

// Version is the release that the stores report.
const Version = "8.5.4"

// Defaults of TiKV 8.5, used when Options leave a field zero.
const (
	DefaultRegionSplitSize = 256 << 20
	DefaultRegionSplitKeys = 2_560_000
)

// maxStores bounds Options.Stores: PD keeps three replicas by default, and every
// region of the playground has a peer on every store.
const maxStores = 3

// Options describe a cluster to Start.
type Options struct {
	// Stores is how many stores there are, 1 to 3; 0 means 1.
	Stores int
	// DataDir keeps the data for the next Start. Empty means a temporary
	// directory that Close removes.
	DataDir string
	// RegionSplitSize (bytes) and RegionSplitKeys are what the status port
	// reports as the target size of a region; 0 means TiKV's default.
	RegionSplitSize int64
	RegionSplitKeys int64
	// ClusterID is what PD calls the cluster.
	ClusterID uint64
	// IDs hands out the ids of stores, regions and peers. Required.
	IDs topology.IDAllocator
	// TSO returns a fresh timestamp of the cluster. Required: async commit and
	// one-phase commit take their commit timestamps from it.
	TSO func(context.Context) (uint64, error)
	// GCSafePoint returns PD's GC safe point, which the store asks for once a
	// minute to drop old versions. Nil means that nothing is ever dropped.
	GCSafePoint func(context.Context) (uint64, error)
	// Faults are consulted before every request; nil means none.
	Faults *fault.Set
	// Logger may be nil.
	Logger *zap.Logger
}

func (o Options) withDefaults() Options {
	if o.Stores == 0 {
		o.Stores = 1
	}
	if o.RegionSplitSize == 0 {
		o.RegionSplitSize = DefaultRegionSplitSize
	}
	if o.RegionSplitKeys == 0 {
		o.RegionSplitKeys = DefaultRegionSplitKeys
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

// regionMaxSize is TiKV's region-max-size, in bytes, which is also the size of
// its backup files.
func (o Options) regionMaxSize() int64 { return o.RegionSplitSize * 3 / 2 }

func (o Options) validate() error {
	var errs []error
	if o.Stores < 1 || o.Stores > maxStores {
		errs = append(errs, fmt.Errorf("%d stores: want 1 to %d", o.Stores, maxStores))
	}
	if o.RegionSplitSize < 0 || o.RegionSplitKeys < 0 {
		errs = append(errs, errors.New("region split size and keys must not be negative"))
	}
	if o.IDs == nil {
		errs = append(errs, errors.New("no id allocator"))
	}
	if o.TSO == nil {
		errs = append(errs, errors.New("no timestamp source"))
	}
	return errors.Join(errs...)
}
