package pd

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

func (s *Server) routeConfig(handle func(string, apiFunc)) {
	handle("GET /pd/api/v1/config", func(*http.Request) (any, error) { return s.fullConfig(), nil })
	handle("POST /pd/api/v1/config", s.postConfig)
	handle("GET /pd/api/v1/config/schedule", func(*http.Request) (any, error) { return s.scheduleConfig(), nil })
	handle("POST /pd/api/v1/config/schedule", s.postConfigSection(sectionSchedule))
	handle("GET /pd/api/v1/config/replicate", func(*http.Request) (any, error) { return s.replicationConfig(), nil })
	handle("POST /pd/api/v1/config/replicate", s.postConfigSection(sectionReplication))
	handle("GET /pd/api/v1/config/pd-server", func(*http.Request) (any, error) {
		return s.config.section(sectionServer), nil
	})
	handle("GET /pd/api/v1/config/cluster-version", func(*http.Request) (any, error) {
		return s.clusterVersion(), nil
	})
}

// postConfig changes items for good, or with ?ttlSecond=n for n seconds; n of 0
// ends the overrides of the named items.
func (s *Server) postConfig(r *http.Request) (any, error) {
	items, err := readItems(r)
	if err != nil {
		return nil, err
	}
	text := r.URL.Query().Get("ttlSecond")
	if text == "" {
		if err := s.setConfig(r.Context(), items); err != nil {
			return nil, badRequest{err}
		}
		return "The config is updated.", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return nil, badRequest{err}
	}
	if err := s.overrides.set(r.Context(), items, time.Duration(seconds)*time.Second); err != nil {
		return nil, badRequest{err}
	}
	if seconds <= 0 {
		return "The ttl config is deleted.", nil
	}
	return "The ttl config is updated.", nil
}

func (s *Server) postConfigSection(section string) apiFunc {
	return func(r *http.Request) (any, error) {
		items, err := readItems(r)
		if err != nil {
			return nil, err
		}
		full := make(map[string]any, len(items))
		for k, v := range items {
			full[section+"."+k] = v
		}
		if err := s.setConfig(r.Context(), full); err != nil {
			return nil, badRequest{err}
		}
		return "The config is updated.", nil
	}
}

func readItems(r *http.Request) (map[string]any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest{err}
	}
	items, err := flattenConfig(body)
	if err != nil {
		return nil, badRequest{err}
	}
	return items, nil
}
