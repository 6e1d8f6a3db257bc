package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sluicedb/sluice/server/wire"
)

// Start begins to probe every server until Stop. It must be called at most once.
func (p *Pool) Start(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(ctx)
	for _, s := range p.servers {
		p.probes.Add(1)
		go func() {
			defer p.probes.Done()
			p.watch(ctx, s)
		}()
	}
}

// Stop ends the probing and waits for it. Calling it again, or without Start,
// does no harm. Connections are not touched.
func (p *Pool) Stop() {
	if p.cancel != nil {
		p.cancel()
	}
	p.probes.Wait()
}

func (p *Pool) watch(ctx context.Context, s *server) {
	ticker := time.NewTicker(p.options.ProbeInterval)
	defer ticker.Stop()
	for {
		err := probe(ctx, s.address, p.options.ProbeTimeout)
		if ctx.Err() != nil {
			return
		}
		p.note(s, err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// probe connects and waits for a greeting. TiDB logs a client that leaves then at
// debug level only.
func probe(ctx context.Context, address string, timeout time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	payload, _, err := wire.ReadPacket(conn, wire.MaxHandshakePacket)
	if err != nil {
		return fmt.Errorf("waiting for the greeting: %w", err)
	}
	if len(payload) > 0 && payload[0] == wire.ErrHeader {
		refusal, err := wire.ParseErr(payload, 0)
		if err != nil {
			return err
		}
		return refusal
	}
	_, err = wire.ParseGreeting(payload)
	return err
}
