package pd

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const keyExternalTS = "external_timestamp"

// SetExternalTimestamp implements pdpb.PDServer: it never goes back and never
// beyond the present.
func (s *pdService) SetExternalTimestamp(ctx context.Context, req *pdpb.SetExternalTimestampRequest) (*pdpb.SetExternalTimestampResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	now, err := s.tso.alloc(ctx, 1)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	old, err := s.externalTimestamp(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	ts := req.GetTimestamp()
	if ts > now.ts() || ts < old {
		msg := fmt.Sprintf("the external timestamp %d must lie between the last one %d and now %d", ts, old, now.ts())
		return &pdpb.SetExternalTimestampResponse{Header: s.errorHeader(pdpb.ErrorType_INVALID_VALUE, msg)}, nil
	}
	if err := s.kv.putJSON(ctx, keyExternalTS, ts); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.SetExternalTimestampResponse{Header: s.header()}, nil
}

// GetExternalTimestamp implements pdpb.PDServer.
func (s *pdService) GetExternalTimestamp(ctx context.Context, req *pdpb.GetExternalTimestampRequest) (*pdpb.GetExternalTimestampResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	ts, err := s.externalTimestamp(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.GetExternalTimestampResponse{Header: s.header(), Timestamp: ts}, nil
}

func (s *Server) externalTimestamp(ctx context.Context) (uint64, error) {
	var ts uint64
	_, err := s.kv.getJSON(ctx, keyExternalTS, &ts)
	return ts, err
}
