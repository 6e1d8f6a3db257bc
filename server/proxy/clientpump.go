package proxy

import (
	"sync"
	"time"

	"github.com/sluicedb/sluice/server/wire"
)

const (
	// inspectWhole is the size of the longest text, in bytes, that is gathered
	// in full before it is forwarded, so that a statement of ours is found
	// anywhere in it. Of longer ones, which are bulk INSERTs in practice, only
	// the first inspectHead bytes are looked at, and the rest is streamed.
	inspectWhole = 1 << 20
	inspectHead  = 4 << 10
)

// inspectBuffers lends out buffers that hold the longest text to be inspected.
var inspectBuffers = sync.Pool{New: func() any {
	b := make([]byte, wire.HeaderSize+inspectWhole)
	return &b
}}

// clientPump forwards what the client sends to the backend, command by command.
type clientPump struct {
	*session
	// buf[r:w] is what was read and not yet forwarded. buf is own, or a larger
	// one while a packet needs it: lent (from inspectBuffers) or a one-off.
	buf  []byte
	r, w int
	own  []byte
	lent *[]byte
	// fileMore: the last packet of a LOAD DATA LOCAL file is continued.
	fileMore bool
}

func newClientPump(s *session) *clientPump {
	own := make([]byte, pumpBuffer)
	return &clientPump{session: s, buf: own, own: own}
}

// run pumps until a connection ends and returns why.
func (p *clientPump) run() error {
	defer p.release()
	for {
		if err := p.next(); err != nil {
			return err
		}
	}
}

// next waits for a packet and deals with it.
func (p *clientPump) next() error {
	if err := p.fill(wire.HeaderSize); err != nil {
		return err
	}
	phase, err := p.awaitTurn()
	if err != nil {
		return err
	}
	size, seq := wire.ParseHeader(p.buf[p.r:])
	switch phase {
	case wire.PhaseIdle:
		return p.command(size, seq)
	case wire.PhaseInfile:
		return p.file(size)
	case wire.PhaseClient:
		p.clientAnswered()
	}
	return p.forwardPacket()
}

// command forwards a command, or keeps it when it holds a statement of ours.
func (p *clientPump) command(size int, seq byte) error {
	cmd := wire.ComSleep // stands for an empty packet, which gets one answer too
	if size > 0 {
		if err := p.fill(wire.HeaderSize + 1); err != nil {
			return err
		}
		cmd = wire.Command(p.buf[p.r+wire.HeaderSize])
	}
	p.server.options.Metrics.commands[cmd].Inc()
	switch cmd {
	case wire.ComQuery, wire.ComStmtPrepare:
		if ours, err := p.inspect(cmd, size, seq); ours || err != nil {
			return err
		}
	case wire.ComChangeUser:
		if err := p.noteUser(size); err != nil {
			return err
		}
	}
	p.begin(cmd)
	err := p.forwardPacket()
	p.restore()
	if err == nil && cmd == wire.ComQuit {
		// Not to wait for TiDB to close: the reason of the end would be a race.
		return errQuit
	}
	return err
}

// inspect looks for a statement of ours in a COM_QUERY or COM_STMT_PREPARE. When
// it returns true the packet has been taken off the buffer and is being answered.
func (p *clientPump) inspect(cmd wire.Command, size int, seq byte) (ours bool, err error) {
	head := size
	if size > inspectWhole {
		head = inspectHead
	}
	if err := p.gather(wire.HeaderSize + head); err != nil {
		return false, err
	}
	if !p.server.options.Interceptor.MaybeOurs(p.text(cmd, head)) {
		return false, nil
	}
	if size == wire.MaxPayload {
		// 16 MiB and more: no statement of ours needs that. TiDB may have it.
		return false, nil
	}
	if err := p.gather(wire.HeaderSize + size); err != nil {
		return false, err
	}
	if ours, err = p.intercept(cmd, p.text(cmd, size), seq+1); ours {
		p.r += wire.HeaderSize + size
		p.restore()
	}
	return ours, err
}

// text returns the SQL in the first size payload bytes of the packet at hand,
// without the NUL that some clients add and TiDB drops; nil when the query
// attributes in front of it can't be read (or not from so few bytes).
func (p *clientPump) text(cmd wire.Command, size int) []byte {
	payload := p.buf[p.r+wire.HeaderSize : p.r+wire.HeaderSize+size]
	text := payload[1:]
	if cmd == wire.ComQuery {
		var err error
		if text, err = wire.QueryText(payload, p.caps); err != nil {
			return nil
		}
	}
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1]
	}
	return text
}

