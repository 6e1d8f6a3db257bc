package tidb

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pingcap/tidb/pkg/bindinfo"
	"github.com/pingcap/tidb/pkg/config"
	"github.com/pingcap/tidb/pkg/ddl"
	"github.com/pingcap/tidb/pkg/executor"
	"github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	plannercore "github.com/pingcap/tidb/pkg/planner/core"
	"github.com/pingcap/tidb/pkg/session"
	"github.com/pingcap/tidb/pkg/session/txninfo"
	"github.com/pingcap/tidb/pkg/sessionctx/variable"
	"github.com/pingcap/tidb/pkg/statistics"
	"github.com/pingcap/tidb/pkg/util/chunk"
	"github.com/pingcap/tidb/pkg/util/deadlockhistory"
	"github.com/pingcap/tidb/pkg/util/kvcache"
	"github.com/pingcap/tidb/pkg/util/memory"
	"github.com/pingcap/tidb/pkg/util/versioninfo"
	"github.com/tikv/client-go/v2/tikv"
	"github.com/tikv/client-go/v2/txnkv/transaction"
)

// ReleaseVersion is the version that the server reports. The module was built
// without one, and both TiDB and its tools compare versions at start.
const ReleaseVersion = "v8.5.4"

// storeGlobalConfig makes TiDB's configuration for opts and publishes it.
// It must run before any other TiDB code that reads the configuration.
func storeGlobalConfig(opts Options, port, statusPort int) (*config.Config, error) {
	cfg := config.NewConfig()
	cfg.Store = "tikv"
	cfg.Path = opts.PDAddr
	cfg.Host = "127.0.0.1"
	cfg.AdvertiseAddress = "127.0.0.1"
	cfg.Port = uint(port)
	cfg.Socket = ""
	cfg.Status.StatusHost = "127.0.0.1"
	cfg.Status.StatusPort = uint(statusPort)
	cfg.ServerVersion = "8.0.11-TiDB-" + ReleaseVersion
	cfg.TiDBReleaseVersion = ReleaseVersion
	cfg.TiDBEdition = versioninfo.CommunityEdition
	cfg.IndexLimit = config.DefMaxOfIndexLimit // as much as an administrator may allow
	cfg.TempDir = filepath.Join(opts.Dir, "tmp")
	cfg.TempStoragePath = filepath.Join(opts.Dir, "tmp-storage")
	if opts.TxnTotalSizeLimit != 0 {
		cfg.Performance.TxnTotalSizeLimit = opts.TxnTotalSizeLimit
	}
	if opts.ServerVersion != "" {
		cfg.ServerVersion = opts.ServerVersion
	}
	setLog(cfg, opts)
	for _, dir := range []string{cfg.TempDir, cfg.TempStoragePath} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("temporary directory of TiDB: %w", err)
		}
	}
	if err := cfg.Valid(); err != nil {
		return nil, fmt.Errorf("configuration of TiDB: %w", err)
	}
	config.StoreGlobalConfig(cfg)
	return cfg, nil
}

func setLog(cfg *config.Config, opts Options) {
	cfg.Log.File.Filename = opts.LogFile
	// The slow log would otherwise go to a file in the working directory.
	cfg.Log.SlowQueryFile = filepath.Join(opts.Dir, "slow.log")
	if opts.LogLevel != "" {
		cfg.Log.Level = opts.LogLevel
	}
}

// applyConfig copies settings to the package variables that TiDB's parts read,
// as its command does between reading the configuration and opening the store.
func applyConfig(cfg *config.Config) error {
	applyVersion(cfg)
	if err := applyLeases(cfg); err != nil {
		return err
	}
	applyLimits(cfg)
	if err := applyMemory(cfg); err != nil {
		return err
	}
	applySysVars(cfg)
	return applyClient(cfg)
}

func applyVersion(cfg *config.Config) {
	mysql.ServerVersion = cfg.ServerVersion
	mysql.TiDBReleaseVersion = cfg.TiDBReleaseVersion
	versioninfo.TiDBEdition = cfg.TiDBEdition
	variable.SetSysVar(variable.Version, cfg.ServerVersion)
	variable.SetSysVar(variable.VersionComment,
		"TiDB Server (Apache License 2.0) "+cfg.TiDBEdition+" Edition, MySQL 8.0 compatible")
}

