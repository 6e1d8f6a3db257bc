package tikv

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// defaultPartitionTTL is what a force-partition range without a TTL lives.
	defaultPartitionTTL = time.Hour
	// maxSuspend is TiKV's limit for one SuspendImportRPC.
	maxSuspend = 6 * time.Hour
)

// importer is the ImportSST service of one store. Upload, RawWrite and Apply
// answer Unimplemented, as does GetMode in TiKV itself.
type importer struct {
	import_sstpb.UnimplementedImportSSTServer
	store *store
	mode  importMode
	now   func() time.Time
	// written and ingested count for Cluster.Imported.
	written, ingested atomic.Int64
	// downloading are the files that are downloaded at the moment, each of which is in memory until it is written.
	downloading *semaphore.Weighted

	mu struct {
		sync.Mutex
		speedLimit   uint64        // bytes per second, 0 = none
		speed        *rate.Limiter // keeps to it; nil = none
		suspendedTil time.Time
		partitions   []partitionRange
		compacted    [][2][]byte // raw keys, the ends exclusive
		files        map[fileName]*sstFile
		busy         map[fileName]bool // being ingested
	}
}

// partitionRange is a force-partition range; keys are raw, end is exclusive.
type partitionRange struct {
	Start   []byte    `json:"start"`
	End     []byte    `json:"end"`
	Expires time.Time `json:"expires"`
}

func newImporter(s *store) *importer {
	im := &importer{store: s, now: time.Now, mode: importMode{now: time.Now}, downloading: semaphore.NewWeighted(importThreads)}
	im.mu.files = make(map[fileName]*sstFile)
	im.mu.busy = make(map[fileName]bool)
	return im
}

// SwitchMode implements import_sstpb.ImportSSTServer.
func (im *importer) SwitchMode(_ context.Context, req *import_sstpb.SwitchModeRequest) (*import_sstpb.SwitchModeResponse, error) {
	im.mode.set(req.Mode)
	return &import_sstpb.SwitchModeResponse{}, nil
}

// SetDownloadSpeedLimit implements import_sstpb.ImportSSTServer.
func (im *importer) SetDownloadSpeedLimit(_ context.Context, req *import_sstpb.SetDownloadSpeedLimitRequest) (*import_sstpb.SetDownloadSpeedLimitResponse, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.mu.speedLimit, im.mu.speed = req.SpeedLimit, newLimiter(req.SpeedLimit)
	return &import_sstpb.SetDownloadSpeedLimitResponse{}, nil
}

// dataPrefix stands before all keys of regions in TiKV's engine, which a Compact names as they are there.
const dataPrefix = 'z'