// noteUser remembers who a COM_CHANGE_USER is about to become, for the log.
func (p *clientPump) noteUser(size int) error {
	if size > wire.MaxHandshakePacket {
		return nil
	}
	if err := p.gather(wire.HeaderSize + size); err != nil {
		return err
	}
	user := wire.ParseChangeUser(p.buf[p.r+wire.HeaderSize : p.r+wire.HeaderSize+size])
	p.user.Store(&user)
	return nil
}

// file forwards one physical packet of a LOAD DATA LOCAL file. An empty one ends
// the file, unless it only ends a packet of a multiple of 16 MiB.
func (p *clientPump) file(size int) error {
	if size == 0 && !p.fileMore {
		p.infileSent()
	}
	p.fileMore = size == wire.MaxPayload
	return p.forward(wire.HeaderSize + size)
}

// forwardPacket forwards the packet whose header is at hand, with continuations.
func (p *clientPump) forwardPacket() error {
	for {
		if err := p.fill(wire.HeaderSize); err != nil {
			return err
		}
		size, _ := wire.ParseHeader(p.buf[p.r:])
		if err := p.forward(wire.HeaderSize + size); err != nil {
			return err
		}
		if size < wire.MaxPayload {
			return nil
		}
	}
}

// forward sends the next n bytes from the client to the backend.
func (p *clientPump) forward(n int) error {
	p.server.options.Metrics.toBackend.Add(float64(n))
	first := min(n, p.w-p.r)
	if _, err := p.backend.Write(p.buf[p.r : p.r+first]); err != nil {
		return p.backendFailed(err)
	}
	p.r += first
	if n -= first; n == 0 {
		return nil
	}
	// The buffer is used up; the rest streams through it, or through a large
	// one that never holds bytes beyond this packet.
	buf := p.buf
	if n > len(buf) {
		large := largeBuffers.Get().(*[]byte)
		defer largeBuffers.Put(large)
		buf = *large
	}
	for n > 0 {
		got, err := p.client.Read(buf[:min(n, len(buf))])
		if got > 0 {
			if _, err := p.backend.Write(buf[:got]); err != nil {
				return p.backendFailed(err)
			}
			n -= got
		}
		if err != nil && n > 0 {
			return because(errClientGone, err)
		}
	}
	return nil
}

// lastWords is how long the backend gets to say why it does not take a command.
const lastWords = 5 * time.Second

// backendFailed gives the backendPump a bounded time to forward what the backend
// sent before it stopped reading: TiDB answers a packet beyond max_allowed_packet
// in the middle and closes.
func (p *clientPump) backendFailed(err error) error {
	if deadlineErr := p.backend.SetReadDeadline(time.Now().Add(lastWords)); deadlineErr != nil {
		p.cut()
	}
	return because(errBackendGone, err)
}

// fill reads until at least n bytes are at hand, n <= len(buf).
func (p *clientPump) fill(n int) error {
	if p.w-p.r >= n {
		return nil
	}
	if p.r == p.w {
		p.r, p.w = 0, 0
	} else if p.r+n > len(p.buf) {
		p.w = copy(p.buf, p.buf[p.r:p.w])
		p.r = 0
	}
	for p.w-p.r < n {
		got, err := p.client.Read(p.buf[p.w:])
		p.w += got
		if err != nil && p.w-p.r < n {
			return because(errClientGone, err)
		}
	}
	return nil
}

// gather is fill for any n: it takes a larger buffer when it must.
func (p *clientPump) gather(n int) error {
	if n > len(p.buf) {
		var buf []byte
		var lent *[]byte
		if n <= wire.HeaderSize+inspectWhole {
			lent = inspectBuffers.Get().(*[]byte)
			buf = *lent
		} else {
			buf = make([]byte, n)
		}
		p.w = copy(buf, p.buf[p.r:p.w])
		p.r = 0
		p.release()
		p.buf, p.lent = buf, lent
	}
	return p.fill(n)
}

// restore goes back to the pump's own buffer once what is left fits.
func (p *clientPump) restore() {
	if len(p.buf) == len(p.own) || p.w-p.r > len(p.own) {
		return
	}
	p.w = copy(p.own, p.buf[p.r:p.w])
	p.r = 0
	p.release()
}

// release gives back a borrowed buffer without looking at what it holds.
func (p *clientPump) release() {
	if p.lent != nil {
		inspectBuffers.Put(p.lent)
		p.lent = nil
	}
	p.buf = p.own
}