func applyLeases(cfg *config.Config) error {
	for _, lease := range []struct {
		name, value string
		set         func(time.Duration)
	}{
		{"lease", cfg.Lease, session.SetSchemaLease},
		{"stats-lease", cfg.Performance.StatsLease, session.SetStatsLease},
		{"plan-replayer-gc-lease", cfg.Performance.PlanReplayerGCLease, session.SetPlanReplayerGCLease},
		{"bind-info-lease", cfg.Performance.BindInfoLease, func(d time.Duration) { bindinfo.Lease = d }},
	} {
		d, err := time.ParseDuration(lease.value)
		if err != nil {
			return fmt.Errorf("setting %s of TiDB: %w", lease.name, err)
		}
		lease.set(d)
	}
	return nil
}

func applyLimits(cfg *config.Config) {
	if cfg.SplitTable {
		atomic.StoreUint32(&ddl.EnableSplitTableRegion, 1)
	}
	plannercore.AllowCartesianProduct.Store(cfg.Performance.CrossJoin)
	statistics.RatioOfPseudoEstimate.Store(cfg.Performance.PseudoEstimateRatio)
	if limit := cfg.Performance.TxnTotalSizeLimit; limit == config.DefTxnTotalSizeLimit {
		kv.TxnTotalSizeLimit.Store(config.SuperLargeTxnSize) // the session's memory tracker limits transactions
	} else {
		kv.TxnTotalSizeLimit.Store(limit)
	}
	kv.TxnEntrySizeLimit.Store(cfg.Performance.TxnEntrySizeLimit)
	deadlockhistory.GlobalDeadlockHistory.Resize(cfg.PessimisticTxn.DeadlockHistoryCapacity)
	txninfo.Recorder.ResizeSummaries(cfg.TrxSummary.TransactionSummaryCapacity)
	txninfo.Recorder.SetMinDuration(time.Duration(cfg.TrxSummary.TransactionIDDigestMinDuration) * time.Millisecond)
	chunk.InitChunkAllocSize(cfg.TiDBMaxReuseChunk, cfg.TiDBMaxReuseColumn)
}

func applyMemory(cfg *config.Config) error {
	memory.InitMemoryHook()
	total, err := memory.MemTotal()
	if err != nil {
		return fmt.Errorf("memory of the machine: %w", err)
	}
	plannercore.PreparedPlanCacheMaxMemory.Store(total)
	variable.MemoryUsageAlarmRatio.Store(cfg.Instance.MemoryUsageAlarmRatio)
	executor.GlobalDiskUsageTracker.SetBytesLimit(cfg.TempStorageQuota)
	executor.GlobalMemoryUsageTracker.SetBytesLimit(-1)
	kvcache.GlobalLRUMemUsageTracker.AttachToGlobalTracker(executor.GlobalMemoryUsageTracker)
	return nil
}

func applySysVars(cfg *config.Config) {
	variable.SetSysVar(variable.Port, strconv.FormatUint(uint64(cfg.Port), 10))
	variable.SetSysVar(variable.Socket, cfg.Socket)
	variable.SetSysVar(variable.DataDir, cfg.Path)
	variable.SetSysVar(variable.TiDBSlowQueryFile, cfg.Log.SlowQueryFile)
	if hostname, err := os.Hostname(); err == nil {
		variable.SetSysVar(variable.Hostname, hostname)
	}
}

func applyClient(cfg *config.Config) error {
	commitTimeout, err := time.ParseDuration(cfg.TiKVClient.CommitTimeout)
	if err != nil {
		return fmt.Errorf("setting commit-timeout of TiDB: %w", err)
	}
	atomic.StoreUint64(&transaction.CommitMaxBackoff, uint64(commitTimeout.Milliseconds()))
	liveness, err := time.ParseDuration(cfg.TiKVClient.StoreLivenessTimeout)
	if err != nil {
		return fmt.Errorf("setting store-liveness-timeout of TiDB: %w", err)
	}
	tikv.SetStoreLivenessTimeout(liveness)
	tikv.SetRegionCacheTTLSec(int64(cfg.TiKVClient.RegionCacheTTL))
	return nil
}
