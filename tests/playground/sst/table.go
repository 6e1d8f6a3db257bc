package sst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// What a table of RocksDB's format version 2 is made of: blocks of entries, each
// followed by how it is compressed and its checksum, and a footer that says where
// the index and the list of other blocks are.
const (
	trailerLen    = 5                // block type and checksum
	footerLen     = 1 + 2*20 + 4 + 8 // checksum type, two handles, version, magic
	formatVersion = 2
	checksumCRC32 = 1

	propertiesBlock = "rocksdb.properties"
)

// footerMagic ends every block-based table.
var footerMagic = []byte("\xf7\xcf\xf4\x85\xb7\x41\xe2\x88")

var (
	errTable   = errors.New("this is no table of RocksDB's format version 2")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// handle is where a block is; its length is without the trailer.
type handle struct{ offset, length uint64 }

func (h handle) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, h.offset), h.length)
}

// parseHandle decodes a handle and returns how many bytes it had, 0 for none.
func parseHandle(b []byte) (handle, int) {
	offset, n := binary.Uvarint(b)
	if n <= 0 {
		return handle{}, 0
	}
	length, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return handle{}, 0
	}
	return handle{offset, length}, n + m
}

// footer is the end of a table.
type footer struct{ meta, index handle }

func parseFooter(table []byte) (footer, error) {
	if len(table) < footerLen {
		return footer{}, errTable
	}
	b := table[len(table)-footerLen:]
	version := binary.LittleEndian.Uint32(b[footerLen-12:])
	if string(b[footerLen-8:]) != string(footerMagic) || version != formatVersion || b[0] != checksumCRC32 {
		return footer{}, errTable
	}
	var f footer
	var n, m int
	f.meta, n = parseHandle(b[1:])
	f.index, m = parseHandle(b[1+n:])
	if n == 0 || m == 0 {
		return footer{}, errTable
	}
	return f, nil
}

func (f footer) append(dst []byte) []byte {
	b := f.index.append(f.meta.append([]byte{checksumCRC32}))
	b = append(b, make([]byte, footerLen-12-len(b))...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	return append(append(dst, b...), footerMagic...)
}

// rawBlock returns a block as it is stored, and its type, when its checksum is right.
func rawBlock(table []byte, h handle) ([]byte, blockType, error) {
	size := uint64(len(table))
	if h.length > size || h.offset > size-h.length || size-h.length-h.offset < trailerLen {
		return nil, 0, fmt.Errorf("a block of %d bytes at %d is outside of the table's %d", h.length, h.offset, size)
	}
	b := table[h.offset : h.offset+h.length+trailerLen]
	body, t := b[:h.length], blockType(b[h.length])
	if got, want := blockSum(b[:h.length+1]), binary.LittleEndian.Uint32(b[h.length+1:]); got != want {
		return nil, 0, fmt.Errorf("the block at %d has checksum %08x, not %08x", h.offset, got, want)
	}
	return body, t, nil
}

// blockSum is the masked checksum of a block with its type.
func blockSum(b []byte) uint32 {
	const maskDelta = 0xa282ead8
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + maskDelta
}

// appendBlock appends a block with its trailer.
func appendBlock(table, body []byte, t blockType) ([]byte, handle) {
	h := handle{uint64(len(table)), uint64(len(body))}
	table = append(append(table, body...), byte(t))
	return binary.LittleEndian.AppendUint32(table, blockSum(table[h.offset:])), h
}

// entry is one entry of a block that is decoded.
type entry struct{ key, value []byte }

// blockEntries decodes an uncompressed block. Values point into it.
func blockEntries(b []byte) ([]entry, error) {
	if len(b) < 4 {
		return nil, errTable
	}
	restarts := uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	if restarts > uint64(len(b)-4)/4 {
		return nil, errTable
	}
	b = b[:uint64(len(b))-4-4*restarts]
	var out []entry
	var key []byte
	for len(b) > 0 {
		var lens [3]uint64 // shared with the last key, own key bytes, value
		for i := range lens {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, errTable
			}
			lens[i], b = v, b[n:]
		}
		if lens[0] > uint64(len(key)) || lens[1] > uint64(len(b)) || lens[2] > uint64(len(b))-lens[1] {
			return nil, errTable
		}
		key = slices.Concat(key[:lens[0]], b[:lens[1]])
		b = b[lens[1]:]
		out = append(out, entry{key, b[:lens[2]]})
		b = b[lens[2]:]
	}
	return out, nil
}

// encodeEntries makes a block of entries in which every key stands whole, as in
// RocksDB's index and properties.
func encodeEntries(entries []entry) []byte {
	var b, restarts []byte
	for _, e := range entries {
		restarts = binary.LittleEndian.AppendUint32(restarts, uint32(len(b)))
		b = append(b, 0) // shares nothing
		b = binary.AppendUvarint(b, uint64(len(e.key)))
		b = binary.AppendUvarint(b, uint64(len(e.value)))
		b = append(append(b, e.key...), e.value...)
	}
	if len(entries) == 0 {
		restarts = make([]byte, 4) // there is always one
	}
	return binary.LittleEndian.AppendUint32(append(b, restarts...), uint32(len(restarts)/4))
}
