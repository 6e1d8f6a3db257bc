package pd

import (
	"context"

	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pdService is the gRPC face of Server; what it does not override answers
// UNIMPLEMENTED.
type pdService struct {
	pdpb.UnimplementedPDServer
	*Server
}

var errNotLeader = status.Error(codes.Unavailable, "not leader")

// serving reports whether requests may be answered now.
func (s *Server) serving() error {
	if !s.ready.Load() || s.leaderAway.Load() {
		return errNotLeader
	}
	return nil
}

// check refuses a request as PD's validateRequest does: no leader, or a client
// that means another cluster.
func (s *Server) check(h *pdpb.RequestHeader) error {
	if err := s.serving(); err != nil {
		return err
	}
	if h.GetClusterId() != s.clusterID {
		return status.Errorf(codes.FailedPrecondition,
			"mismatch cluster id, need %d but got %d", s.clusterID, h.GetClusterId())
	}
	return nil
}

func (s *Server) header() *pdpb.ResponseHeader {
	return &pdpb.ResponseHeader{ClusterId: s.clusterID}
}

func (s *Server) errorHeader(t pdpb.ErrorType, message string) *pdpb.ResponseHeader {
	return &pdpb.ResponseHeader{ClusterId: s.clusterID, Error: &pdpb.Error{Type: t, Message: message}}
}

// member is the only member: this server.
func (s *Server) member() *pdpb.Member {
	return &pdpb.Member{
		Name:          memberName,
		MemberId:      uint64(s.etcd.Server.ID()),
		ClientUrls:    []string{"http://" + s.addr},
		PeerUrls:      []string{"http://" + s.etcd.Peers[0].Addr().String()},
		BinaryVersion: s.opts.Version,
		DeployPath:    s.opts.DataDir,
	}
}

// GetMembers implements pdpb.PDServer. It is how clients find the cluster's id,
// so the id of the request is not looked at; without a leader the members are
// listed all the same.
func (s *pdService) GetMembers(context.Context, *pdpb.GetMembersRequest) (*pdpb.GetMembersResponse, error) {
	if !s.ready.Load() {
		return nil, errNotLeader
	}
	m := s.member()
	resp := &pdpb.GetMembersResponse{Header: s.header(), Members: []*pdpb.Member{m}, EtcdLeader: m}
	if !s.leaderAway.Load() {
		resp.Leader = m
	}
	return resp, nil
}

// GetClusterInfo implements pdpb.PDServer: timestamps come from PD itself, not
// from a separate service.
func (s *pdService) GetClusterInfo(context.Context, *pdpb.GetClusterInfoRequest) (*pdpb.GetClusterInfoResponse, error) {
	if !s.ready.Load() {
		return nil, errNotLeader
	}
	return &pdpb.GetClusterInfoResponse{
		Header:       s.header(),
		ServiceModes: []pdpb.ServiceMode{pdpb.ServiceMode_PD_SVC_MODE},
	}, nil
}

// AllocID implements pdpb.PDServer.
func (s *pdService) AllocID(ctx context.Context, req *pdpb.AllocIDRequest) (*pdpb.AllocIDResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	id, err := s.ids.alloc(ctx)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.AllocIDResponse{Header: s.header(), Id: id}, nil
}

// GetClusterConfig implements pdpb.PDServer.
func (s *pdService) GetClusterConfig(_ context.Context, req *pdpb.GetClusterConfigRequest) (*pdpb.GetClusterConfigResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.GetClusterConfigResponse{Header: s.notBootstrapped()}, nil
	}
	return &pdpb.GetClusterConfigResponse{Header: s.header(), Cluster: s.cluster()}, nil
}

// PutClusterConfig implements pdpb.PDServer: the only thing in it is the
// number of replicas.
func (s *pdService) PutClusterConfig(ctx context.Context, req *pdpb.PutClusterConfigRequest) (*pdpb.PutClusterConfigResponse, error) {
	if err := s.check(req.GetHeader()); err != nil {
		return nil, err
	}
	if !s.bootstrapped() {
		return &pdpb.PutClusterConfigResponse{Header: s.notBootstrapped()}, nil
	}
	if n := req.GetCluster().GetMaxPeerCount(); n > 0 {
		if err := s.config.set(ctx, map[string]any{"replication.max-replicas": float64(n)}); err != nil {
			return &pdpb.PutClusterConfigResponse{Header: s.errorHeader(pdpb.ErrorType_UNKNOWN, err.Error())}, nil
		}
	}
	return &pdpb.PutClusterConfigResponse{Header: s.header()}, nil
}

func (s *Server) cluster() *metapb.Cluster {
	return &metapb.Cluster{Id: s.clusterID, MaxPeerCount: uint32(s.maxReplicas())}
}

func (s *Server) notBootstrapped() *pdpb.ResponseHeader {
	return s.errorHeader(pdpb.ErrorType_NOT_BOOTSTRAPPED, "cluster is not bootstrapped")
}
