package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	// HeaderSize is the number of bytes before each physical packet's payload.
	HeaderSize = 4
	// MaxPayload is the largest payload of a physical packet, in bytes. A
	// payload of exactly this size is followed by a continuation.
	MaxPayload = 1<<24 - 1
)

// ParseHeader decodes a packet header. b must hold at least HeaderSize bytes.
func ParseHeader(b []byte) (size int, seq byte) {
	_ = b[3]
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3]
}

// AppendHeader appends a packet header; size must not exceed MaxPayload.
func AppendHeader(dst []byte, size int, seq byte) []byte {
	return append(dst, byte(size), byte(size>>8), byte(size>>16), seq)
}

// AppendPacket appends payload framed as one packet, split where needed, and
// returns the sequence number for the next packet.
func AppendPacket(dst, payload []byte, seq byte) ([]byte, byte) {
	for {
		n := min(len(payload), MaxPayload)
		dst = append(AppendHeader(dst, n, seq), payload[:n]...)
		payload = payload[n:]
		seq++
		if n < MaxPayload {
			return dst, seq
		}
	}
}

// ReadPacket reads exactly one packet of at most limit payload bytes and not a
// byte more, so that r may be handed to somebody else afterwards. seq is that of
// the last physical packet. io.EOF means that r ended before the first byte.
func ReadPacket(r io.Reader, limit int) (payload []byte, seq byte, err error) {
	var head [HeaderSize]byte
	for first := true; ; first = false {
		if _, err = io.ReadFull(r, head[:]); err != nil {
			if first {
				return nil, 0, err
			}
			return nil, 0, unexpectedEOF(err)
		}
		var size int
		size, seq = ParseHeader(head[:])
		if size > limit-len(payload) {
			return nil, seq, fmt.Errorf("%w: packet of more than %d bytes", ErrMalformed, limit)
		}
		start := len(payload)
		payload = append(payload, make([]byte, size)...)
		if _, err = io.ReadFull(r, payload[start:]); err != nil {
			return nil, seq, unexpectedEOF(err)
		}
		if size < MaxPayload {
			return payload, seq, nil
		}
	}
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writerBufferSize is what a Writer gathers before it writes, in bytes; results
// of Sluice's own statements rarely exceed it.
const writerBufferSize = 16 << 10

// Writer frames packets that Sluice writes itself. Not safe for concurrent use.
type Writer struct {
	out *bufio.Writer
	seq byte
}

// NewWriter returns a Writer whose first packet has sequence number seq.
func NewWriter(w io.Writer, seq byte) *Writer {
	return &Writer{out: bufio.NewWriterSize(w, writerBufferSize), seq: seq}
}

// WritePacket buffers payload as one packet. The caller keeps payload.
func (w *Writer) WritePacket(payload []byte) error {
	for {
		n := min(len(payload), MaxPayload)
		var head [HeaderSize]byte
		if _, err := w.out.Write(AppendHeader(head[:0], n, w.seq)); err != nil {
			return err
		}
		if _, err := w.out.Write(payload[:n]); err != nil {
			return err
		}
		w.seq++
		payload = payload[n:]
		if n < MaxPayload {
			return nil
		}
	}
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.out.Flush() }
