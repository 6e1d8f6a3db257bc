package conflict

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"slices"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Sizes of the pages of Bits.
const (
	pageShift = 15
	pageBits  = 1 << pageShift
	pageWords = pageBits / 64
	pageBytes = pageBits / 8
)

// States of a page that is not in memory; other values are its place in the file.
const (
	pageEmpty = -1 // none of its numbers
	pageFull  = -2 // all of them
)

// MySQL's error numbers for files.
const (
	codeErrorOnRead  = 1024 // ER_ERROR_ON_READ
	codeErrorOnWrite = 1026 // ER_ERROR_ON_WRITE
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("the file is damaged")

// Bits is a set of non-negative numbers with bounded memory. Pages beyond the
// bound lie in a file, each with its CRC32C in memory. It is filled by one goroutine; afterwards
// several may read it, each with its own BitsReader.
type Bits struct {
	dir    string
	limit  int // pages in memory
	count  int64
	pages  []*bitPage // by number; nil: not in memory
	places []int32    // by number: where it is, in the file or pageEmpty or pageFull
	crcs   []uint32   // by place in the file
	// ring holds the pages in memory; hand is where the search for the next to go begins.
	ring []*bitPage
	hand int
	file *os.File
}

// bitPage is a page in memory.
type bitPage struct {
	words  [pageWords]uint64
	number int
	ones   int
	used   bool // since the hand was here
	dirty  bool // differs from the file
}

// NewBits returns an empty set that holds up to memory bytes of pages, at
// least two pages. Its file is made in dir when it is needed. The caller closes it.
func NewBits(dir string, memory int64) *Bits {
	return &Bits{dir: dir, limit: int(max(memory/(pageBytes+64), 2))}
}

// Count returns how many numbers are in the set.
func (b *Bits) Count() int64 { return b.count }

// Close removes the file.
func (b *Bits) Close() error {
	b.pages, b.ring = nil, nil
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return b.failed(err, codeErrorOnWrite)
	}
	return nil
}

// Add puts n into the set and reports whether it was there.
func (b *Bits) Add(n int64) (was bool, err error) {
	number := int(n >> pageShift)
	for number >= len(b.places) {
		b.places, b.pages = append(b.places, pageEmpty), append(b.pages, nil)
	}
	if b.places[number] == pageFull && b.pages[number] == nil {
		return true, nil
	}
	p, err := b.page(number)
	if err != nil {
		return false, err
	}
	word, bit := &p.words[n%pageBits/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return true, nil
	}
	*word |= bit
	p.ones++
	p.dirty = true
	b.count++
	return false, nil
}

// Has reports whether n is in the set. It may move pages: see NewReader for several readers.
func (b *Bits) Has(n int64) (bool, error) {
	number := int(n >> pageShift)
	if number >= len(b.places) {
		return false, nil
	}
	if b.pages[number] == nil {
		switch b.places[number] {
		case pageEmpty:
			return false, nil
		case pageFull:
			return true, nil
		}
	}
	p, err := b.page(number)
	if err != nil {
		return false, err
	}
	return p.has(n), nil
}

func (p *bitPage) has(n int64) bool { return p.words[n%pageBits/64]>>(n%64)&1 != 0 }

// page brings a page into memory.
func (b *Bits) page(number int) (*bitPage, error) {
	if p := b.pages[number]; p != nil {
		p.used = true
		return p, nil
	}
	p, err := b.room()
	if err != nil {
		return nil, err
	}
	p.number, p.used, p.dirty = number, true, false
	switch place := b.places[number]; place {
	case pageEmpty:
		p.words, p.ones = [pageWords]uint64{}, 0
	default:
		if err := b.read(place, &p.words); err != nil {
			p.number = -1
			return nil, err
		}
		p.recount()
	}
	b.pages[number] = p
	return p, nil
}

func (p *bitPage) recount() {
	p.ones = 0
	for _, w := range p.words {
		p.ones += bits.OnesCount64(w)
	}
}

