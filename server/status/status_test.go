package status

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEndpoints(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "seen_total"})
	registry.MustRegister(counter)
	counter.Add(3)
	var sick atomic.Bool
	s := New(Options{Gatherer: registry, Healthy: func() error {
		if sick.Load() {
			return errors.New("no TiDB server is reachable")
		}
		return nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		resp, err := client.Get("http://" + l.Addr().String() + path)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	code, body := get("/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "seen_total 3")
	code, body = get("/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", body)
	sick.Store(true)
	code, body = get("/healthz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "no TiDB server is reachable\n", body)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		code, _ = get(path)
		require.Equal(t, http.StatusOK, code, path)
	}
	code, _ = get("/nothing")
	require.Equal(t, http.StatusNotFound, code)
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, <-served)
}

func TestShutdownCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	s := New(Options{Gatherer: prometheus.NewRegistry(), Healthy: func() error { return nil }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	_, err = conn.Write([]byte("GET /debug/pprof/profile?seconds=600 HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Shutdown(ctx))
	require.NoError(t, <-served)
	_, _ = io.Copy(io.Discard, conn)
	require.NoError(t, conn.Close())
}
