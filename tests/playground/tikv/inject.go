package tikv

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

const (
	tikvService   = "/tikvpb.Tikv/"
	importService = "/import_sstpb.ImportSST/"
)

// interceptUnary plays faults in front of every unary RPC.
func (s *store) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	return s.guarded(ctx, req, next, info.FullMethod)
}

// interceptStream plays faults when a stream begins. Requests inside
// BatchCommands are looked at one by one, see batched.
func (s *store) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer s.recoverPanic(info.FullMethod, &err)
	if info.FullMethod == batchMethod {
		return next(srv, stream)
	}
	rule, ok := s.cluster.opts.Faults.Fire(s.id, info.FullMethod)
	if !ok {
		return next(srv, stream)
	}
	ctx := stream.Context()
	switch rule.Kind {
	case fault.Drop:
		return s.drop(ctx)
	case fault.DropAfter:
		return joinDrop(next(srv, stream), s.drop(ctx))
	case fault.Slow, fault.Hold:
		if err := wait(ctx, rule); err != nil {
			return err
		}
		return next(srv, stream)
	}
	return next(srv, &faultyStream{ServerStream: stream, kind: rule.Kind})
}

// faultyStream hands a fault that concerns a region to the stream's handler,
// which knows the region after the first message.
type faultyStream struct {
	grpc.ServerStream
	kind fault.Kind
}

type faultKindKey struct{}

// Context carries the kind to the handler, see streamFault.
func (f *faultyStream) Context() context.Context {
	return context.WithValue(f.ServerStream.Context(), faultKindKey{}, f.kind)
}

// streamFault returns the fault that interceptStream left for the handler.
func streamFault(ctx context.Context) (fault.Kind, bool) {
	k, ok := ctx.Value(faultKindKey{}).(fault.Kind)
	return k, ok
}

// batched runs a request of a BatchCommands stream with the faults of the
// single RPC and those of the stream.
func batched[Q, R any](ctx context.Context, s *store, method string, req Q, h func(context.Context, Q) (R, error)) (R, error) {
	resp, err := s.guarded(ctx, req, func(ctx context.Context, _ any) (any, error) { return h(ctx, req) },
		tikvService+method, batchMethod)
	r, _ := resp.(R)
	return r, err
}

