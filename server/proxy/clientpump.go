package proxy

import (
	"sync"
	"time"

	"github.com/sluicedb/sluice/server/wire"
)

// inspectPooled is the size of the longest packet, in bytes, that is gathered in a
// pooled buffer before it is forwarded. A text is looked at as a whole, so that a
// statement of ours is found anywhere in it; see large for longer ones.
const inspectPooled = 1 << 20

// inspectBuffers lends out buffers for packets of up to inspectPooled bytes.
var inspectBuffers = sync.Pool{New: func() any {
	b := make([]byte, wire.HeaderSize+inspectPooled)
	return &b
}}

// clientPump forwards what the client sends to the backend, command by command.
type clientPump struct {
	*session
	// buf[r:w] is what was read and not yet forwarded. buf is own, or one lent
	// from inspectBuffers while a packet needs it.
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
	size, seq := wire.ParseHeader(p.buf[p.r:])
	if size == 1 {
		// Who says good-bye in the middle of a statement of ours goes away, like
		// one who closes the connection: nobody waits for the answer any more.
		if err := p.fill(wire.HeaderSize + 1); err != nil {
			return err
		}
		if wire.Command(p.buf[p.r+wire.HeaderSize]) == wire.ComQuit && p.ourTurn() {
			return errQuit
		}
	}
	phase, err := p.awaitTurn()
	if err != nil {
		return err
	}
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
		if size > inspectPooled {
			return p.large(cmd, size)
		}
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
	if err := p.gather(wire.HeaderSize + size); err != nil {
		return false, err
	}
	text := p.text(cmd, p.buf[p.r+wire.HeaderSize:p.r+wire.HeaderSize+size])
	if !p.server.options.Interceptor.MaybeOurs(text) {
		return false, nil
	}
	if ours, err = p.intercept(cmd, text, seq+1); ours {
		p.r += wire.HeaderSize + size
		p.restore()
	}
	return ours, err
}

// text returns the SQL in a packet's payload, without the NUL that some clients
// add and TiDB drops; nil when the query attributes in front of it can't be read.
func (p *clientPump) text(cmd wire.Command, payload []byte) []byte {
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

// gather is fill for n up to that of a pooled buffer, which it takes when it must.
func (p *clientPump) gather(n int) error {
	if n > len(p.buf) {
		lent := inspectBuffers.Get().(*[]byte)
		p.w = copy(*lent, p.buf[p.r:p.w])
		p.r = 0
		p.buf, p.lent = *lent, lent
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
