package pd

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/pingcap/kvproto/pkg/metapb"
)

type gcSafePointJSON struct {
	ServiceGCSafePoints   []*ServiceSafePoint `json:"service_gc_safe_points"`
	MinServiceGCSafePoint uint64              `json:"min_service_gc_safe_point,omitempty"`
	GCSafePoint           uint64              `json:"gc_safe_point"`
}

type minResolvedJSON struct {
	IsRealTime          bool              `json:"is_real_time,omitempty"`
	MinResolvedTS       uint64            `json:"min_resolved_ts"`
	PersistInterval     string            `json:"persist_interval,omitempty"`
	StoresMinResolvedTS map[uint64]uint64 `json:"stores_min_resolved_ts"`
}

func (s *Server) routeAdmin(handle func(string, apiFunc)) {
	handle("POST /pd/api/v1/admin/reset-ts", s.postResetTS)
	handle("GET /pd/api/v1/gc/safepoint", s.getSafePoints)
	handle("DELETE /pd/api/v1/gc/safepoint/{id}", s.deleteSafePoint)
	handle("GET /pd/api/v1/min-resolved-ts", s.getMinResolved)
	handle("GET /pd/api/v1/min-resolved-ts/{id}", s.getMinResolvedOfStore)
}

func (s *Server) postResetTS(r *http.Request) (any, error) {
	var in struct {
		TSO   string `json:"tso"`
		Force bool   `json:"force-use-larger"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	ts, err := strconv.ParseUint(in.TSO, 10, 64)
	if err != nil {
		return nil, badRequest{errors.New("invalid tso value")}
	}
	switch err := s.tso.reset(r.Context(), ts, in.Force); {
	case errors.Is(err, errResetSmaller), errors.Is(err, errResetTooFar):
		return nil, &httpError{http.StatusForbidden, err.Error()}
	case err != nil:
		return nil, &httpError{http.StatusServiceUnavailable, err.Error()}
	}
	return "Reset ts successfully.", nil
}

func (s *Server) getSafePoints(r *http.Request) (any, error) {
	gc, err := s.safePoints.gc(r.Context())
	if err != nil {
		return nil, err
	}
	all, err := s.safePoints.all(r.Context())
	if err != nil {
		return nil, err
	}
	out := gcSafePointJSON{ServiceGCSafePoints: all, GCSafePoint: gc}
	var smallest *ServiceSafePoint
	now := s.opts.Now().Unix()
	for _, sp := range all {
		if sp.ExpiredAt > now && (smallest == nil || sp.SafePoint < smallest.SafePoint) {
			smallest = sp
		}
	}
	if smallest != nil {
		out.MinServiceGCSafePoint = smallest.SafePoint
	}
	return out, nil
}

func (s *Server) deleteSafePoint(r *http.Request) (any, error) {
	if err := s.safePoints.remove(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	return "Delete service GC safepoint successfully.", nil
}

// getMinResolved answers for the cluster, or with ?scope= for "cluster" with
// its stores, or for a list of store ids. A store that never reported makes the
// minimum 0, upon which clients ask the store itself.
func (s *Server) getMinResolved(r *http.Request) (any, error) {
	stores := s.allStores()
	out := s.minResolved(stores)
	scope := r.URL.Query().Get("scope")
	if scope == "" {
		return out, nil
	}
	if scope != "cluster" {
		var err error
		if stores, err = pickStores(stores, scope); err != nil {
			return nil, err
		}
		out = s.minResolved(stores)
	}
	out.StoresMinResolvedTS = map[uint64]uint64{}
	for _, st := range stores {
		out.StoresMinResolvedTS[st.GetId()] = s.stores.resolvedOf(st.GetId())
	}
	return out, nil
}

func (s *Server) minResolved(stores []*metapb.Store) minResolvedJSON {
	out := minResolvedJSON{IsRealTime: true, PersistInterval: "1s"}
	for i, st := range stores {
		ts := s.stores.resolvedOf(st.GetId())
		if i == 0 || ts < out.MinResolvedTS {
			out.MinResolvedTS = ts
		}
	}
	return out
}

func pickStores(stores []*metapb.Store, ids string) ([]*metapb.Store, error) {
	var out []*metapb.Store
	for _, text := range strings.Split(ids, ",") {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, badRequest{err}
		}
		for _, st := range stores {
			if st.GetId() == id {
				out = append(out, st)
			}
		}
	}
	return out, nil
}

func (s *Server) getMinResolvedOfStore(r *http.Request) (any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, badRequest{err}
	}
	return minResolvedJSON{
		IsRealTime: true, PersistInterval: "1s", MinResolvedTS: s.stores.resolvedOf(id),
	}, nil
}
