package pd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	keyTimestamp = "timestamp"
	logicalBits  = 18
	maxLogical   = int64(1) << logicalBits
	// tsoSaveAhead is how far the limit in etcd runs ahead of what was given,
	// so that only one request in three seconds writes.
	tsoSaveAhead = 3 * time.Second
	// tsoResetLimit is how far an unforced reset may go ahead.
	tsoResetLimit = 24 * time.Hour
)

var (
	errResetSmaller = errors.New("the specified ts is smaller than now")
	errResetTooFar  = errors.New("the specified ts is too larger than now")
)

// timestamp is physical_ms<<18 | logical taken apart.
type timestamp struct {
	physical int64 // Unix milliseconds
	logical  int64
}

func (t timestamp) ts() uint64 { return uint64(t.physical)<<logicalBits | uint64(t.logical) }

func (t timestamp) proto() *pdpb.Timestamp {
	return &pdpb.Timestamp{Physical: t.physical, Logical: t.logical}
}

func (t timestamp) time() time.Time { return time.UnixMilli(t.physical) }

// tsoAllocator gives timestamps that only grow, also over restarts on the same
// data: a limit in etcd is always above all that was given, and a new run
// starts above it. The physical part follows the clock, but goes ahead of it
// rather than repeat a timestamp.
type tsoAllocator struct {
	kv  *kvStore
	now func() time.Time

	// mu is held over the write to etcd: no timestamp above the saved limit
	// may leave before the limit is moved.
	mu struct {
		sync.Mutex
		last  timestamp
		saved int64 // Unix milliseconds, exclusive
	}
}

func newTSOAllocator(ctx context.Context, kv *kvStore, now func() time.Time) (*tsoAllocator, error) {
	t := &tsoAllocator{kv: kv, now: now}
	data, err := kv.get(ctx, keyTimestamp)
	if err != nil {
		return nil, err
	}
	if data != nil {
		if len(data) != 8 {
			return nil, fmt.Errorf("%s holds %d bytes, want 8", keyTimestamp, len(data))
		}
		t.mu.saved = int64(binary.BigEndian.Uint64(data))
	}
	t.mu.last.physical = max(now().UnixMilli(), t.mu.saved)
	return t, t.saveLocked(ctx, t.mu.last.physical)
}

// saveLocked moves the limit ahead of physical. Called by the constructor
// before the allocator is shared, else with mu held.
func (t *tsoAllocator) saveLocked(ctx context.Context, physical int64) error {
	limit := physical + tsoSaveAhead.Milliseconds()
	if err := t.kv.put(ctx, keyTimestamp, binary.BigEndian.AppendUint64(nil, uint64(limit))); err != nil {
		return fmt.Errorf("save the timestamp limit: %w", err)
	}
	t.mu.saved = limit
	return nil
}

// alloc reserves count timestamps and returns the last, largest one; the range
// is (logical-count, logical].
func (t *tsoAllocator) alloc(ctx context.Context, count uint32) (timestamp, error) {
	if count == 0 || int64(count) >= maxLogical {
		return timestamp{}, fmt.Errorf("tso count should be between 1 and %d, got %d", maxLogical-1, count)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.mu.last
	if now := t.now().UnixMilli(); now > next.physical {
		next = timestamp{physical: now}
	}
	next.logical += int64(count)
	if next.logical >= maxLogical {
		next = timestamp{physical: next.physical + 1, logical: int64(count)}
	}
	if next.physical >= t.mu.saved {
		if err := t.saveLocked(ctx, next.physical); err != nil {
			return timestamp{}, err
		}
	}
	t.mu.last = next
	return next, nil
}

// current is what the next timestamp will be at least, without giving one.
func (t *tsoAllocator) current() timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.now().UnixMilli(); now > t.mu.last.physical {
		return timestamp{physical: now}
	}
	return t.mu.last
}

// reset raises the timestamp to ts. With force a smaller ts is ignored and any
// larger one accepted; without, both a smaller one and one more than a day
// ahead are errors.
func (t *tsoAllocator) reset(ctx context.Context, ts uint64, force bool) error {
	want := timestamp{physical: int64(ts >> logicalBits), logical: int64(ts & uint64(maxLogical-1))}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ts <= t.mu.last.ts() {
		if force {
			return nil
		}
		return errResetSmaller
	}
	if !force && want.physical-t.mu.last.physical > tsoResetLimit.Milliseconds() {
		return errResetTooFar
	}
	if err := t.saveLocked(ctx, want.physical); err != nil {
		return err
	}
	t.mu.last = want
	return nil
}

// Tso implements pdpb.PDServer.
func (s *pdService) Tso(stream pdpb.PD_TsoServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.check(req.GetHeader()); err != nil {
			return err
		}
		last, err := s.tso.alloc(stream.Context(), req.GetCount())
		if err != nil {
			return status.Error(codes.Unknown, err.Error())
		}
		resp := &pdpb.TsoResponse{Header: s.header(), Count: req.GetCount(), Timestamp: last.proto()}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// GetMinTS implements pdpb.PDServer. There is one allocator, so the minimum
// over all is a fresh timestamp.
func (s *pdService) GetMinTS(ctx context.Context, req *pdpb.GetMinTSRequest) (*pdpb.GetMinTSResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	last, err := s.tso.alloc(ctx, 1)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.GetMinTSResponse{Header: s.header(), Timestamp: last.proto()}, nil
}

// SyncMaxTS implements pdpb.PDServer. Its one use is to bring allocators of
// several data centres together: a larger timestamp raises ours, an empty
// request reads it.
func (s *pdService) SyncMaxTS(ctx context.Context, req *pdpb.SyncMaxTSRequest) (*pdpb.SyncMaxTSResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	resp := &pdpb.SyncMaxTSResponse{Header: s.header()}
	if m := req.GetMaxTs(); m != nil && m.GetPhysical() != 0 {
		want := timestamp{physical: m.GetPhysical(), logical: m.GetLogical()}
		if err := s.tso.reset(ctx, want.ts(), true); err != nil {
			return nil, status.Error(codes.Unknown, err.Error())
		}
		return resp, nil
	}
	resp.MaxLocalTs = s.tso.current().proto()
	return resp, nil
}

// GetDCLocationInfo implements pdpb.PDServer: without local allocators the
// suffix is 0 and the maximum is the global one.
func (s *pdService) GetDCLocationInfo(_ context.Context, req *pdpb.GetDCLocationInfoRequest) (*pdpb.GetDCLocationInfoResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	return &pdpb.GetDCLocationInfoResponse{Header: s.header(), MaxTs: s.tso.current().proto()}, nil
}
