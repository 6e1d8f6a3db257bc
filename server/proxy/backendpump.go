package proxy

import (
	"sync"

	"github.com/sluicedb/sluice/server/wire"
)

const (
	// pumpBuffer is what each pump of each session holds, in bytes: enough for
	// nearly every command and response, small enough for thousands of sessions.
	pumpBuffer = 16 << 10
	// largeBuffer replaces it, in bytes, while a response or a command proves to
	// be large; fewer system calls make the difference then.
	largeBuffer = 256 << 10
)

// largeBuffers lends out buffers of largeBuffer bytes.
var largeBuffers = sync.Pool{New: func() any {
	b := make([]byte, largeBuffer)
	return &b
}}

// backendPump forwards what the backend sends to the client.
type backendPump struct {
	*session
	small [pumpBuffer]byte
	large *[]byte // borrowed, nil most of the time
}

// run pumps until a connection ends and returns why.
func (p *backendPump) run() error {
	defer p.shrink()
	for {
		buf := p.small[:]
		if p.large != nil {
			buf = *p.large
		}
		n, err := p.backend.Read(buf)
		if n > 0 {
			if err := p.chunk(buf[:n], n == len(buf)); err != nil {
				return err
			}
		}
		if err != nil {
			return because(errBackendGone, err)
		}
	}
}

// chunk deals with the next bytes from the backend. full says that there is
// probably more where they came from.
func (p *backendPump) chunk(b []byte, full bool) error {
	forward, err := p.arrived(b)
	if err != nil || !forward {
		return err
	}
	if _, err := p.client.Write(b); err != nil {
		return because(errClientGone, err)
	}
	metrics := p.server.options.Metrics
	metrics.toClient.Add(float64(len(b)))
	phase, errCode, drained := p.written()
	switch {
	case drained:
		return errDrained
	case phase == wire.PhaseIdle:
		p.shrink()
		if errCode != 0 {
			metrics.errors.Inc()
		}
	case full && p.large == nil:
		p.large = largeBuffers.Get().(*[]byte)
	}
	return nil
}

func (p *backendPump) shrink() {
	if p.large != nil {
		largeBuffers.Put(p.large)
		p.large = nil
	}
}

// arrived shows b to the follower. It returns false when b answers a query of a
// statement of ours and is not for the client.
func (s *session) arrived(b []byte) (forward bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ours != nil {
		return false, s.answeredLocked(b)
	}
	s.mu.follower.Feed(b)
	s.mu.writing = true
	return true, nil
}

// written passes the turn on after the chunk of the last arrived is with the
// client.
func (s *session) written() (phase wire.Phase, errCode uint16, drained bool) {
	s.mu.Lock()
	s.mu.writing = false
	phase, errCode, drained = s.mu.follower.Phase(), s.mu.follower.ErrCode(), s.drainedLocked()
	s.mu.Unlock()
	s.mu.changed.Signal() // only the clientPump waits
	return phase, errCode, drained
}
