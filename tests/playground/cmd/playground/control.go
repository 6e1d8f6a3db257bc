package main

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
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// maxControlBody bounds the body of a request, in bytes.
const maxControlBody = 4 << 20

// control is the HTTP server through which a test steers the cluster. See
// package playground for its paths and bodies.
type control struct {
	faults *fault.Set
	view   topology.View
	// leaderAway takes PD's leader away or brings it back.
	leaderAway func(away bool)
	state      func() (playground.State, error)

	server   *http.Server
	listener net.Listener
	served   chan error
}

// start listens on a loopback port until stop.
func (c *control) start(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("control port: %w", err)
	}
	c.listener = listener
	c.server = &http.Server{Handler: c.routes()}
	c.served = make(chan error, 1)
	go func() { c.served <- c.server.Serve(listener) }()
	return nil
}

func (c *control) addr() string { return c.listener.Addr().String() }

// stop closes the port and waits for the accept loop.
func (c *control) stop() error {
	err := c.server.Close()
	if served := <-c.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("control port: %w", err)
	}
	return nil
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+playground.PathFaults, handle(func(struct{}) (any, error) {
		return append([]fault.Hit{}, c.faults.Hits()...), nil
	}))
	mux.HandleFunc("POST "+playground.PathFaults, handle(func(rule fault.Rule) (any, error) {
		return struct{}{}, c.faults.Add(rule)
	}))
	mux.HandleFunc("DELETE "+playground.PathFaults, handle(func(struct{}) (any, error) {
		c.faults.Clear()
		return struct{}{}, nil
	}))
	mux.HandleFunc("POST "+playground.PathLeaderAway, handle(func(req playground.LeaderAway) (any, error) {
		c.leaderAway(req.Away)
		return struct{}{}, nil
	}))
	mux.HandleFunc("GET "+playground.PathState, handle(func(struct{}) (any, error) {
		return c.state()
	}))
	mux.HandleFunc("POST "+playground.PathSplit, handle(c.split))
	mux.HandleFunc("POST "+playground.PathTransferLeader, handle(c.transferLeader))
	return mux
}

func (c *control) split(req playground.Split) (any, error) {
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
	ids, err := c.view.Split(keys)
	if err != nil {
		return nil, err
	}
	return playground.SplitResult{Regions: ids}, nil
}

func (c *control) transferLeader(req playground.TransferLeader) (any, error) {
	if !c.view.TransferLeader(req.Region, req.Store) {
		return nil, fmt.Errorf("region %d has no peer on store %d, or there is no such region", req.Region, req.Store)
	}
	return struct{}{}, nil
}

// handle decodes the body of requests that have one, and writes the answer.
func handle[T any](do func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req T
		if r.Method == http.MethodPost {
			dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
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
