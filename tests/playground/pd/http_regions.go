package pd

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

const (
	regionKeyPath = "/pd/api/v1/region/key/"
	// regionsLimit is how many regions a key scan returns unless told, and the
	// most it returns at all; -1 means all.
	regionsLimit    = 16
	regionsLimitMax = 10240
	// emptyRegionMiB is up to which approximate size a region counts as empty.
	emptyRegionMiB = 1
)

type peerJSON struct {
	ID        uint64 `json:"id"`
	StoreID   uint64 `json:"store_id"`
	Role      int32  `json:"role,omitempty"`
	IsLearner bool   `json:"is_learner,omitempty"`
	RoleName  string `json:"role_name"`
}

type epochJSON struct {
	ConfVer uint64 `json:"conf_ver"`
	Version uint64 `json:"version"`
}

type regionJSON struct {
	ID              uint64     `json:"id"`
	StartKey        string     `json:"start_key"` // upper-case hex
	EndKey          string     `json:"end_key"`
	Epoch           epochJSON  `json:"epoch"`
	Peers           []peerJSON `json:"peers"`
	Leader          peerJSON   `json:"leader"`
	CPUUsage        uint64     `json:"cpu_usage"`
	WrittenBytes    uint64     `json:"written_bytes"`
	ReadBytes       uint64     `json:"read_bytes"`
	WrittenKeys     uint64     `json:"written_keys"`
	ReadKeys        uint64     `json:"read_keys"`
	ApproximateSize int64      `json:"approximate_size"` // MiB
	ApproximateKeys int64      `json:"approximate_keys"`
}

type regionsJSON struct {
	Count   int          `json:"count"`
	Regions []regionJSON `json:"regions"`
}

type regionStatsJSON struct {
	Count            int              `json:"count"`
	EmptyCount       int              `json:"empty_count"`
	StorageSize      int64            `json:"storage_size"` // MiB
	UserStorageSize  int64            `json:"user_storage_size"`
	StorageKeys      int64            `json:"storage_keys"`
	StoreLeaderCount map[uint64]int   `json:"store_leader_count"`
	StorePeerCount   map[uint64]int   `json:"store_peer_count"`
	StoreLeaderSize  map[uint64]int64 `json:"store_leader_size"`
	StoreLeaderKeys  map[uint64]int64 `json:"store_leader_keys"`
	StorePeerSize    map[uint64]int64 `json:"store_peer_size"`
	StorePeerKeys    map[uint64]int64 `json:"store_peer_keys"`
}

func (s *Server) routeRegions(handle func(string, apiFunc)) {
	handle("GET /pd/api/v1/regions", func(*http.Request) (any, error) {
		return toRegionsJSON(s.topology().ScanRegions(nil, nil, 0)), nil
	})
	handle("GET /pd/api/v1/regions/count", func(*http.Request) (any, error) {
		return map[string]int{"count": len(s.topology().ScanRegions(nil, nil, 0))}, nil
	})
	handle("GET /pd/api/v1/regions/key", s.getRegionsByKey)
	handle("GET /pd/api/v1/regions/store/{id}", s.getRegionsByStore)
	handle("GET /pd/api/v1/regions/check/empty-region", s.getEmptyRegions)
	handle("GET /pd/api/v1/regions/replicated", s.getReplicated)
	handle("POST /pd/api/v1/regions/accelerate-schedule", acceptSchedule)
	handle("POST /pd/api/v1/regions/accelerate-schedule/batch", acceptSchedule)
	handle("GET /pd/api/v1/region/id/{id}", s.getRegionByID)
	handle("GET "+regionKeyPath+"{key}", s.getRegionByKey)
	handle("GET /pd/api/v1/stats/region", s.getRegionStats)
	handle("DELETE /pd/api/v1/operators", func(*http.Request) (any, error) {
		s.scatter.reset()
		return "The pending operator is canceled.", nil
	})
}

// approximateMiB is the size as PD keeps it: whole MiB, 1 for anything less.
func approximateMiB(r topology.Region) int64 {
	return max(1, r.ApproximateSize>>20)
}

func toPeerJSON(p *metapb.Peer) peerJSON {
	return peerJSON{
		ID: p.GetId(), StoreID: p.GetStoreId(), Role: int32(p.GetRole()),
		IsLearner: p.GetRole() == metapb.PeerRole_Learner, RoleName: p.GetRole().String(),
	}
}

func toRegionJSON(r topology.Region) regionJSON {
	out := regionJSON{
		ID:       r.Meta.GetId(),
		StartKey: strings.ToUpper(hex.EncodeToString(r.Meta.GetStartKey())),
		EndKey:   strings.ToUpper(hex.EncodeToString(r.Meta.GetEndKey())),
		Epoch: epochJSON{
			ConfVer: r.Meta.GetRegionEpoch().GetConfVer(), Version: r.Meta.GetRegionEpoch().GetVersion(),
		},
		Leader:          toPeerJSON(r.Leader),
		ApproximateSize: approximateMiB(r), ApproximateKeys: r.ApproximateKeys,
	}
	for _, p := range r.Meta.GetPeers() {
		out.Peers = append(out.Peers, toPeerJSON(p))
	}
	return out
}

