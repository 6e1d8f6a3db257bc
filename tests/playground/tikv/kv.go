package tikv

import (
	"context"

	"github.com/pingcap/kvproto/pkg/coprocessor"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/mpp"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The methods below replace those of unistore that answer differently from
// TiKV, or that panic.

var _ tikvpb.TikvServer = (*store)(nil)

func unimplemented(method string) error {
	return status.Errorf(codes.Unimplemented, "%s is not served by this store", method)
}

// KvPrewrite implements tikvpb.TikvServer. No transaction commits in one phase
// or asynchronously here: unistore takes the commit timestamp first and shows
// the write, or its lock, afterwards. Whoever read in between at a later
// timestamp would be wrong, which TiKV prevents by locks in memory. A store
// may always ask for the two phases by an answer without timestamps.
func (s *store) KvPrewrite(ctx context.Context, req *kvrpcpb.PrewriteRequest) (*kvrpcpb.PrewriteResponse, error) {
	req.TryOnePc, req.UseAsyncCommit, req.Secondaries = false, false, nil
	return s.Server.KvPrewrite(ctx, req)
}

// SplitRegion implements tikvpb.TikvServer.
func (s *store) SplitRegion(_ context.Context, req *kvrpcpb.SplitRegionRequest) (*kvrpcpb.SplitRegionResponse, error) {
	return s.regions.splitRequest(s.id, req), nil
}

// Coprocessor implements tikvpb.TikvServer. Checksums are computed here,
// unistore's handler answers them with constants.
func (s *store) Coprocessor(ctx context.Context, req *coprocessor.Request) (*coprocessor.Response, error) {
	if req.Tp == reqTypeChecksum {
		return s.checksum(ctx, req), nil
	}
	return s.Server.Coprocessor(ctx, req)
}

// UnsafeDestroyRange implements tikvpb.TikvServer. Every store of the cluster
// is asked in turn; since they share the engine the first one does it all.
func (s *store) UnsafeDestroyRange(ctx context.Context, req *kvrpcpb.UnsafeDestroyRangeRequest) (*kvrpcpb.UnsafeDestroyRangeResponse, error) {
	if err := s.engine.destroyRange(ctx, req.StartKey, req.EndKey); err != nil {
		return &kvrpcpb.UnsafeDestroyRangeResponse{Error: err.Error()}, nil
	}
	s.regions.forget(req.StartKey, req.EndKey)
	return &kvrpcpb.UnsafeDestroyRangeResponse{}, nil
}

// GetHealthFeedback implements tikvpb.TikvServer.
func (s *store) GetHealthFeedback(context.Context, *kvrpcpb.GetHealthFeedbackRequest) (*kvrpcpb.GetHealthFeedbackResponse, error) {
	return &kvrpcpb.GetHealthFeedbackResponse{HealthFeedback: &kvrpcpb.HealthFeedback{
		StoreId:       s.id,
		FeedbackSeqNo: uint64(s.started.UnixMilli()),
		SlowScore:     1,
	}}, nil
}

// BroadcastTxnStatus implements tikvpb.TikvServer. It is a hint that TiKV may
// forget.
func (s *store) BroadcastTxnStatus(context.Context, *kvrpcpb.BroadcastTxnStatusRequest) (*kvrpcpb.BroadcastTxnStatusResponse, error) {
	return &kvrpcpb.BroadcastTxnStatusResponse{}, nil
}

// GetLockWaitInfo implements tikvpb.TikvServer. unistore does not expose its
// wait queue, so nobody is ever seen waiting.
func (s *store) GetLockWaitInfo(context.Context, *kvrpcpb.GetLockWaitInfoRequest) (*kvrpcpb.GetLockWaitInfoResponse, error) {
	return &kvrpcpb.GetLockWaitInfoResponse{}, nil
}

// Compact implements tikvpb.TikvServer: TiFlash only, as in TiKV.
func (s *store) Compact(context.Context, *kvrpcpb.CompactRequest) (*kvrpcpb.CompactResponse, error) {
	return nil, unimplemented("Compact")
}

// CheckLeader implements tikvpb.TikvServer; it is spoken between stores only.
func (s *store) CheckLeader(context.Context, *kvrpcpb.CheckLeaderRequest) (*kvrpcpb.CheckLeaderResponse, error) {
	return nil, unimplemented("CheckLeader")
}

// RawCompareAndSwap implements tikvpb.TikvServer.
func (s *store) RawCompareAndSwap(context.Context, *kvrpcpb.RawCASRequest) (*kvrpcpb.RawCASResponse, error) {
	return nil, unimplemented("RawCompareAndSwap")
}

// RawChecksum implements tikvpb.TikvServer.
func (s *store) RawChecksum(context.Context, *kvrpcpb.RawChecksumRequest) (*kvrpcpb.RawChecksumResponse, error) {
	return nil, unimplemented("RawChecksum")
}

// RawCoprocessor implements tikvpb.TikvServer.
func (s *store) RawCoprocessor(context.Context, *kvrpcpb.RawCoprocessorRequest) (*kvrpcpb.RawCoprocessorResponse, error) {
	return nil, unimplemented("RawCoprocessor")
}

// CoprocessorStream implements tikvpb.TikvServer.
func (s *store) CoprocessorStream(*coprocessor.Request, tikvpb.Tikv_CoprocessorStreamServer) error {
	return unimplemented("CoprocessorStream")
}

// DispatchMPPTask implements tikvpb.TikvServer: TiFlash only.
func (s *store) DispatchMPPTask(context.Context, *mpp.DispatchTaskRequest) (*mpp.DispatchTaskResponse, error) {
	return nil, unimplemented("DispatchMPPTask")
}

// CancelMPPTask implements tikvpb.TikvServer: TiFlash only.
func (s *store) CancelMPPTask(context.Context, *mpp.CancelTaskRequest) (*mpp.CancelTaskResponse, error) {
	return nil, unimplemented("CancelMPPTask")
}

// EstablishMPPConnection implements tikvpb.TikvServer: TiFlash only.
func (s *store) EstablishMPPConnection(*mpp.EstablishMPPConnectionRequest, tikvpb.Tikv_EstablishMPPConnectionServer) error {
	return unimplemented("EstablishMPPConnection")
}