// Compact implements import_sstpb.ImportSSTServer. The range is recorded only: the engine compacts by itself. TiKV
// compacts nothing between keys that its engine can't have, and says nothing; here that is an error.
func (im *importer) Compact(_ context.Context, req *import_sstpb.CompactRequest) (*import_sstpb.CompactResponse, error) {
	keys, err := rawRange(req.Range)
	if err != nil {
		return nil, status.Errorf(codes.Unknown, "Engine(%q)", err)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.mu.compacted = append(im.mu.compacted, keys)
	return &import_sstpb.CompactResponse{}, nil
}

// rawRange returns a range of the engine's keys as raw ones; none is all of the store.
func rawRange(r *import_sstpb.Range) (keys [2][]byte, err error) {
	if r == nil {
		return keys, nil
	}
	for i, key := range [][]byte{r.Start, r.End} {
		if len(key) == 0 || key[0] != dataPrefix {
			return keys, fmt.Errorf("%x is no data key", key)
		}
		if keys[i], err = decodeKey(key[1:]); err != nil {
			return keys, err
		}
	}
	return keys, nil
}

// SuspendImportRPC implements import_sstpb.ImportSSTServer: ingests answer
// server_is_busy until the time is over.
func (im *importer) SuspendImportRPC(_ context.Context, req *import_sstpb.SuspendImportRPCRequest) (*import_sstpb.SuspendImportRPCResponse, error) {
	d := time.Duration(req.DurationInSecs) * time.Second
	if req.ShouldSuspendImports && (req.DurationInSecs > uint64(maxSuspend/time.Second) || d > maxSuspend) {
		return nil, status.Errorf(codes.Unknown, "Io(Custom { kind: InvalidInput, error: \"you are going to suspend the import RPCs too long. (for %d seconds, max acceptable duration is %d seconds)\" })",
			req.DurationInSecs, int(maxSuspend/time.Second))
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	resp := &import_sstpb.SuspendImportRPCResponse{AlreadySuspended: im.now().Before(im.mu.suspendedTil)}
	im.mu.suspendedTil = time.Time{}
	if req.ShouldSuspendImports {
		im.mu.suspendedTil = im.now().Add(d)
	}
	return resp, nil
}

// suspendedFor returns how long ingests are still refused, 0 if they are not.
func (im *importer) suspendedFor() time.Duration {
	im.mu.Lock()
	defer im.mu.Unlock()
	return max(im.mu.suspendedTil.Sub(im.now()), 0)
}

// AddForcePartitionRange implements import_sstpb.ImportSSTServer. The range is
// recorded only: the engine has no levels that could be cut by it.
func (im *importer) AddForcePartitionRange(_ context.Context, req *import_sstpb.AddPartitionRangeRequest) (*import_sstpb.AddPartitionRangeResponse, error) {
	start, end := req.GetRange().GetStart(), req.GetRange().GetEnd()
	if bytes.Compare(start, end) >= 0 {
		return nil, status.Error(codes.Unknown, "Engine(\"start key must be smaller than end key\")")
	}
	ttl := time.Duration(req.TtlSeconds) * time.Second
	if ttl == 0 {
		ttl = defaultPartitionTTL
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	im.removePartitionLocked(start, end)
	im.mu.partitions = append(im.mu.partitions, partitionRange{Start: start, End: end, Expires: im.now().Add(ttl)})
	return &import_sstpb.AddPartitionRangeResponse{}, nil
}

// RemoveForcePartitionRange implements import_sstpb.ImportSSTServer.
func (im *importer) RemoveForcePartitionRange(_ context.Context, req *import_sstpb.RemovePartitionRangeRequest) (*import_sstpb.RemovePartitionRangeResponse, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.removePartitionLocked(req.GetRange().GetStart(), req.GetRange().GetEnd())
	return &import_sstpb.RemovePartitionRangeResponse{}, nil
}

// removePartitionLocked drops the range and whatever has expired.
func (im *importer) removePartitionLocked(start, end []byte) {
	now := im.now()
	im.mu.partitions = slices.DeleteFunc(im.mu.partitions, func(p partitionRange) bool {
		return !now.Before(p.Expires) || (bytes.Equal(p.Start, start) && bytes.Equal(p.End, end))
	})
}

func (im *importer) forcePartitionRanges() []partitionRange {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.removePartitionLocked(nil, nil)
	return append([]partitionRange{}, im.mu.partitions...)
}

// Mode returns the import mode of a store.
func (c *Cluster) Mode(storeID uint64) (import_sstpb.SwitchMode, error) {
	s := c.store(storeID)
	if s == nil {
		return 0, fmt.Errorf("tikv: no store %d", storeID)
	}
	return s.imports.mode.get(), nil
}

// SpeedLimit returns the download speed limit of a store in bytes per second,
// 0 for none.
func (c *Cluster) SpeedLimit(storeID uint64) (uint64, error) {
	s := c.store(storeID)
	if s == nil {
		return 0, fmt.Errorf("tikv: no store %d", storeID)
	}
	s.imports.mu.Lock()
	defer s.imports.mu.Unlock()
	return s.imports.mu.speedLimit, nil
}

// Compacted returns the ranges of raw keys, the ends exclusive, that a store was asked to compact.
func (c *Cluster) Compacted(storeID uint64) ([][2][]byte, error) {
	s := c.store(storeID)
	if s == nil {
		return nil, fmt.Errorf("tikv: no store %d", storeID)
	}
	s.imports.mu.Lock()
	defer s.imports.mu.Unlock()
	return slices.Clone(s.imports.mu.compacted), nil
}

// Imported returns how many SSTs were written to or downloaded by a store, and how many requests
// to it have ingested some.
func (c *Cluster) Imported(storeID uint64) (written, ingested int64, err error) {
	s := c.store(storeID)
	if s == nil {
		return 0, 0, fmt.Errorf("tikv: no store %d", storeID)
	}
	return s.imports.written.Load(), s.imports.ingested.Load(), nil
}
