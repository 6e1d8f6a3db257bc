// Package decode turns the bytes of files in other character sets into UTF-8,
// stretch by stretch, and knows for every byte of the result where in the file
// it comes from. Bytes that are no character are told of; each stands as a
// byte that is no UTF-8 and equals nothing that is searched for.
//
// A stretch may start wherever a character does. In these character sets the
// second byte of a character may look like an ASCII one, a backslash for example, so
// nothing but what is decoded can be searched for such a byte. Line feeds and
// carriage returns are never a part of a character.
package decode

import (
	"encoding/binary"
	"slices"
	"sort"
	"unicode/utf8"
)

// Text is a stretch of a file, decoded. Its buffers are reused from one
// stretch to the next. It belongs to one goroutine.
type Text struct {
	// Data is what the stretch is in UTF-8, apart from the bytes of Bad. It is
	// valid until the next Decode.
	Data []byte
	// Bad are the places in Data of bytes that are no character, ascending. Data
	// has 0xFF there, for each of them.
	Bad []int

	charset *Charset
	raw     []byte // as far as decoded
	final   bool
	marks   []mark
}

// mark says that Data[data:] comes from raw[raw:]. There is one for each step
// of raw bytes.
type mark struct{ raw, data int }

const step = 4 << 10

const badByte = 0xff

// keptText is how many bytes of text are kept from one stretch to the next that is far shorter.
const keptText = 8 << 20

// NewText returns an empty text of a character set.
func NewText(c *Charset) *Text { return &Text{charset: c} }

// Decode takes the next stretch and returns how many bytes of it are in Data:
// all, or without final, those before a character that raw ends in. raw must
// not change before the next Decode.
func (t *Text) Decode(raw []byte, final bool) int {
	if cap(t.Data) > keptText && 2*len(raw) < keptText {
		t.Data, t.marks = nil, nil
	}
	t.Data, t.Bad, t.marks, t.final = t.Data[:0], t.Bad[:0], t.marks[:0], final
	pos, next := 0, 0
	for pos < len(raw) {
		if pos >= next {
			t.marks = append(t.marks, mark{raw: pos, data: len(t.Data)})
			next = min(pos+step, len(raw))
		}
		if n := t.plain(raw[pos:next]); n > 0 {
			pos += n
			continue
		}
		r, size := t.charset.char(raw[pos:], final)
		if size == 0 {
			break
		}
		if r == none {
			for range size {
				t.Bad = append(t.Bad, len(t.Data))
				t.Data = append(t.Data, badByte)
			}
		} else {
			t.Data = utf8.AppendRune(t.Data, r)
		}
		pos += size
	}
	t.raw = raw[:pos]
	return pos
}

// Source returns where in the stretch the character starts that Data[pos] is a
// part of; for the end of Data it is how many bytes were decoded.
func (t *Text) Source(pos int) int {
	if pos >= len(t.Data) {
		return len(t.raw)
	}
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].data > pos }) - 1
	at := t.marks[i]
	for {
		r, size := t.charset.char(t.raw[at.raw:], t.final)
		length := size // of bytes that are no character
		if r != none {
			length = utf8.RuneLen(r)
		}
		switch {
		case pos >= at.data+length:
			at.raw += size
			at.data += length
		case r == none:
			return at.raw + pos - at.data
		default:
			return at.raw
		}
	}
}

// Restore returns a copy of Data[start:end] with the file's bytes in the places
// of Bad.
func (t *Text) Restore(start, end int) []byte {
	b := slices.Clone(t.Data[start:end])
	i, _ := slices.BinarySearch(t.Bad, start)
	for ; i < len(t.Bad) && t.Bad[i] < end; i++ {
		b[t.Bad[i]-start] = t.raw[t.Source(t.Bad[i])]
	}
	return b
}

// plain decodes what is certain without a closer look, at most a step: ASCII and
// pairs that are characters. It returns how many bytes that is.
func (t *Text) plain(raw []byte) (pos int) {
	t.Data = slices.Grow(t.Data, 2*len(raw)+8) // two bytes become three at most
	out, n := t.Data[:cap(t.Data)], len(t.Data)
	pairs := t.charset.pairs
	for pos < len(raw) {
		if len(raw)-pos >= 8 {
			if w := binary.LittleEndian.Uint64(raw[pos:]); w&0x8080808080808080 == 0 {
				binary.LittleEndian.PutUint64(out[n:], w)
				pos += 8
				n += 8
				continue
			}
		}
		b := raw[pos]
		if b < utf8.RuneSelf {
			out[n] = b
			pos++
			n++
			continue
		}
		if pairs == nil || b < firstLead || b > lastLead || pos+1 == len(raw) || raw[pos+1] < firstTrail {
			break
		}
		r := pairs[pairIndex(b, raw[pos+1])]
		if r == none {
			break
		}
		if r >= 0x800 {
			out[n], out[n+1], out[n+2] = 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf
			n += 3
		} else {
			n += utf8.EncodeRune(out[n:], r)
		}
		pos += 2
	}
	t.Data = out[:n]
	return pos
}
