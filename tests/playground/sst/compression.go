package sst

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
)

// blockType says how a block is compressed, in RocksDB's numbers.
type blockType byte

const (
	plainBlock  blockType = 0
	snappyBlock blockType = 1
	lz4Block    blockType = 4
	lz4hcBlock  blockType = 5 // like lz4Block for a reader
	zstdBlock   blockType = 7
)

// name is RocksDB's name of the compression in a table's properties.
func (t blockType) name() string {
	switch t {
	case snappyBlock:
		return "Snappy"
	case lz4Block:
		return "LZ4"
	case lz4hcBlock:
		return "LZ4HC"
	case zstdBlock:
		return "ZSTD"
	}
	return "NoCompression"
}

// blockTypeOf returns the type that a backup asks for. Without a wish TiKV takes
// LZ4.
func blockTypeOf(c backuppb.CompressionType) (blockType, error) {
	switch c {
	case backuppb.CompressionType_UNKNOWN, backuppb.CompressionType_LZ4:
		return lz4Block, nil
	case backuppb.CompressionType_SNAPPY:
		return snappyBlock, nil
	case backuppb.CompressionType_ZSTD:
		return zstdBlock, nil
	}
	return 0, fmt.Errorf("no compression type %v", c)
}

// maxBlock is the length, in bytes, of the largest block that is read.
const maxBlock = 256 << 20

var (
	errBlock = errors.New("its compressed data is damaged")

	// Both are safe for concurrent use in the ways they are used here.
	zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	zstdDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
)

// compress returns a block in the form of its type. As RocksDB does, it leaves a
// block plain that would hardly become smaller.
func compress(body []byte, t blockType) ([]byte, blockType) {
	var out []byte
	switch t {
	case snappyBlock: // has its length in itself
		out = snappy.Encode(nil, body)
	case zstdBlock:
		out = zstdEncoder.EncodeAll(body, binary.AppendUvarint(nil, uint64(len(body))))
	case lz4Block:
		var c lz4.Compressor
		buf := make([]byte, lz4.CompressBlockBound(len(body)))
		n, err := c.CompressBlock(body, buf)
		if err != nil || n == 0 {
			return body, plainBlock
		}
		out = append(binary.AppendUvarint(nil, uint64(len(body))), buf[:n]...)
	default:
		return body, plainBlock
	}
	if len(out) > len(body)-len(body)/8 {
		return body, plainBlock
	}
	return out, t
}

// decompress returns the content of a block. A plain one is not copied.
func decompress(body []byte, t blockType) ([]byte, error) {
	switch t {
	case plainBlock:
		return body, nil
	case snappyBlock:
		if n, err := snappy.DecodedLen(body); err != nil || n > maxBlock {
			return nil, errBlock
		}
		out, err := snappy.Decode(nil, body)
		if err != nil {
			return nil, errBlock
		}
		return out, nil
	case zstdBlock, lz4Block, lz4hcBlock:
	default:
		return nil, fmt.Errorf("its compression type %d is unknown", t)
	}
	size, n := binary.Uvarint(body)
	if n <= 0 || size > maxBlock {
		return nil, errBlock
	}
	var out []byte
	var err error
	if t == zstdBlock {
		out, err = zstdDecoder.DecodeAll(body[n:], nil)
	} else {
		out = make([]byte, size)
		var got int
		got, err = lz4.UncompressBlock(body[n:], out)
		out = out[:max(got, 0)]
	}
	if err != nil || uint64(len(out)) != size {
		return nil, errBlock
	}
	return out, nil
}
