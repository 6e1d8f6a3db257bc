package sortkv

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// footer ends the file of the keys of a run. Its fields are stored in their
// order, little-endian, between the magic bytes and a CRC32C of all before it.
type footer struct {
	version     uint32
	compression Compression // 4 bytes
	suffix      uint32      // bytes at the end of every key, see Options.SuffixBytes
	pageBytes   uint32      // size of a page
	// giantBytes is the size of the largest value that has a page of its own because it is
	// larger than pages are; 0 if there is none.
	giantBytes uint32
	blockBytes uint32 // size of the largest block of the index
	depth      uint32 // levels of the index
	root       part   // off (8), size (4), CRC (4)
	keysBytes  int64  // size of the file of keys without the footer
	valueBytes int64  // size of the file of values
	pages      int64
	pairs      int64
	bytes      int64 // of keys and values, unshortened
}

const (
	footerMagic = "SluiceRn"
	footerBytes = len(footerMagic) + 7*4 + 16 + 5*8 + 4
	// runVersion is that of the form of runs that is written and read.
	runVersion = 1
)

// encode returns the footer as it is stored.
func (f *footer) encode() []byte {
	b := append(make([]byte, 0, footerBytes), footerMagic...)
	for _, v := range []uint32{f.version, uint32(f.compression), f.suffix, f.pageBytes, f.giantBytes, f.blockBytes, f.depth} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(f.root.off))
	b = binary.LittleEndian.AppendUint32(b, f.root.size)
	b = binary.LittleEndian.AppendUint32(b, f.root.crc)
	for _, v := range []int64{f.keysBytes, f.valueBytes, f.pages, f.pairs, f.bytes} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// crc returns the sum that ends the stored form.
func (f *footer) crc() uint32 {
	b := f.encode()
	return binary.LittleEndian.Uint32(b[len(b)-4:])
}

// decodeFooter reads footerBytes bytes. Everything in it is within bounds then, so
// that what it says can be read, or found to be damaged, with bounded memory.
func decodeFooter(b []byte) (f footer, err error) {
	if len(b) != footerBytes || string(b[:len(footerMagic)]) != footerMagic ||
		crc32.Checksum(b[:footerBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[footerBytes-4:]) {
		return f, fmt.Errorf("the footer: %w", errDamaged)
	}
	b = b[len(footerMagic):]
	u32 := func() uint32 {
		v := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return v
	}
	i64 := func() int64 {
		v := int64(binary.LittleEndian.Uint64(b))
		b = b[8:]
		return v
	}
	if f.version = u32(); f.version != runVersion {
		return f, fmt.Errorf("the form of the run has version %d, not %d", f.version, runVersion)
	}
	compression := u32()
	f.compression = Compression(compression)
	f.suffix, f.pageBytes, f.giantBytes, f.blockBytes, f.depth = u32(), u32(), u32(), u32(), u32()
	f.root.off = i64()
	f.root.size, f.root.crc = u32(), u32()
	f.root.stored = f.root.size
	f.keysBytes, f.valueBytes, f.pages, f.pairs, f.bytes = i64(), i64(), i64(), i64(), i64()
	if compression > uint32(CompressionZstd) || f.suffix > maxKeyBytes || f.pageBytes < pageSlack || f.pageBytes > maxPageBytes ||
		f.blockBytes > maxBlockBytes || f.depth == 0 || f.depth > maxDepth || f.root.off < 0 || f.root.size == 0 ||
		f.root.off+int64(f.root.size) != f.keysBytes || f.valueBytes < 0 || f.pages <= 0 || f.pairs < f.pages || f.bytes < 0 {
		return f, fmt.Errorf("the footer: %w", errDamaged)
	}
	return f, nil
}

// readFooter reads that of an open file of keys, which it must end.
func readFooter(keys vfs.File) (f footer, err error) {
	info, err := keys.Stat()
	if err != nil {
		return f, err
	}
	var b [footerBytes]byte
	if info.Size() < int64(footerBytes) {
		return f, fmt.Errorf("the footer of a file of %d bytes: %w", info.Size(), errDamaged)
	}
	if n, err := keys.ReadAt(b[:], info.Size()-int64(footerBytes)); n < footerBytes {
		return f, fmt.Errorf("the footer: %w", err)
	}
	if f, err = decodeFooter(b[:]); err == nil && f.keysBytes != info.Size()-int64(footerBytes) {
		err = fmt.Errorf("the footer is that of a file of %d bytes, not of %d: %w", f.keysBytes+int64(footerBytes), info.Size(), errDamaged)
	}
	return f, err
}
