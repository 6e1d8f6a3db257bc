// Package control is the HTTP server through which tests steer a running
// playground: faults, a PD without a leader, splits, leaders, and a look at
// what clients have left behind. Package playground has the client side, the
// paths and the bodies.
package control

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/pingcap/tidb/pkg/util/codec"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/door"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 4 << 20

// Parts are what the server steers; all are required.
type Parts struct {
	Faults *fault.Set
	View   topology.View
	// LeaderAway takes PD's leader away or brings it back.
	LeaderAway func(away bool)
	State      func() (playground.State, error)
	// SetDoor makes a part away, hang, or be back.
	SetDoor func(part playground.Part, store uint64, to door.State) error
}

// Server is a running control port. The one who started it must Close it.
type Server struct {
	server   *http.Server
	listener net.Listener
	served   chan error
}

// Start listens on a loopback port of the system's choice. ctx bounds the
// start only.
func Start(ctx context.Context, parts Parts) (*Server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("control port: %w", err)
	}
	s := &Server{server: &http.Server{Handler: parts.routes()}, listener: listener, served: make(chan error, 1)}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close closes the port and its connections and waits for the accept loop.
func (s *Server) Close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("control port: %w", err)
	}
	return nil
}

func (p Parts) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+playground.PathFaults, handle(func(struct{}) (any, error) {
		return append([]fault.Hit{}, p.Faults.Hits()...), nil
	}))
	mux.HandleFunc("POST "+playground.PathFaults, handle(func(rule fault.Rule) (any, error) {
		return struct{}{}, p.Faults.Add(rule)
	}))
	mux.HandleFunc("DELETE "+playground.PathFaults, func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.Query(); query.Has("rpc") {
			p.Faults.Remove(query.Get("rpc"))
		} else {
			p.Faults.Clear()
		}
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("POST "+playground.PathLeaderAway, handle(func(req playground.LeaderAway) (any, error) {
		p.LeaderAway(req.Away)
		return struct{}{}, nil
	}))
	mux.HandleFunc("POST "+playground.PathDoor, handle(func(req playground.Door) (any, error) {
		to, err := door.ParseState(req.State)
		if err == nil {
			err = p.SetDoor(req.Part, req.Store, to)
		}
		return struct{}{}, err
	}))
	mux.HandleFunc("GET "+playground.PathState, handle(func(struct{}) (any, error) {
		return p.State()
	}))
	mux.HandleFunc("POST "+playground.PathSplit, handle(p.split))
	mux.HandleFunc("POST "+playground.PathTransferLeader, handle(p.transferLeader))
	return mux
}

func (p Parts) split(req playground.Split) (any, error) {
	if len(req.Keys) == 0 {
		return nil, errors.New("split: no keys")
	}
	keys := make([][]byte, len(req.Keys))
	for i, text := range req.Keys {
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("split: key %q: %w", text, err)
		}
		keys[i] = codec.EncodeBytes(nil, raw)
	}
	ids, err := p.View.Split(keys)
	if err != nil {
		return nil, err
	}
	return playground.SplitResult{Regions: ids}, nil
}

func (p Parts) transferLeader(req playground.TransferLeader) (any, error) {
	if !p.View.TransferLeader(req.Region, req.Store) {
		return nil, fmt.Errorf("region %d has no peer on store %d, or there is no such region", req.Region, req.Store)
	}
	return struct{}{}, nil
}

// handle decodes the body of requests that have one, and writes the answer.
func handle[T any](do func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req T
		if r.Method == http.MethodPost {
			dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&req); err != nil {
				answer(w, http.StatusBadRequest, playground.ControlError{Error: "request body: " + err.Error()})
				return
			}
		}
		resp, err := do(req)
		if err != nil {
			answer(w, http.StatusBadRequest, playground.ControlError{Error: err.Error()})
			return
		}
		answer(w, http.StatusOK, resp)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the client has gone; nobody is left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
