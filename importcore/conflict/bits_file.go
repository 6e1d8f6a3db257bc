package conflict

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A set's lasting form is a file with a header and a record for each page that
// has any of its numbers, in ascending order, all little-endian:
//
//	"slcbits1" | count of numbers (8)
//	page number (4) | ones (4) | words (4096), without them for a full page | CRC32C of the record (4)
const bitsMagic = "slcbits1"

// WriteFile writes a frozen set to a file, which is there for good when it returns.
func (b *Bits) WriteFile(path string) (err error) {
	defer func() {
		if err != nil {
			err = b.failed(err, codeErrorOnWrite)
		}
	}()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 64<<10)
	head := binary.LittleEndian.AppendUint64([]byte(bitsMagic), uint64(b.count))
	if _, err := w.Write(head); err != nil {
		return err
	}
	var stored [pageWords]uint64
	for number, place := range b.places {
		words := &stored
		switch p := b.pages[number]; {
		case p != nil:
			words = &p.words
		case place == pageEmpty:
			continue
		case place == pageFull:
			words = nil
		default:
			if err := b.read(place, words); err != nil {
				return err
			}
		}
		if _, err := w.Write(bitsRecord(number, words)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// bitsRecord returns a page's record; nil words are a full page.
func bitsRecord(number int, words *[pageWords]uint64) []byte {
	rec := binary.LittleEndian.AppendUint32(make([]byte, 0, pageBytes+12), uint32(number))
	if words == nil {
		rec = binary.LittleEndian.AppendUint32(rec, pageBits)
	} else {
		rec = binary.LittleEndian.AppendUint32(rec, 0)
		for _, w := range words {
			rec = binary.LittleEndian.AppendUint64(rec, w)
		}
	}
	return binary.LittleEndian.AppendUint32(rec, crc32.Checksum(rec, castagnoli))
}

// ReadBits returns the frozen set that WriteFile has written, with the memory and the directory of
// NewBits. The caller closes it. What is damaged or cut short is an error.
func ReadBits(path, dir string, memory int64) (_ *Bits, err error) {
	b := NewBits(dir, memory)
	defer func() {
		if err != nil {
			err = errors.Join(b.failed(err, codeErrorOnRead), b.Close())
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := b.readFrom(bufio.NewReaderSize(f, 64<<10)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b.Freeze()
	return b, nil
}

func (b *Bits) readFrom(r io.Reader) error {
	head := make([]byte, len(bitsMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	if string(head[:len(bitsMagic)]) != bitsMagic {
		return errDamaged
	}
	count := int64(binary.LittleEndian.Uint64(head[len(bitsMagic):]))
	for b.count < count {
		if err := b.readRecord(r); err != nil {
			return err
		}
	}
	if n, err := r.Read(head[:1]); b.count != count || n != 0 || !errors.Is(err, io.EOF) {
		return errDamaged
	}
	return nil
}

// readRecord adds a page, which comes behind those that are there.
func (b *Bits) readRecord(r io.Reader) error {
	rec := make([]byte, pageBytes+12)
	if _, err := io.ReadFull(r, rec[:8]); err != nil {
		return unexpected(err)
	}
	number, full := int(binary.LittleEndian.Uint32(rec)), binary.LittleEndian.Uint32(rec[4:]) == pageBits
	size := pageBytes + 12
	if full {
		size = 12
	}
	if _, err := io.ReadFull(r, rec[8:size]); err != nil {
		return unexpected(err)
	}
	if number < len(b.places) || number > 1<<31-2 || crc32.Checksum(rec[:size-4], castagnoli) != binary.LittleEndian.Uint32(rec[size-4:]) {
		return errDamaged
	}
	for len(b.places) <= number {
		b.places, b.pages = append(b.places, pageEmpty), append(b.pages, nil)
	}
	if full {
		b.places[number] = pageFull
		b.count += pageBits
		return nil
	}
	p, err := b.page(number)
	if err != nil {
		return err
	}
	for i := range p.words {
		p.words[i] = binary.LittleEndian.Uint64(rec[8+8*i:])
	}
	p.recount()
	p.dirty = true
	b.count += int64(p.ones)
	return nil
}

// unexpected makes an end of the file in the middle of something an error that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