// guarded plays a fault if there is one for the methods, the first of which is
// the RPC's own name, or else runs next.
func (s *store) guarded(ctx context.Context, req any, next grpc.UnaryHandler, methods ...string) (resp any, err error) {
	defer s.recoverPanic(methods[0], &err)
	rule, ok := s.cluster.opts.Faults.Fire(s.id, append(methods, coprocessorKind(req)...)...)
	if !ok {
		return next(ctx, req)
	}
	switch rule.Kind {
	case fault.Drop:
		return nil, s.drop(ctx)
	case fault.DropAfter:
		_, err := next(ctx, req)
		return nil, joinDrop(err, s.drop(ctx))
	case fault.Slow, fault.Hold:
		if err := wait(ctx, rule); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
	if d, ok := req.(*import_sstpb.DownloadRequest); ok {
		if resp := s.downloadFault(rule.Kind, d); resp != nil {
			return resp, nil
		}
		return next(ctx, req)
	}
	regErr := s.regionFault(rule.Kind, regionContext(req))
	if regErr == nil {
		return next(ctx, req)
	}
	resp, ok = responseWith(methods[0], regErr)
	if !ok {
		return nil, status.Errorf(codes.Unavailable, "injected fault %s", rule.Kind)
	}
	return resp, nil
}

// reqTypeAnalyze is the coprocessor's request type of ANALYZE.
const reqTypeAnalyze = 104

// coprocessorKind is a further name for some coprocessor requests.
func coprocessorKind(req any) []string {
	r, ok := req.(*coprocessor.Request)
	switch {
	case ok && r.Tp == reqTypeChecksum:
		return []string{tikvService + "Coprocessor/checksum"}
	case ok && r.Tp == reqTypeAnalyze:
		return []string{tikvService + "Coprocessor/analyze"}
	}
	return nil
}

// recoverPanic turns a panic of a handler, which may be unistore's, into a
// failed request and a violation: one bad request must not end the process
// that runs everybody's tests.
func (s *store) recoverPanic(method string, err *error) {
	if p := recover(); p != nil {
		*err = status.Error(codes.Internal, s.cluster.violate("store %d: panic in %s: %v\n%s", s.id, method, p, debug.Stack()).Error())
	}
}

// drop closes the connection that a request came by. The returned error is
// never seen by the client.
func (s *store) drop(ctx context.Context) error {
	if p, ok := peer.FromContext(ctx); ok {
		s.conns.drop(p.Addr.String())
	}
	return status.Error(codes.Unavailable, "injected fault: connection dropped")
}

func joinDrop(err, dropped error) error {
	if err != nil {
		return err
	}
	return dropped
}

// wait plays a fault that only takes time.
func wait(ctx context.Context, rule fault.Rule) error {
	var over <-chan time.Time
	if rule.Kind == fault.Slow {
		t := time.NewTimer(rule.Delay)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-over:
		return nil
	case <-rule.Removed():
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// regionFault makes the region error of a fault and the change that makes it
// true. Nil means that the request has no region that could be concerned.
func (s *store) regionFault(kind fault.Kind, ctx *kvrpcpb.Context) *errorpb.Error {
	r := s.regions.byID(ctx.GetRegionId())
	switch kind {
	case fault.ServerIsBusy:
		return &errorpb.Error{Message: "server is busy", ServerIsBusy: &errorpb.ServerIsBusy{Reason: "injected fault"}}
	case fault.DiskFull:
		return diskFull(s.id)
	case fault.Refused:
		return &errorpb.Error{Message: "region is in flashback", FlashbackInProgress: &errorpb.FlashbackInProgress{RegionId: ctx.GetRegionId()}}
	case fault.RegionNotFound:
		return regionNotFound(ctx.GetRegionId())
	case fault.NotLeader:
		if r == nil {
			return nil
		}
		if !s.regions.moveLeader(r.meta.Id, s.id) {
			return notLeader(r, 0)
		}
		return notLeader(r, s.regions.byID(r.meta.Id).leader.Load())
	case fault.EpochNotMatch:
		if now := s.regions.bumpEpoch(ctx.GetRegionId()); now != nil {
			return epochNotMatch(now, ctx.GetRegionEpoch())
		}
	}
	return nil
}

func diskFull(storeID uint64) *errorpb.Error {
	return &errorpb.Error{
		Message:  fmt.Sprintf("store %d disk full", storeID),
		DiskFull: &errorpb.DiskFull{StoreId: []uint64{storeID}, Reason: "disk full"},
	}
}

// regionContext returns the request's context, nil when it has none.
func regionContext(req any) *kvrpcpb.Context {
	if r, ok := req.(interface{ GetContext() *kvrpcpb.Context }); ok {
		return r.GetContext()
	}
	return nil
}

// responseTypes maps full method names to the message that answers them.
var responseTypes = func() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	add := func(service string, iface reflect.Type) {
		for i := range iface.NumMethod() {
			m := iface.Method(i)
			if m.Type.NumOut() == 2 {
				types[service+m.Name] = m.Type.Out(0).Elem()
			}
		}
	}
	add(tikvService, reflect.TypeFor[tikvpb.TikvServer]())
	add(importService, reflect.TypeFor[import_sstpb.ImportSSTServer]())
	return types
}()

// responseWith builds the answer to a method that carries a region error, in
// the field that the method has for it; false when it has none.
func responseWith(method string, regErr *errorpb.Error) (any, bool) {
	t, ok := responseTypes[method]
	if !ok {
		return nil, false
	}
	v := reflect.New(t)
	for _, field := range []string{"RegionError", "Error"} {
		f := v.Elem().FieldByName(field)
		if f.IsValid() && f.Type() == reflect.TypeOf(regErr) {
			f.Set(reflect.ValueOf(regErr))
			return v.Interface(), true
		}
	}
	return nil, false
}
