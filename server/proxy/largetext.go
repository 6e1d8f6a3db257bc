package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/server/wire"
)

const (
	// inspectLimit is the size of the longest text, in bytes, that is gathered in
	// full before it is forwarded: TiDB's default max_allowed_packet. What cluster
	// and client have agreed to send beyond is streamed, and of such a text only
	// this much is looked at.
	inspectLimit = 64 << 20
	// largeTextBudget bounds what the texts beyond inspectPooled that are being
	// gathered take together, in bytes. A session whose text does not fit waits,
	// and its client with it.
	largeTextBudget = inspectLimit
	// stallLimit is how long a client may pause in the middle of such a text, as
	// others may wait for it; MySQL's net_read_timeout.
	stallLimit = 30 * time.Second
)

// largeText is a packet beyond inspectPooled that was taken off the buffer.
type largeText struct {
	// raw is the first header and the payload. A packet of 16 MiB and more comes
	// in pieces; heads are the headers of the others.
	raw   []byte
	heads []byte
	seq   byte // of the last piece
	// endless: the packet exceeds inspectLimit, its next piece is still to come.
	endless bool
}

func (t *largeText) payload() []byte { return t.raw[wire.HeaderSize:] }

// large deals with a COM_QUERY or COM_STMT_PREPARE of more than inspectPooled
// bytes: it is forwarded when all of it is known to hold no statement of ours.
// Its first piece, whose header is at hand, has size bytes.
func (p *clientPump) large(cmd wire.Command, size int) error {
	budget := int64(size)
	if size == wire.MaxPayload {
		budget = largeTextBudget // nobody knows yet how long it is
	}
	if p.server.largeTexts.Acquire(p.server.ctx, budget) != nil {
		return context.Cause(p.server.ctx)
	}
	defer p.server.largeTexts.Release(budget)
	t, err := p.gatherLarge(size)
	if err != nil {
		return err
	}
	if text := p.text(cmd, t.payload()); p.server.options.Interceptor.MaybeOurs(text) {
		if t.endless {
			return p.refuseEndless()
		}
		if ours, err := p.intercept(cmd, text, t.seq+1); ours || err != nil {
			return err
		}
	}
	p.begin(cmd)
	return p.forwardLarge(t)
}

// gatherLarge takes the packet at hand off the buffer.
func (p *clientPump) gatherLarge(size int) (*largeText, error) {
	t := &largeText{raw: make([]byte, 0, wire.HeaderSize+size)}
	for {
		if err := p.client.SetReadDeadline(time.Now().Add(stallLimit)); err != nil {
			return nil, because(errClientGone, err)
		}
		if err := p.fill(wire.HeaderSize); err != nil {
			return nil, err
		}
		head := p.buf[p.r : p.r+wire.HeaderSize]
		size, t.seq = wire.ParseHeader(head)
		if t.endless = len(t.raw)+size > wire.HeaderSize+inspectLimit; t.endless {
			break
		}
		if len(t.raw) == 0 {
			t.raw = append(t.raw, head...)
		} else {
			t.heads = append(t.heads, head...)
		}
		p.r += wire.HeaderSize
		t.raw = slices.Grow(t.raw, size)
		got := copy(t.raw[len(t.raw):len(t.raw)+size], p.buf[p.r:p.w])
		p.r += got
		t.raw = t.raw[:len(t.raw)+size]
		if err := p.readSteadily(t.raw[len(t.raw)-size+got:]); err != nil {
			return nil, err
		}
		if size < wire.MaxPayload {
			break
		}
	}
	if err := p.client.SetReadDeadline(time.Time{}); err != nil {
		return nil, because(errClientGone, err)
	}
	return t, nil
}

// readSteadily fills b from a client that must not pause for longer than
// stallLimit.
func (p *clientPump) readSteadily(b []byte) error {
	for len(b) > 0 {
		if err := p.client.SetReadDeadline(time.Now().Add(stallLimit)); err != nil {
			return because(errClientGone, err)
		}
		n, err := p.client.Read(b)
		if b = b[n:]; err != nil && len(b) > 0 {
			return because(errClientGone, err)
		}
	}
	return nil
}

// forwardLarge sends what gatherLarge took, with the client's own headers, and
// streams the rest of an endless packet.
func (p *clientPump) forwardLarge(t *largeText) error {
	p.server.options.Metrics.toBackend.Add(float64(len(t.raw) + len(t.heads)))
	first, _ := wire.ParseHeader(t.raw)
	piece, rest := t.raw[:wire.HeaderSize+first], t.raw[wire.HeaderSize+first:]
	for heads := t.heads; ; heads = heads[wire.HeaderSize:] {
		if _, err := p.backend.Write(piece); err != nil {
			return p.backendFailed(err)
		}
		if len(heads) == 0 {
			break
		}
		if _, err := p.backend.Write(heads[:wire.HeaderSize]); err != nil {
			return p.backendFailed(err)
		}
		size, _ := wire.ParseHeader(heads)
		piece, rest = rest[:size], rest[size:]
	}
	if t.endless {
		return p.forwardPacket()
	}
	return nil
}

// errEndlessText is the answer to a text that may hold a statement of ours and
// that is too long for anybody to find out.
var errEndlessText = &mysql.MyError{Code: codePacketTooLarge, State: "08S01", Message: "A text of more than 64 MiB " +
	"that seems to hold a statement of Sluice is not run: send that statement alone"}

// refuseEndless drops the pieces of a packet that are still to come and answers
// it with errEndlessText. TiDB has seen none of it.
func (p *clientPump) refuseEndless() error {
	for {
		if err := p.fill(wire.HeaderSize); err != nil {
			return err
		}
		size, seq := wire.ParseHeader(p.buf[p.r:])
		p.r += wire.HeaderSize
		for left := size; left > 0; {
			if err := p.fill(1); err != nil {
				return err
			}
			n := min(left, p.w-p.r)
			p.r += n
			left -= n
		}
		if size < wire.MaxPayload {
			return p.refuseText(seq+1, errEndlessText)
		}
	}
}
