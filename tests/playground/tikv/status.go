package tikv

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// statusHandler serves the paths of TiKV's status port that clients read.
func (s *store) statusHandler() http.Handler {
	mux := http.NewServeMux()
	text := func(body func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte(body()))
		}
	}
	mux.HandleFunc("GET /status", text(func() string { return "" }))
	mux.HandleFunc("GET /engine_type", text(func() string { return "raft-kv" }))
	mux.HandleFunc("GET /metrics", text(s.metrics))
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.config()) })
	mux.HandleFunc("GET /force_partition_ranges", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, s.imports.forcePartitionRanges())
	})
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// config is the part of TiKV's configuration that lightning, br, TiDB and
// Sluice look at, with TiKV's names and units.
func (s *store) config() map[string]any {
	type section = map[string]any
	o := s.cluster.opts
	return section{
		"coprocessor": section{
			"region-split-size": sizeText(o.RegionSplitSize),
			"region-split-keys": o.RegionSplitKeys,
			"region-max-size":   sizeText(o.regionMaxSize()),
			"region-max-keys":   o.RegionSplitKeys * 3 / 2,
		},
		"import": section{
			"num-threads":         8,
			"import-mode-timeout": "10m",
			"memory-use-ratio":    0.3,
		},
		"storage": section{
			"api-version": 1,
			"enable-ttl":  false,
			"engine":      "raft-kv",
			"data-dir":    s.engine.dir,
		},
		"raftstore": section{
			"raft-entry-max-size":     "8MiB",
			"right-derive-when-split": true,
		},
		"log-backup": section{"enable": true},
		"server": section{
			"addr":        s.addr,
			"status-addr": s.statusAddr,
		},
	}
}

// sizeText writes bytes as TiKV does: with the largest unit that divides them.
func sizeText(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
