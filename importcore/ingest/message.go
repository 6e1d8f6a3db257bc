package ingest

import (
	"context"
	"encoding/binary"
	"fmt"

	"google.golang.org/grpc/encoding"
)

// A batch of pairs travels as import_sstpb.WriteRequest{batch: WriteBatch}. It
// is encoded by hand, straight from the iterator's bytes, and once for all
// peers: the generated types would need three objects per pair and one
// encoding per peer. Layout (protobuf wire format):
//
//	0x12 len(batch)                     WriteRequest.batch = 2
//	  0x08 commit_ts                    WriteBatch.commit_ts = 1
//	  0x12 len(pair)                    WriteBatch.pairs = 2, repeated
//	    0x0a len(key) key               Pair.key = 1
//	    0x12 len(value) value           Pair.value = 2, left out when empty
//	                                    Pair.op = 3, left out: Put is 0
//
// https://protobuf.dev/programming-guides/encoding/
const (
	tagRequestBatch  = 2<<3 | 2
	tagBatchCommitTS = 1 << 3
	tagBatchPairs    = 2<<3 | 2
	tagPairKey       = 1<<3 | 2
	tagPairValue     = 2<<3 | 2
)

// batchHeadRoom is kept free in front of a batch for its tag and length,
// which are known only at the end.
const batchHeadRoom = 1 + binary.MaxVarintLen64

// rawMessage is an encoded protobuf message that rawCodec sends as it is.
type rawMessage []byte

// batchEncoder builds one batch message. gRPC may read a message's bytes
// after SendMsg has returned, so each message gets a buffer of its own.
type batchEncoder struct {
	buf  []byte
	body int // where the WriteBatch begins
	base int // length of a batch without pairs
	size int
	ts   uint64
}

// newBatchEncoder returns an encoder of messages of about size bytes.
func newBatchEncoder(commitTS uint64, size int) *batchEncoder {
	e := &batchEncoder{size: size, ts: commitTS, body: batchHeadRoom}
	e.reset()
	return e
}

func (e *batchEncoder) reset() {
	e.buf = make([]byte, batchHeadRoom, e.size+e.size/8+64)
	if e.ts != 0 {
		e.buf = append(e.buf, tagBatchCommitTS)
		e.buf = binary.AppendUvarint(e.buf, e.ts)
	}
	e.base = len(e.buf)
}

// add appends a pair by copying it.
func (e *batchEncoder) add(key, value []byte) {
	n := 0
	if len(key) > 0 {
		n += 1 + uvarintLen(len(key)) + len(key)
	}
	if len(value) > 0 {
		n += 1 + uvarintLen(len(value)) + len(value)
	}
	e.buf = append(e.buf, tagBatchPairs)
	e.buf = binary.AppendUvarint(e.buf, uint64(n))
	e.buf = appendField(e.buf, tagPairKey, key)
	e.buf = appendField(e.buf, tagPairValue, value)
}

func (e *batchEncoder) empty() bool { return len(e.buf) == e.base }

func (e *batchEncoder) full() bool { return len(e.buf) >= e.size }

// take returns the message and starts the next one in a new buffer.
func (e *batchEncoder) take() rawMessage {
	n := len(e.buf) - e.body
	start := e.body - 1 - uvarintLen(n)
	e.buf[start] = tagRequestBatch
	binary.PutUvarint(e.buf[start+1:], uint64(n))
	msg := rawMessage(e.buf[start:])
	e.reset()
	return msg
}

func appendField(buf []byte, tag byte, b []byte) []byte {
	if len(b) == 0 {
		return buf
	}
	buf = append(buf, tag)
	buf = binary.AppendUvarint(buf, uint64(len(b)))
	return append(buf, b...)
}

func uvarintLen(n int) int {
	l := 1
	for v := uint64(n); v >= 0x80; v >>= 7 {
		l++
	}
	return l
}

// rawCodec sends rawMessage as it is and everything else in its generated form.
type rawCodec struct{}

var _ encoding.Codec = rawCodec{}

// Name is that of the codec it stands in for, so that a server sees nothing unusual.
func (rawCodec) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (rawCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case rawMessage:
		return m, nil
	case interface{ Marshal() ([]byte, error) }:
		return m.Marshal()
	default:
		return nil, fmt.Errorf("ingest: no encoding for %T", v)
	}
}

// Unmarshal implements encoding.Codec.
func (rawCodec) Unmarshal(data []byte, v any) error {
	m, ok := v.(interface{ Unmarshal([]byte) error })
	if !ok {
		return fmt.Errorf("ingest: no decoding for %T", v)
	}
	return m.Unmarshal(data)
}

// permittedCodec is rawCodec for one request that has to be permitted. It asks when
// the request is encoded: by then the call has its connection, for which it may
// have waited, and nothing else waits before the bytes are on their way.
type permittedCodec struct {
	rawCodec
	ctx     context.Context
	permit  func(context.Context) error // nil permits
	refused error
}

// Marshal implements encoding.Codec.
func (c *permittedCodec) Marshal(v any) ([]byte, error) {
	if c.permit != nil {
		if c.refused = c.permit(c.ctx); c.refused != nil {
			return nil, c.refused
		}
	}
	return c.rawCodec.Marshal(v)
}
