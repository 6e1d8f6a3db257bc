package sortkv

import (
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Compression is how the pages of runs are compressed.
type Compression uint8

// The compressions of runs.
const (
	CompressionNone Compression = iota
	CompressionSnappy
	CompressionZstd
)

// ParseCompression returns the compression of a name: none (or no name),
// snappy or zstd.
func ParseCompression(name string) (Compression, error) {
	switch name {
	case "", "none":
		return CompressionNone, nil
	case "snappy":
		return CompressionSnappy, nil
	case "zstd":
		return CompressionZstd, nil
	default:
		return CompressionNone, fmt.Errorf("compression %q is not one of none, snappy and zstd", name)
	}
}

// codec compresses parts of pages. It may be used concurrently.
type codec interface {
	// compress appends the compressed form of data to to.
	compress(to, data []byte) []byte
	// decompress fills to, which has just the length of the data.
	decompress(to, stored []byte) error
}

// codec returns the codec for c, nil for none.
func (c Compression) codec() (codec, error) {
	switch c {
	case CompressionSnappy:
		return snappyCodec{}, nil
	case CompressionZstd:
		return newZstdCodec()
	default:
		return nil, nil
	}
}

type snappyCodec struct{}

func (snappyCodec) compress(to, data []byte) []byte {
	return s2.EncodeSnappy(to[:cap(to)], data)
}

func (snappyCodec) decompress(to, stored []byte) error {
	out, err := s2.Decode(to[:len(to):len(to)], stored)
	return whole(to, out, err)
}

// zstdCodec keeps little memory: pages are small.
type zstdCodec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newZstdCodec() (*zstdCodec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(maxPageBytes))
	if err != nil {
		return nil, fmt.Errorf("setting up zstd: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("setting up zstd: %w", err)
	}
	return &zstdCodec{enc, dec}, nil
}

func (z *zstdCodec) compress(to, data []byte) []byte { return z.enc.EncodeAll(data, to) }

func (z *zstdCodec) decompress(to, stored []byte) error {
	out, err := z.dec.DecodeAll(stored, to[:0:len(to)])
	return whole(to, out, err)
}

// whole makes sure that to is what was decompressed.
func whole(to, out []byte, err error) error {
	if err != nil {
		return err
	}
	if len(out) != len(to) {
		return fmt.Errorf("%d bytes were decompressed instead of %d", len(out), len(to))
	}
	if len(to) > 0 && &to[0] != &out[0] {
		copy(to, out)
	}
	return nil
}
