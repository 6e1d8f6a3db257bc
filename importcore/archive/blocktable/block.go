package blocktable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// trailerLen is what follows a block in the file: compression type and checksum.
const trailerLen = 1 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the sum that a trailer holds: CRC-32C, rotated and shifted as LevelDB does, because
// sums of data that holds sums are weak.
func maskedCRC(block []byte) uint32 {
	sum := crc32.Checksum(block, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// unpack checks a block as it is in the file, with its trailer, and returns its content. The
// result is raw's memory, buf's, or new; a later call with the same buf overwrites it.
func unpack(raw, buf []byte, version uint32) ([]byte, error) {
	n := len(raw) - trailerLen
	if n < 0 {
		return nil, errors.New("a block is too short")
	}
	if sum := binary.LittleEndian.Uint32(raw[n+1:]); sum != maskedCRC(raw[:n+1]) {
		return nil, errors.New("the checksum of a block is wrong")
	}
	return decompress(compression(raw[n]), raw[:n], buf, version)
}

const (
	// hashFooter is the bit of a block's last number that says that a hash index of buckets
	// follows the restarts.
	hashFooter = 1 << 31
	bucketsLen = 2
)

// entriesOf returns the part of a block that holds entries.
func entriesOf(block []byte) ([]byte, error) {
	broken := errors.New("the end of a block can't be read")
	if len(block) < 4 {
		return nil, broken
	}
	rest := len(block) - 4
	restarts := binary.LittleEndian.Uint32(block[rest:])
	if restarts&hashFooter != 0 {
		if rest < bucketsLen {
			return nil, broken
		}
		rest -= bucketsLen + int(binary.LittleEndian.Uint16(block[rest-bucketsLen:]))
		restarts &^= hashFooter
	}
	if uint64(restarts)*4 > uint64(max(rest, 0)) {
		return nil, broken
	}
	return block[:rest-int(restarts)*4], nil
}

// blockIter walks over the entries of a block.
type blockIter struct {
	rest []byte
	key  []byte // in memory of its own
	val  []byte // inside the block
	// handles says that entries of an index have no value length: their values are handles, and of those that share a part
	// of the key before only the difference in size to the handle before is there.
	handles bool
	at      handle
	err     error
}

func newBlockIter(block []byte) (*blockIter, error) {
	entries, err := entriesOf(block)
	return &blockIter{rest: entries}, err
}

func (it *blockIter) next() bool {
	if it.err != nil || len(it.rest) == 0 {
		return false
	}
	shared, b, ok1 := number(it.rest)
	own, b, ok2 := number(b)
	var size uint64
	ok3 := true
	if !it.handles {
		size, b, ok3 = number(b)
	}
	left := uint64(len(b))
	if !ok1 || !ok2 || !ok3 || shared > uint64(len(it.key)) || own > left || size > left-own {
		it.err = fmt.Errorf("an entry of a block can't be read")
		return false
	}
	it.key = append(it.key[:shared], b[:own]...)
	if it.handles {
		it.rest, it.err = it.nextHandle(b[own:], shared == 0)
		return it.err == nil
	}
	it.val, it.rest = b[own:own+size], b[own+size:]
	return true
}

// nextHandle reads a value of an index with handles and returns what is behind it.
func (it *blockIter) nextHandle(b []byte, whole bool) ([]byte, error) {
	if whole {
		h, n, err := readHandle(b)
		it.at = h
		return b[n:], err
	}
	delta, n := binary.Varint(b)
	if n <= 0 {
		return nil, errors.New("a block's size can't be read")
	}
	it.at = handle{offset: it.at.end(), size: it.at.size + uint64(delta)}
	return b[n:], nil
}

// number reads a varint and returns what is behind it.
func number(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