func toRegionsJSON(regions []topology.Region) regionsJSON {
	out := regionsJSON{Count: len(regions), Regions: make([]regionJSON, 0, len(regions))}
	for _, r := range regions {
		out.Regions = append(out.Regions, toRegionJSON(r))
	}
	return out
}

// queryKey reads a key of the query: raw bytes, or hex with ?format=hex.
func queryKey(r *http.Request, name string) ([]byte, error) {
	return keyText(r.URL.Query().Get(name), r)
}

func keyText(text string, r *http.Request) ([]byte, error) {
	if r.URL.Query().Get("format") != "hex" {
		return []byte(text), nil
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, badRequest{err}
	}
	return key, nil
}

func (s *Server) getRegionsByKey(r *http.Request) (any, error) {
	start, err := queryKey(r, "key")
	if err != nil {
		return nil, err
	}
	end, err := queryKey(r, "end_key")
	if err != nil {
		return nil, err
	}
	limit := regionsLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil {
			return nil, badRequest{err}
		}
	}
	if limit > regionsLimitMax {
		limit = regionsLimitMax
	}
	return toRegionsJSON(s.topology().ScanRegions(start, end, limit)), nil
}

func (s *Server) filterRegions(keep func(topology.Region) bool) regionsJSON {
	var out []topology.Region
	for _, r := range s.topology().ScanRegions(nil, nil, 0) {
		if keep(r) {
			out = append(out, r)
		}
	}
	return toRegionsJSON(out)
}

func (s *Server) getRegionsByStore(r *http.Request) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest{err}
	}
	return s.filterRegions(func(r topology.Region) bool {
		for _, p := range r.Meta.GetPeers() {
			if p.GetStoreId() == id {
				return true
			}
		}
		return false
	}), nil
}

func (s *Server) getEmptyRegions(*http.Request) (any, error) {
	return s.filterRegions(func(r topology.Region) bool { return approximateMiB(r) <= emptyRegionMiB }), nil
}

// getReplicated tells whether a range has its replicas; peers never miss here.
func (s *Server) getReplicated(r *http.Request) (any, error) {
	for _, name := range []string{"startKey", "endKey"} {
		if _, err := hex.DecodeString(r.URL.Query().Get(name)); err != nil {
			return nil, badRequest{err}
		}
	}
	return "REPLICATED", nil
}

// acceptSchedule takes a hint on what to schedule first; nothing is scheduled
// here, so the hint has no effect, as on a PD with nothing to do.
func acceptSchedule(r *http.Request) (any, error) {
	var ranges any
	if err := readJSON(r, &ranges); err != nil {
		return nil, err
	}
	return "Accelerate regions scheduling in given ranges.", nil
}

func (s *Server) getRegionByID(r *http.Request) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest{err}
	}
	return oneRegion(s.topology().RegionByID(id)), nil
}

func (s *Server) getRegionByKey(r *http.Request) (any, error) {
	// Clients escape the key as for a query, with "+" for a space, which the
	// path's own decoding leaves alone.
	text, err := url.QueryUnescape(strings.TrimPrefix(r.URL.EscapedPath(), regionKeyPath))
	if err != nil {
		return nil, badRequest{err}
	}
	key, err := keyText(text, r)
	if err != nil {
		return nil, err
	}
	return oneRegion(s.topology().RegionByKey(key)), nil
}

// oneRegion answers null for an unknown region, with status 200.
func oneRegion(r topology.Region, ok bool) any {
	if !ok || r.Meta == nil {
		return nil
	}
	return toRegionJSON(r)
}

func (s *Server) getRegionStats(r *http.Request) (any, error) {
	start, err := queryKey(r, "start_key")
	if err != nil {
		return nil, err
	}
	end, err := queryKey(r, "end_key")
	if err != nil {
		return nil, err
	}
	regions := s.topology().ScanRegions(start, end, 0)
	out := regionStatsJSON{
		Count:            len(regions),
		StoreLeaderCount: map[uint64]int{}, StorePeerCount: map[uint64]int{},
		StoreLeaderSize: map[uint64]int64{}, StoreLeaderKeys: map[uint64]int64{},
		StorePeerSize: map[uint64]int64{}, StorePeerKeys: map[uint64]int64{},
	}
	if r.URL.Query().Has("count") {
		return out, nil
	}
	for _, reg := range regions {
		size := approximateMiB(reg)
		if size <= emptyRegionMiB {
			out.EmptyCount++
		}
		out.StorageSize += size
		out.UserStorageSize += size
		out.StorageKeys += reg.ApproximateKeys
		if id := reg.Leader.GetStoreId(); id != 0 {
			out.StoreLeaderCount[id]++
			out.StoreLeaderSize[id] += size
			out.StoreLeaderKeys[id] += reg.ApproximateKeys
		}
		for _, p := range reg.Meta.GetPeers() {
			out.StorePeerCount[p.GetStoreId()]++
			out.StorePeerSize[p.GetStoreId()] += size
			out.StorePeerKeys[p.GetStoreId()] += reg.ApproximateKeys
		}
	}
	return out, nil
}
