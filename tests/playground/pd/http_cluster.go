package pd

import (
	"net/http"
	"time"

	"github.com/pingcap/kvproto/pkg/pdpb"
)

// memberJSON is a member as PD's HTTP API shows it.
type memberJSON struct {
	Name          string   `json:"name"`
	MemberID      uint64   `json:"member_id"`
	PeerURLs      []string `json:"peer_urls"`
	ClientURLs    []string `json:"client_urls"`
	DeployPath    string   `json:"deploy_path"`
	BinaryVersion string   `json:"binary_version"`
	GitHash       string   `json:"git_hash"`
}

type membersJSON struct {
	Header     *pdpb.ResponseHeader `json:"header"`
	Members    []memberJSON         `json:"members"`
	Leader     memberJSON           `json:"leader"`
	EtcdLeader memberJSON           `json:"etcd_leader"`
}

type healthJSON struct {
	Name       string   `json:"name"`
	MemberID   uint64   `json:"member_id"`
	ClientURLs []string `json:"client_urls"`
	Health     bool     `json:"health"`
}

type statusJSON struct {
	BuildTS        string `json:"build_ts"`
	Version        string `json:"version"`
	GitHash        string `json:"git_hash"`
	StartTimestamp int64  `json:"start_timestamp"` // Unix seconds
}

type clusterStatusJSON struct {
	RaftBootstrapTime time.Time `json:"raft_bootstrap_time"`
	IsInitialized     bool      `json:"is_initialized"`
	ReplicationStatus string    `json:"replication_status"`
}

func (s *Server) memberJSON() memberJSON {
	m := s.member()
	return memberJSON{
		Name: m.Name, MemberID: m.MemberId, PeerURLs: m.PeerUrls, ClientURLs: m.ClientUrls,
		DeployPath: m.DeployPath, BinaryVersion: m.BinaryVersion, GitHash: m.GitHash,
	}
}

func (s *Server) routeCluster(handle func(string, apiFunc)) {
	handle("GET /pd/api/v1/version", func(*http.Request) (any, error) {
		return map[string]string{"version": s.opts.Version}, nil
	})
	handle("GET /pd/api/v1/status", func(*http.Request) (any, error) {
		return statusJSON{Version: s.opts.Version, StartTimestamp: s.started.Unix()}, nil
	})
	handle("GET /pd/api/v1/ping", func(*http.Request) (any, error) { return nil, nil })
	handle("GET /pd/ping", func(*http.Request) (any, error) { return nil, nil })
	handle("GET /pd/api/v1/health", s.getHealth)
	handle("GET /pd/health", s.getHealth)
	handle("GET /pd/api/v1/members", s.getMembers)
	handle("GET /pd/api/v1/leader", func(*http.Request) (any, error) { return s.memberJSON(), nil })
	handle("GET /pd/api/v1/cluster", func(*http.Request) (any, error) { return s.cluster(), nil })
	handle("GET /pd/api/v1/cluster/status", func(*http.Request) (any, error) {
		return clusterStatusJSON{RaftBootstrapTime: s.started, IsInitialized: s.bootstrapped()}, nil
	})
	// The answer of a PD that is not split into services.
	handle("GET /pd/api/v2/ms/", func(*http.Request) (any, error) {
		return nil, notFound("not support micro service")
	})
	handle("GET /pd/api/v2/keyspaces/{name}", s.getKeyspace)
}

func (s *Server) getHealth(*http.Request) (any, error) {
	m := s.member()
	return []healthJSON{{Name: m.Name, MemberID: m.MemberId, ClientURLs: m.ClientUrls, Health: true}}, nil
}

func (s *Server) getMembers(*http.Request) (any, error) {
	m := s.memberJSON()
	return membersJSON{Header: s.header(), Members: []memberJSON{m}, Leader: m, EtcdLeader: m}, nil
}

func (s *Server) getKeyspace(r *http.Request) (any, error) {
	if r.PathValue("name") != defaultKeyspaceName {
		return nil, notFound("keyspace does not exist")
	}
	k := s.defaultKeyspace()
	return map[string]any{
		"id": k.Id, "name": k.Name, "state": k.State.String(),
		"created_at": k.CreatedAt, "state_changed_at": k.StateChangedAt, "config": map[string]string{},
	}, nil
}
