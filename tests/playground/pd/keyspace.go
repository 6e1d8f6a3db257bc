package pd

import (
	"context"
	"fmt"

	"github.com/pingcap/kvproto/pkg/keyspacepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
)

const (
	defaultKeyspaceName = "DEFAULT"
	defaultKeyspaceID   = 0
)

// keyspaceService knows the one keyspace that every PD has; others cannot be
// made, everything else answers UNIMPLEMENTED.
type keyspaceService struct {
	keyspacepb.UnimplementedKeyspaceServer
	*Server
}

func (s *Server) defaultKeyspace() *keyspacepb.KeyspaceMeta {
	return &keyspacepb.KeyspaceMeta{
		Id: defaultKeyspaceID, Name: defaultKeyspaceName, State: keyspacepb.KeyspaceState_ENABLED,
		CreatedAt: s.started.Unix(), StateChangedAt: s.started.Unix(),
	}
}

// LoadKeyspace implements keyspacepb.KeyspaceServer.
func (s *keyspaceService) LoadKeyspace(_ context.Context, req *keyspacepb.LoadKeyspaceRequest) (*keyspacepb.LoadKeyspaceResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if req.GetName() != defaultKeyspaceName {
		msg := fmt.Sprintf("keyspace %s does not exist", req.GetName())
		return &keyspacepb.LoadKeyspaceResponse{Header: s.errorHeader(pdpb.ErrorType_ENTRY_NOT_FOUND, msg)}, nil
	}
	return &keyspacepb.LoadKeyspaceResponse{Header: s.header(), Keyspace: s.defaultKeyspace()}, nil
}

// GetAllKeyspaces implements keyspacepb.KeyspaceServer.
func (s *keyspaceService) GetAllKeyspaces(_ context.Context, req *keyspacepb.GetAllKeyspacesRequest) (*keyspacepb.GetAllKeyspacesResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	resp := &keyspacepb.GetAllKeyspacesResponse{Header: s.header()}
	if req.GetStartId() == defaultKeyspaceID {
		resp.Keyspaces = []*keyspacepb.KeyspaceMeta{s.defaultKeyspace()}
	}
	return resp, nil
}
