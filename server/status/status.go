// Package status serves what operators look at over HTTP: /metrics (Prometheus),
// /healthz and /debug/pprof. It has no authentication, as TiDB's status port has
// none: bind it to a trusted network.
package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Options are what a Server is built from.
type Options struct {
	// Gatherer gives the metrics; required.
	Gatherer prometheus.Gatherer
	// Healthy returns nil when new clients can be served, and otherwise why not;
	// required. It is called for each /healthz.
	Healthy func() error
	// Logger may be nil.
	Logger *zap.Logger
}

// Server is the HTTP side of the process.
type Server struct {
	http   *http.Server
	logger *zap.Logger
}

// readHeaderTimeout keeps a silent client from holding a connection for ever.
const readHeaderTimeout = 5 * time.Second

// New returns a server that does not listen yet.
func New(options Options) *Server {
	logger := options.Logger
	if logger == nil {
		logger = zap.NewNop()
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(options.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		message := "ok"
		if err := options.Healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			message = err.Error()
		}
		if _, err := fmt.Fprintln(w, message); err != nil {
			logger.Debug("health answer not written", zap.Error(err))
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &Server{
		http:   &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: zap.NewStdLog(logger)},
		logger: logger,
	}
}

// Serve answers requests on l until Shutdown, and returns nil then.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops listening and waits for requests under way until ctx ends; then
// it cuts them, because a running profile is not worth waiting for.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return s.http.Close()
	}
	return err
}
