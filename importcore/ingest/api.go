package ingest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

// Pairs is a sorted, duplicate-free set of key-value pairs that can be read
// again and again: a range is read once per attempt to write it, by several
// goroutines at the same time. sortkv implements it.
type Pairs interface {
	// Iter reads the pairs whose raw key lies in [start, end) in ascending key
	// order. The caller closes the iterator.
	Iter(ctx context.Context, start, end []byte) (Iterator, error)
}

// Iterator walks over pairs. It is used by one goroutine.
type Iterator interface {
	// Next moves to the next pair, the first one at the first call; false at
	// the end or after an error.
	Next() bool
	// Key and Value return the present pair, valid until the next call of Next.
	Key() []byte
	Value() []byte
	// Err returns what made Next return false, nil at the regular end.
	Err() error
	// Close frees the iterator and may be called once at any time.
	Close() error
}

// Range is a piece of the key space and what the source holds in it.
type Range struct {
	// Start and End are raw keys: [Start, End). Neither may be empty.
	Start, End []byte
	// Bytes is the size of keys and values, Keys the number of pairs, both estimates.
	Bytes, Keys int64
}

// Cluster is what Run needs of a cluster; *cluster.Cluster implements it. All
// methods are safe for concurrent use and do their own retries.
type Cluster interface {
	// ScanRegions returns the regions that cover [start, end), enc keys, in key
	// order without holes, each with a leader.
	ScanRegions(ctx context.Context, start, end []byte) ([]region.Region, error)
	// SplitRegions makes every raw key the start of a region.
	SplitRegions(ctx context.Context, keys [][]byte) error
	// ScatterRegions spreads the regions that start in [start, end), raw keys,
	// over the stores and waits for a bounded time.
	ScatterRegions(ctx context.Context, start, end []byte) error
	// StoreConn returns the shared connection to a store's import service. The
	// caller must not close it.
	StoreConn(ctx context.Context, storeID uint64) (grpc.ClientConnInterface, error)
}

// ErrStopped is the error of a run that Options.Stop has ended.
var ErrStopped = errors.New("the ingest was stopped")

// Total is what a source holds, exactly.
type Total struct {
	Pairs, Bytes int64 // bytes of keys and values
}

// Options say how to ingest. The zero value of a field means its default.
type Options struct {
	// Concurrency is the number of ranges written at the same time; default 4.
	Concurrency int
	// RegionSplitSize in bytes and RegionSplitKeys bound what goes into one SST
	// of a region; defaults 96 MiB and 960,000.
	RegionSplitSize, RegionSplitKeys int64
	// CutBySize cuts regions only where RegionSplitSize lies between two cuts, so that what is small shares a region with others. Otherwise
	// they are cut at the borders of all ranges.
	CutBySize bool
	// WriteSpeedLimit is in bytes of keys and values per second and store; 0 is
	// no limit.
	WriteSpeedLimit int64
	// Care holds back further from stores that suffer.
	Care Care
	// Total is what the ranges hold together; a run that ingested anything else fails.
	Total Total
	// CommitTS is the timestamp of every pair. It must stay the same when a job
	// is repeated, which makes a second write of a pair harmless. Required.
	CommitTS uint64
	// MemoryBudget is in bytes for batches under way; it bounds the batch size
	// to a share of it per worker; default 64 MiB.
	MemoryBudget int64
	// Permit, if set, is asked right before every request that puts pairs into
	// the cluster, and Hold before every message with a part of an SST. Both may
	// wait; an error ends the run. They are called from several goroutines.
	Permit, Hold func(ctx context.Context) error
	// Stop, if set, ends the run when it is closed, at the next place where no work is
	// lost: SSTs that are written are ingested, others are not begun. The error is ErrStopped.
	Stop <-chan struct{}
	// Done, if set, is told each part of the ranges that is in the cluster for good,
	// with the pairs and bytes in it; together the parts are the ranges. The keys
	// are the callee's. It is called from several goroutines.
	Done func(start, end []byte, pairs, bytes int64)
	// Sent, if set, is told how many bytes of keys and values were given to the stores, each once: what is
	// sent again after an error isn't told again. Together these are Total. It is called from several goroutines.
	Sent func(bytes int64)
	// Waits, if set, counts for how long the run waited.
	Waits *Waits
	// Observer, if set, is told what the state machine does.
	Observer Observer
	// Logger is required.
	Logger *zap.Logger
	// Backoff says how errors are waited out; zero fields are defaults.
	Backoff Backoff
}

// Observer receives what metrics and tests want to see. Its methods are
// called from several goroutines and must not block.
type Observer interface {
	// Retried is called for every reaction to an error other than failing.
	Retried(kind Kind, next Stage)
	// Ingested is called for every SST that the leader took; wait is the time
	// from the first byte written to the leader's answer.
	Ingested(pairs, bytes int64, wait time.Duration)
	// Took is called for every StageWrite and StageIngest that went well.
	Took(stage Stage, took time.Duration)
}

// Waits is for how long the goroutines of runs waited, all together.
type Waits struct {
	// Store: for a store to take pairs, or to build and ingest an SST. Limit: for WriteSpeedLimit and Care.
	// Backoff: after errors.
	Store, Limit, Backoff Wait
}

// Wait is a time that several goroutines add to.
type Wait struct{ ns atomic.Int64 }

// Load returns the sum.
func (w *Wait) Load() time.Duration { return time.Duration(w.ns.Load()) }

// since adds the time since then.
func (w *Wait) since(then time.Time) { w.ns.Add(int64(time.Since(then))) }

// PairFrame is about what a message has for a pair beside key and value, in bytes. WriteSpeedLimit counts it.
const PairFrame = 6

// Stats is what a Run did.
type Stats struct {
	// Pairs and Bytes (keys and values) that are in the cluster, each once.
	Pairs, Bytes int64
	// SSTs is the number of successful ingests, Regions of regions they went to.
	SSTs, Regions int
	// Retries counts reactions to errors by kind.
	Retries map[Kind]int64
}
