package pd

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/pingcap/kvproto/pkg/metapb"
)

// disconnectAfter is how long a store may be silent before it counts as
// disconnected.
const disconnectAfter = 20 * time.Second

type labelJSON struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type metaStoreJSON struct {
	ID             uint64      `json:"id"`
	Address        string      `json:"address"`
	State          int32       `json:"state,omitempty"`
	Labels         []labelJSON `json:"labels,omitempty"`
	Version        string      `json:"version"`
	PeerAddress    string      `json:"peer_address,omitempty"`
	StatusAddress  string      `json:"status_address,omitempty"`
	GitHash        string      `json:"git_hash,omitempty"`
	StartTimestamp int64       `json:"start_timestamp,omitempty"`
	DeployPath     string      `json:"deploy_path,omitempty"`
	LastHeartbeat  int64       `json:"last_heartbeat,omitempty"` // Unix nanoseconds
	NodeState      int32       `json:"node_state,omitempty"`
	StateName      string      `json:"state_name"`
}

type storeStatusJSON struct {
	Capacity        string    `json:"capacity"`
	Available       string    `json:"available"`
	UsedSize        string    `json:"used_size"`
	LeaderCount     int       `json:"leader_count"`
	LeaderWeight    float64   `json:"leader_weight"`
	LeaderScore     float64   `json:"leader_score"`
	LeaderSize      int64     `json:"leader_size"` // MiB
	RegionCount     int       `json:"region_count"`
	RegionWeight    float64   `json:"region_weight"`
	RegionScore     float64   `json:"region_score"`
	RegionSize      int64     `json:"region_size"` // MiB
	SlowScore       uint64    `json:"slow_score"`
	StartTS         time.Time `json:"start_ts"`
	LastHeartbeatTS time.Time `json:"last_heartbeat_ts"`
	Uptime          string    `json:"uptime"`
}

type storeJSON struct {
	Store  metaStoreJSON   `json:"store"`
	Status storeStatusJSON `json:"status"`
}

type storesJSON struct {
	Count  int         `json:"count"`
	Stores []storeJSON `json:"stores"`
}

func (s *Server) routeStores(handle func(string, apiFunc)) {
	handle("GET /pd/api/v1/stores", s.getStores)
	handle("GET /pd/api/v1/store/{id}", func(r *http.Request) (any, error) {
		st, err := s.pathStore(r)
		if err != nil {
			return nil, err
		}
		return s.storeJSON(st), nil
	})
	handle("POST /pd/api/v1/store/{id}/label", s.postStoreLabel)
	handle("DELETE /pd/api/v1/store/{id}/label", s.deleteStoreLabel)
}

func (s *Server) pathStore(r *http.Request) (*metapb.Store, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest{err}
	}
	st := s.store(id)
	if st == nil {
		return nil, notFound(fmt.Sprintf("store %d not found", id))
	}
	return st, nil
}

// getStores lists the stores whose state is asked for with ?state=, by default
// Up and Offline.
func (s *Server) getStores(r *http.Request) (any, error) {
	states := []int32{int32(metapb.StoreState_Up), int32(metapb.StoreState_Offline)}
	if asked := r.URL.Query()["state"]; len(asked) > 0 {
		states = states[:0]
		for _, a := range asked {
			n, err := strconv.ParseInt(a, 10, 32)
			if err != nil {
				return nil, badRequest{err}
			}
			states = append(states, int32(n))
		}
	}
	out := storesJSON{Stores: []storeJSON{}}
	for _, st := range s.allStores() {
		if slices.Contains(states, int32(st.GetState())) {
			out.Stores = append(out.Stores, s.storeJSON(st))
		}
	}
	out.Count = len(out.Stores)
	return out, nil
}

func (s *Server) storeJSON(st *metapb.Store) storeJSON {
	meta := metaStoreJSON{
		ID: st.Id, Address: st.Address, State: int32(st.State), Version: st.Version,
		PeerAddress: st.PeerAddress, StatusAddress: st.StatusAddress, GitHash: st.GitHash,
		StartTimestamp: st.StartTimestamp, DeployPath: st.DeployPath, LastHeartbeat: st.LastHeartbeat,
		NodeState: int32(st.NodeState), StateName: s.stateName(st),
	}
	for _, l := range st.Labels {
		meta.Labels = append(meta.Labels, labelJSON{l.Key, l.Value})
	}
	out := storeJSON{Store: meta, Status: storeStatusJSON{
		LeaderWeight: 1, RegionWeight: 1, SlowScore: 1,
		StartTS: time.Unix(st.StartTimestamp, 0), LastHeartbeatTS: time.Unix(0, st.LastHeartbeat),
	}}
	out.Status.Uptime = out.Status.LastHeartbeatTS.Sub(out.Status.StartTS).Truncate(time.Second).String()
	s.fillUsage(st.Id, &out.Status)
	return out
}

func (s *Server) fillUsage(id uint64, out *storeStatusJSON) {
	stats := s.storeStats(id)
	out.Capacity = sizeText(stats.GetCapacity())
	out.Available = sizeText(stats.GetAvailable())
	out.UsedSize = sizeText(stats.GetUsedSize())
	for _, r := range s.topology().ScanRegions(nil, nil, 0) {
		size := approximateMiB(r)
		for _, p := range r.Meta.GetPeers() {
			if p.GetStoreId() == id {
				out.RegionCount++
				out.RegionSize += size
			}
		}
		if r.Leader.GetStoreId() == id {
			out.LeaderCount++
			out.LeaderSize += size
		}
	}
	out.LeaderScore, out.RegionScore = float64(out.LeaderCount), float64(out.RegionSize)
}

func (s *Server) stateName(st *metapb.Store) string {
	silent := s.opts.Now().Sub(time.Unix(0, st.LastHeartbeat))
	switch {
	case st.State == metapb.StoreState_Up && silent > 30*time.Minute:
		return "Down"
	case st.State == metapb.StoreState_Up && silent > disconnectAfter:
		return "Disconnected"
	}
	return st.State.String()
}

// sizeText writes bytes like PD: "1.5TiB", four digits at most.
func sizeText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	return fmt.Sprintf("%.4g%s", v, units[i])
}

func (s *Server) postStoreLabel(r *http.Request) (any, error) {
	st, err := s.pathStore(r)
	if err != nil {
		return nil, err
	}
	var labels map[string]string
	if err := readJSON(r, &labels); err != nil {
		return nil, err
	}
	if err := s.stores.setLabels(r.Context(), st.GetId(), labels); err != nil {
		return nil, err
	}
	return "The store's label is updated.", nil
}

func (s *Server) deleteStoreLabel(r *http.Request) (any, error) {
	st, err := s.pathStore(r)
	if err != nil {
		return nil, err
	}
	var key string
	if err := readJSON(r, &key); err != nil {
		return nil, err
	}
	if err := s.stores.setLabels(r.Context(), st.GetId(), map[string]string{key: ""}); err != nil {
		return nil, err
	}
	return fmt.Sprintf("The label %s is deleted for store %d.", key, st.GetId()), nil
}