// room returns a page for use: a new one, or the one that was not used for longest.
func (b *Bits) room() (*bitPage, error) {
	if len(b.ring) < b.limit {
		p := &bitPage{number: -1}
		b.ring = append(b.ring, p)
		return p, nil
	}
	for {
		p := b.ring[b.hand]
		b.hand = (b.hand + 1) % len(b.ring)
		full := p.ones == pageBits
		if p.used && !full && p.number >= 0 {
			p.used = false
			continue
		}
		if p.number < 0 {
			return p, nil
		}
		if full {
			b.places[p.number] = pageFull
		} else if p.dirty {
			if err := b.write(p); err != nil {
				return nil, err
			}
		}
		b.pages[p.number] = nil
		p.number = -1
		return p, nil
	}
}

// write puts a page into the file.
func (b *Bits) write(p *bitPage) (err error) {
	if b.file == nil {
		if b.file, err = os.CreateTemp(b.dir, "rows-*.bits"); err != nil {
			return b.failed(err, codeErrorOnWrite)
		}
	}
	place := b.places[p.number]
	if place < 0 {
		place = int32(len(b.crcs))
		b.crcs = append(b.crcs, 0)
		b.places[p.number] = place
	}
	buf := make([]byte, 0, pageBytes)
	for _, w := range p.words {
		buf = binary.LittleEndian.AppendUint64(buf, w)
	}
	b.crcs[place] = crc32.Checksum(buf, castagnoli)
	if _, err := b.file.WriteAt(buf, int64(place)*pageBytes); err != nil {
		return b.failed(err, codeErrorOnWrite)
	}
	p.dirty = false
	return nil
}

// read gets a page from the file. It may be called by several goroutines when nothing is written.
func (b *Bits) read(place int32, into *[pageWords]uint64) error {
	var buf [pageBytes]byte
	if _, err := b.file.ReadAt(buf[:], int64(place)*pageBytes); err != nil {
		return b.failed(err, codeErrorOnRead)
	}
	if crc32.Checksum(buf[:], castagnoli) != b.crcs[place] {
		return b.failed(errDamaged, codeErrorOnRead)
	}
	for i := range into {
		into[i] = binary.LittleEndian.Uint64(buf[8*i:])
	}
	return nil
}

func (b *Bits) failed(err error, code uint16) error {
	return fault.Wrap(err, fault.User, code, "the set of conflicting rows in the sort directory %s can't be read or written", b.dir)
}

// Freeze ends the filling: readers may be made, and nothing may be added any more.
// Pages that are in memory stay there.
func (b *Bits) Freeze() {
	for _, p := range b.ring {
		if p.number >= 0 && p.ones == pageBits {
			b.places[p.number] = pageFull
			b.pages[p.number] = nil
			p.number = -1
		}
	}
	b.ring = slices.DeleteFunc(b.ring, func(p *bitPage) bool { return p.number < 0 })
}

// readerPages is how many pages of the file a reader keeps: 64 KiB.
const readerPages = 16

// BitsReader asks a frozen set. It is used by one goroutine.
type BitsReader struct {
	b     *Bits
	cache [readerPages]*bitPage
}

// NewReader returns a reader of a set that Freeze was called for.
func (b *Bits) NewReader() *BitsReader { return &BitsReader{b: b} }

// Has reports whether n is in the set. Errors are those of the file.
func (r *BitsReader) Has(n int64) (bool, error) {
	number := int(n >> pageShift)
	if n < 0 || number >= len(r.b.places) {
		return false, nil
	}
	if p := r.b.pages[number]; p != nil {
		return p.has(n), nil
	}
	place := r.b.places[number]
	switch place {
	case pageEmpty:
		return false, nil
	case pageFull:
		return true, nil
	}
	p := r.cache[number%readerPages]
	if p == nil {
		p = &bitPage{number: -1}
		r.cache[number%readerPages] = p
	}
	if p.number != number {
		p.number = -1
		if err := r.b.read(place, &p.words); err != nil {
			return false, fmt.Errorf("row %d: %w", n, err)
		}
		p.number = number
	}
	return p.has(n), nil
}
