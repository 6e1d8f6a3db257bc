package blocktable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compression is RocksDB's number of a way to compress.
type compression byte

const (
	compressionNone   compression = 0
	compressionSnappy compression = 1
	compressionZlib   compression = 2
	compressionBzip2  compression = 3
	compressionLZ4    compression = 4
	compressionLZ4HC  compression = 5
	compressionXpress compression = 6
	compressionZSTD   compression = 7
)

// String returns RocksDB's name.
func (c compression) String() string {
	names := [...]string{"none", "snappy", "zlib", "bzip2", "lz4", "lz4hc", "xpress", "zstd"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("number %d", byte(c))
}

// maxBlock bounds a block's content in bytes. TiKV's are 32 KiB and one pair; a
// value has at most 128 MiB there.
const maxBlock = 256 << 20

// zstdReader decodes whole frames and may be used by several goroutines.
var zstdReader = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlock))
})

// decompress returns a block's content, in memory of raw, buf or its own.
func decompress(how compression, raw, buf []byte, version uint32) ([]byte, error) {
	var out []byte
	var err error
	switch how {
	case compressionNone:
		return raw, nil
	case compressionSnappy:
		var n int
		if n, err = snappy.DecodedLen(raw); err == nil && n > maxBlock {
			err = errTooLarge
		}
		if err == nil {
			out, err = snappy.Decode(buf[:cap(buf)], raw)
		}
	case compressionLZ4, compressionLZ4HC:
		out, err = sized(raw, buf, version, func(dst, src []byte) ([]byte, error) {
			n, err := lz4.UncompressBlock(src, dst)
			return dst[:max(n, 0)], err
		})
	case compressionZSTD:
		out, err = sized(raw, buf, version, func(dst, src []byte) ([]byte, error) {
			z, err := zstdReader()
			if err != nil {
				return nil, err
			}
			return z.DecodeAll(src, dst[:0])
		})
	default:
		return nil, fmt.Errorf("blocks compressed with %s are not supported", how)
	}
	if err != nil {
		return nil, fmt.Errorf("a block compressed with %s can't be read: %w", how, err)
	}
	return out, nil
}

var (
	errTooLarge = fmt.Errorf("it says that it has more than %d bytes", maxBlock)
	errSize     = errors.New("it doesn't have the size that it says")
)

// sized reads the size of the content, which precedes it since format version 2, and decodes what
// is behind it into that much memory.
func sized(raw, buf []byte, version uint32, decode func(dst, src []byte) ([]byte, error)) ([]byte, error) {
	var size uint64
	if version >= 2 {
		length, n := binary.Uvarint(raw)
		if n <= 0 {
			return nil, errSize
		}
		size, raw = length, raw[n:]
	} else { // the compressors' older form has a fixed size of eight bytes
		if len(raw) < 8 {
			return nil, errSize
		}
		size, raw = binary.LittleEndian.Uint64(raw), raw[8:]
	}
	if size == 0 { // no block is empty, and the decoder of LZ4 wants room
		return nil, errSize
	}
	// Nothing is compressed to less than a thousandth, but for zstd's runs, which grow with what is decoded.
	if size > maxBlock {
		return nil, errTooLarge
	}
	if most := 1024 * uint64(len(raw)+64); uint64(cap(buf)) < size {
		buf = make([]byte, 0, min(size, most))
	}
	out, err := decode(buf[:min(size, uint64(cap(buf)))], raw)
	if err == nil && uint64(len(out)) != size {
		err = errSize
	}
	return out, err
}
