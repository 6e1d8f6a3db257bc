package pd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"
)

// maxBodyBytes bounds a request body; the largest legal one is a batch of
// label or placement rules.
const maxBodyBytes = 64 << 20

// badRequest marks an error as the client's, for the HTTP status.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

// apiFunc answers a request with a JSON value; an error becomes its status.
type apiFunc func(r *http.Request) (any, error)

// httpError is an answer with a status of its own; the value is its body.
type httpError struct {
	status int
	body   any
}

func (e *httpError) Error() string { return fmt.Sprint(e.body) }

func notFound(body any) error { return &httpError{http.StatusNotFound, body} }

// httpHandler serves the paths below /pd/. The handlers live in http_*.go, one
// file for each area of PD's API.
func (s *Server) httpHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f apiFunc) { mux.Handle(pattern, s.api(f)) }
	s.routeCluster(handle)
	s.routeStores(handle)
	s.routeRegions(handle)
	s.routeConfig(handle)
	s.routeLabels(handle)
	s.routeRules(handle)
	s.routeSchedulers(handle)
	s.routeAdmin(handle)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.serving() != nil {
			writeJSON(w, http.StatusServiceUnavailable, "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) api(f apiFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err == nil {
			writeJSON(w, http.StatusOK, v)
			return
		}
		var own *httpError
		var bad badRequest
		switch {
		case errors.As(err, &own):
			writeJSON(w, own.status, own.body)
		case errors.As(err, &bad):
			writeJSON(w, http.StatusBadRequest, err.Error())
		default:
			s.log.Warn("pd request failed", zap.String("path", r.URL.Path), zap.Error(err))
			writeJSON(w, http.StatusInternalServerError, err.Error())
		}
	})
}

// writeJSON writes v as PD does: indented and with a final newline, which some
// clients keep (BR stores the cluster version with both).
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`"`+http.StatusText(http.StatusInternalServerError)+`"`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	// A client that left has nobody to be told.
	_, _ = w.Write(append(data, '\n'))
}

// readJSON decodes the body; a mistake in it is the client's.
func readJSON(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest{err}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return badRequest{err}
	}
	return nil
}
