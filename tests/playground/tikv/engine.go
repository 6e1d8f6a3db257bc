package tikv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pingcap/badger"
	"github.com/pingcap/badger/options"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/config"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/lockstore"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/pd"
	unistore "github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/mvcc"
)

const (
	kvDir     = "kv"         // badger's files
	locksFile = "locks.dump" // prewritten locks of a kept cluster, which unistore holds in memory
)

const lockArenaBytes = 8 << 20

// engine is the one storage engine of the cluster.
type engine struct {
	dir    string
	keep   bool
	bundle *mvcc.DBBundle
	mvcc   *unistore.MVCCStore
}

// openEngine opens or makes the data in dir. keep says that the data is to
// outlive the engine.
func openEngine(dir string, keep bool, opts Options) (_ *engine, err error) {
	if err := os.MkdirAll(filepath.Join(dir, kvDir), 0o750); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(filepath.Join(dir, downloadDir)); err != nil { // nobody knows these files any more
		return nil, err
	}
	conf := engineConfig(dir, keep)
	safePoint := &unistore.SafePoint{}
	db, err := badger.Open(badgerOptions(&conf.Engine, safePoint))
	if err != nil {
		return nil, fmt.Errorf("open badger in %s: %w", dir, err)
	}
	bundle := &mvcc.DBBundle{DB: db, LockStore: lockstore.NewMemStore(lockArenaBytes)}
	if keep {
		if _, err := bundle.LockStore.LoadFromFile(filepath.Join(dir, locksFile)); err != nil {
			return nil, errors.Join(fmt.Errorf("load locks: %w", err), db.Close())
		}
	}
	writer := unistore.NewDBWriter(bundle)
	store := unistore.NewMVCCStore(&conf, bundle, dir, safePoint, writer, pdStub{opts: opts})
	store.DeadlockDetectSvr.ChangeRole(unistore.Leader)
	store.StartDeadlockDetection(false)
	return &engine{dir: dir, keep: keep, bundle: bundle, mvcc: store}, nil
}

// engineConfig is unistore's configuration: small and without a synced log for
// data that is thrown away, flushed on close for data that is kept.
func engineConfig(dir string, keep bool) config.Config {
	conf := config.DefaultConf
	conf.Server.Raft = false
	e := &conf.Engine
	e.DBPath = dir
	e.ValueThreshold = 0 // all values in the tables
	e.SyncWrite = false
	e.VolatileMode = !keep
	e.CompactL0WhenClose = false
	e.NumCompactors = 1
	e.MaxMemTableSize = 64 << 20
	e.MaxTableSize = 32 << 20
	e.VlogFileSize = 64 << 20
	// An import fills level 0 faster than one compactor empties it; better a
	// few more tables to read than a store that stands still.
	e.NumL0Tables = 8
	e.NumL0TablesStall = 32
	return conf
}

func badgerOptions(conf *config.Engine, safePoint *unistore.SafePoint) badger.Options {
	o := badger.DefaultOptions
	o.Dir = filepath.Join(conf.DBPath, kvDir)
	o.ValueDir = o.Dir
	o.ManagedTxns = true
	o.SyncWrites = conf.SyncWrite
	o.VolatileMode = conf.VolatileMode
	o.ValueThreshold = conf.ValueThreshold
	o.ValueLogFileSize = conf.VlogFileSize
	o.ValueLogMaxNumFiles = 3
	o.MaxMemTableSize = conf.MaxMemTableSize
	o.NumMemtables = conf.NumMemTables
	o.NumLevelZeroTables = conf.NumL0Tables
	o.NumLevelZeroTablesStall = conf.NumL0TablesStall
	o.NumCompactors = conf.NumCompactors
	o.LevelOneSize = conf.L1Size
	o.CompactL0WhenClose = conf.CompactL0WhenClose
	o.MaxBlockCacheSize = 0 // tables are mapped, the page cache is enough
	o.MaxIndexCacheSize = 0
	o.TableBuilderOptions.MaxTableSize = conf.MaxTableSize
	o.TableBuilderOptions.SuRFStartLevel = conf.SurfStartLevel
	o.TableBuilderOptions.CompressionPerLevel = make([]options.CompressionType, o.TableBuilderOptions.MaxLevels)
	o.CompactionFilterFactory = safePoint.CreateCompactionFilter
	return o
}

// close ends the engine's work and writes down what shall be kept. No request
// may be under way.
func (e *engine) close() error {
	var errs []error
	errs = append(errs, e.mvcc.Close())
	if e.keep {
		errs = append(errs, e.bundle.LockStore.DumpToFile(filepath.Join(e.dir, locksFile), nil))
	}
	errs = append(errs, e.bundle.DB.Close())
	return errors.Join(errs...)
}

// pdStub is the part of PD that unistore's store itself asks for. The other
// methods of the interface belong to its own region managers, which are not
// used here, so the embedded interface stays nil.
type pdStub struct {
	pd.Client
	opts Options
}

const physicalShift = 18 // bits of the logical part of a timestamp

// GetTS returns a fresh timestamp as physical milliseconds and logical count.
func (p pdStub) GetTS(ctx context.Context) (int64, int64, error) {
	ts, err := p.opts.TSO(ctx)
	if err != nil {
		return 0, 0, err
	}
	return int64(ts >> physicalShift), int64(ts & (1<<physicalShift - 1)), nil
}

// GetGCSafePoint returns PD's safe point, 0 when there is none.
func (p pdStub) GetGCSafePoint(ctx context.Context) (uint64, error) {
	if p.opts.GCSafePoint == nil {
		return 0, nil
	}
	return p.opts.GCSafePoint(ctx)
}
