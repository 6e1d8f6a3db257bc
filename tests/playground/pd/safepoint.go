package pd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	keyGCSafePoint       = "gc/safe_point"
	keyServiceSafePoints = "gc/safe_point/service/"
	gcWorkerService      = "gc_worker"
)

var errGCWorkerReserved = errors.New("cannot remove service safe point of gc_worker")

// ServiceSafePoint is one service's hold on GC, as PD stores it.
type ServiceSafePoint struct {
	ServiceID string `json:"service_id"`
	ExpiredAt int64  `json:"expired_at"` // Unix seconds; the largest int64 means never
	SafePoint uint64 `json:"safe_point"`
}

// safePoints keeps the GC safe point and the services' ones with PD's rules:
// gc_worker's is always there and never expires; a service cannot register
// below the minimum of the living ones; expired ones go when read.
type safePoints struct {
	kv *kvStore
	mu sync.Mutex // one change at a time, over the accesses to etcd
}

func newSafePoints(kv *kvStore) *safePoints { return &safePoints{kv: kv} }

func (p *safePoints) gc(ctx context.Context) (uint64, error) {
	data, err := p.kv.get(ctx, keyGCSafePoint)
	if err != nil || data == nil {
		return 0, err
	}
	ts, err := strconv.ParseUint(string(data), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("decode %s: %w", keyGCSafePoint, err)
	}
	return ts, nil
}

// updateGC raises the GC safe point and returns it; a smaller one changes
// nothing.
func (p *safePoints) updateGC(ctx context.Context, ts uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := p.gc(ctx)
	if err != nil || ts <= old {
		return old, err
	}
	return ts, p.kv.put(ctx, keyGCSafePoint, []byte(strconv.FormatUint(ts, 16)))
}

// all lists what is stored, expired entries included.
func (p *safePoints) all(ctx context.Context) ([]*ServiceSafePoint, error) {
	return listJSON[*ServiceSafePoint](ctx, p.kv, keyServiceSafePoints)
}

func (p *safePoints) save(ctx context.Context, sp *ServiceSafePoint) error {
	if sp.ServiceID == "" {
		return errors.New("service id of service safepoint cannot be empty")
	}
	if sp.ServiceID == gcWorkerService && sp.ExpiredAt != math.MaxInt64 {
		return errors.New("TTL of gc_worker's service safe point must be infinity")
	}
	return p.kv.putJSON(ctx, keyServiceSafePoints+sp.ServiceID, sp)
}

// remove deletes a service's entry; a missing one is no error.
func (p *safePoints) remove(ctx context.Context, service string) error {
	if service == gcWorkerService {
		return errGCWorkerReserved
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kv.delete(ctx, keyServiceSafePoints+service)
}

// minLocked returns the smallest living entry, drops the expired ones and
// makes gc_worker's when it is missing.
func (p *safePoints) minLocked(ctx context.Context, now time.Time) (*ServiceSafePoint, error) {
	entries, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	var smallest *ServiceSafePoint
	hasGCWorker := false
	for _, sp := range entries {
		if sp.ServiceID == gcWorkerService {
			hasGCWorker = true
		}
		if sp.ExpiredAt < now.Unix() {
			if err := p.kv.delete(ctx, keyServiceSafePoints+sp.ServiceID); err != nil {
				return nil, err
			}
			continue
		}
		if smallest == nil || sp.SafePoint < smallest.SafePoint {
			smallest = sp
		}
	}
	if hasGCWorker && smallest != nil {
		return smallest, nil
	}
	worker := &ServiceSafePoint{ServiceID: gcWorkerService, ExpiredAt: math.MaxInt64}
	if smallest != nil {
		worker.SafePoint = smallest.SafePoint
	}
	return worker, p.save(ctx, worker)
}

// update registers service at safePoint for ttl seconds and returns the
// minimum over all services afterwards. A safe point below the minimum is not
// stored and is no error: the caller has to compare. ttl <= 0 only asks.
func (p *safePoints) update(ctx context.Context, service string, safePoint uint64, ttl int64, now time.Time) (*ServiceSafePoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	smallest, err := p.minLocked(ctx, now)
	if err != nil || ttl <= 0 || safePoint < smallest.SafePoint {
		return smallest, err
	}
	sp := &ServiceSafePoint{ServiceID: service, ExpiredAt: now.Unix() + ttl, SafePoint: safePoint}
	if math.MaxInt64-now.Unix() <= ttl {
		sp.ExpiredAt = math.MaxInt64
	}
	if err := p.save(ctx, sp); err != nil {
		return nil, err
	}
	if service != smallest.ServiceID {
		return smallest, nil
	}
	return p.minLocked(ctx, now)
}

// GetGCSafePoint implements pdpb.PDServer.
func (s *pdService) GetGCSafePoint(ctx context.Context, req *pdpb.GetGCSafePointRequest) (*pdpb.GetGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ts, err := s.safePoints.gc(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.GetGCSafePointResponse{Header: s.header(), SafePoint: ts}, nil
}

// UpdateGCSafePoint implements pdpb.PDServer; 0 reads it.
func (s *pdService) UpdateGCSafePoint(ctx context.Context, req *pdpb.UpdateGCSafePointRequest) (*pdpb.UpdateGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ts, err := s.safePoints.updateGC(ctx, req.GetSafePoint())
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.UpdateGCSafePointResponse{Header: s.header(), NewSafePoint: ts}, nil
}

// UpdateServiceGCSafePoint implements pdpb.PDServer. Service, TTL (seconds) and
// safe point of the answer are those of the minimum entry, not the caller's.
func (s *pdService) UpdateServiceGCSafePoint(ctx context.Context, req *pdpb.UpdateServiceGCSafePointRequest) (*pdpb.UpdateServiceGCSafePointResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if req.GetTTL() <= 0 {
		if err := s.safePoints.remove(ctx, string(req.GetServiceId())); err != nil {
			return nil, status.Error(codes.Unknown, err.Error())
		}
	}
	// Like PD, expiries are judged by the cluster's time, not the machine's.
	last, err := s.tso.alloc(ctx, 1)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	now := last.time()
	smallest, err := s.safePoints.update(ctx, string(req.GetServiceId()), req.GetSafePoint(), req.GetTTL(), now)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.UpdateServiceGCSafePointResponse{
		Header: s.header(), ServiceId: []byte(smallest.ServiceID),
		TTL: smallest.ExpiredAt - now.Unix(), MinSafePoint: smallest.SafePoint,
	}, nil
}
