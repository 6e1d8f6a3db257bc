package tikv

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is fallen back to
)

// rawMessage receives a message as it came over the wire. gRPC allocates the
// bytes for each message, so whoever receives it owns it.
type rawMessage []byte

// wireCodec is the protobuf codec with two short cuts: a rawMessage is not
// decoded at all, which is what keeps a Write stream of hundreds of megabytes
// cheap, and messages with generated methods skip protobuf's reflection.
type wireCodec struct{ fallback encoding.Codec }

func newWireCodec() wireCodec { return wireCodec{fallback: encoding.GetCodec("proto")} }

// Marshal implements encoding.Codec.
func (c wireCodec) Marshal(v any) ([]byte, error) {
	if m, ok := v.(interface{ Marshal() ([]byte, error) }); ok {
		return m.Marshal()
	}
	return c.fallback.Marshal(v)
}

// Unmarshal implements encoding.Codec.
func (c wireCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *rawMessage:
		*m = data
		return nil
	case interface {
		Reset()
		Unmarshal([]byte) error
	}:
		m.Reset()
		return m.Unmarshal(data)
	}
	if c.fallback == nil {
		return fmt.Errorf("tikv: no codec for %T", v)
	}
	return c.fallback.Unmarshal(data, v)
}

// Name implements encoding.Codec.
func (wireCodec) Name() string { return "proto" }
