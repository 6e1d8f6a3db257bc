package decode

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Charset is a character set whose bytes have to be decoded. It is immutable
// and safe for concurrent use.
type Charset struct {
	name   string
	single *[256]rune // of one byte; none where there is no character
	pairs  []rune     // of two bytes, see pairIndex; nil if a byte is a character
	fours  []rune     // the first of four bytes, see fourIndex; nil if there are no such
}

// none stands for bytes that are no character.
const none rune = -1

// Find returns the character set of IMPORT INTO's option CHARACTER_SET, in
// lower case; nil for those whose bytes are taken as they are: binary, utf8,
// utf8mb4, ascii and "".
//
// The tables are those that TiDB's IMPORT INTO uses: latin1 is Windows code page
// 1252, and in gbk and gb18030 the byte 0x80 is the euro sign, as in code page 936.
// What has no character there is none here, while TiDB puts U+FFFD in its place.
func Find(name string) *Charset {
	switch name {
	case "latin1":
		return latin1()
	case "gbk":
		return gbk()
	case "gb18030":
		return gb18030()
	}
	return nil
}

// Name returns the name as the option has it.
func (c *Charset) Name() string { return c.name }

var latin1 = sync.OnceValue(func() *Charset {
	c := &Charset{name: "latin1", single: new([256]rune)}
	for b := range c.single {
		if c.single[b] = charmap.Windows1252.DecodeByte(byte(b)); c.single[b] == utf8.RuneError {
			c.single[b] = none
		}
	}
	return c
})

var gbk = sync.OnceValue(func() *Charset { return chinese("gbk", simplifiedchinese.GBK) })

var gb18030 = sync.OnceValue(func() *Charset {
	c := chinese("gb18030", simplifiedchinese.GB18030)
	c.fours = make([]rune, basicFours)
	decoder := simplifiedchinese.GB18030.NewDecoder()
	for i := range c.fours {
		c.fours[i] = ask(decoder, []byte{byte(firstLead + i/12600), byte('0' + i/1260%10), byte(firstLead + i/10%126), byte('0' + i%10)})
	}
	return c
})

// Bytes of characters of more than one byte. A second byte is firstTrail or
// more; in gb18030 the second and fourth of four are digits. So a line feed, a
// carriage return, a comma or a double quote is never a part of a character,
// but a backslash or a vertical bar may be.
const (
	firstLead, lastLead = 0x81, 0xfe
	firstTrail          = 0x40
	euro                = 0x80
	trails              = 0x100 - firstTrail
)

// Characters of four bytes, in the order of their bytes: those of Unicode's
// basic plane, and from firstOther on those of the other planes, in Unicode's order.
const (
	basicFours = 39420
	firstOther = 189000
)

func fourIndex(b []byte) int {
	return (int(b[0]-firstLead)*10+int(b[1]-'0'))*1260 + int(b[2]-firstLead)*10 + int(b[3]-'0')
}

func pairIndex(lead, trail byte) int { return int(lead-firstLead)*trails + int(trail-firstTrail) }

// chinese asks the encoding for each byte and pair.
func chinese(name string, enc encoding.Encoding) *Charset {
	c := &Charset{name: name, single: new([256]rune)}
	decoder := enc.NewDecoder()
	for b := range c.single {
		if c.single[b] = none; b < utf8.RuneSelf || b == euro {
			c.single[b] = ask(decoder, []byte{byte(b)})
		}
	}
	c.pairs = make([]rune, (lastLead-firstLead+1)*trails)
	for lead := firstLead; lead <= lastLead; lead++ {
		for trail := firstTrail; trail <= 0xff; trail++ {
			r := none
			if trail != 0x7f && trail != 0xff {
				r = ask(decoder, []byte{byte(lead), byte(trail)})
			}
			c.pairs[pairIndex(byte(lead), byte(trail))] = r
		}
	}
	return c
}

// ask returns the character that the decoder makes of all of src, or none.
func ask(decoder *encoding.Decoder, src []byte) rune {
	var dst [utf8.UTFMax]byte
	n, taken, err := decoder.Transform(dst[:], src, true)
	r, size := utf8.DecodeRune(dst[:n])
	if err != nil || taken != len(src) || size != n || r == utf8.RuneError && string(src) != replacement {
		return none
	}
	return r
}

// replacement is U+FFFD in gb18030, where it is a character like any other.
const replacement = "\x84\x31\xa4\x37"

// char returns the character at the start of src, which is not empty, and its
// length in bytes: none and how many bytes are no character, or a length of 0 if
// more bytes are needed to know, never if final.
func (c *Charset) char(src []byte, final bool) (r rune, size int) {
	b := src[0]
	if r = c.single[b]; r != none || c.pairs == nil || b < firstLead || b > lastLead {
		return r, 1
	}
	if len(src) == 1 {
		return none, incomplete(final)
	}
	if trail := src[1]; trail >= firstTrail {
		if trail == 0x7f || trail == 0xff {
			return none, 1
		}
		return c.pairs[pairIndex(b, trail)], 2
	}
	if c.fours == nil || !isDigit(src[1]) {
		return none, 1
	}
	return c.fourBytes(src, final)
}

// fourBytes is char for a lead byte with a digit behind it.
func (c *Charset) fourBytes(src []byte, final bool) (rune, int) {
	switch {
	case len(src) > 2 && (src[2] < firstLead || src[2] > lastLead):
		return none, 1
	case len(src) > 3 && !isDigit(src[3]):
		return none, 1
	case len(src) < 4:
		return none, incomplete(final)
	}
	switch i := fourIndex(src); {
	case i < basicFours:
		return c.fours[i], 4
	case i >= firstOther && i-firstOther+0x10000 <= utf8.MaxRune:
		return rune(i - firstOther + 0x10000), 4
	}
	return none, 4
}

// incomplete is the length of a character that the data end in.
func incomplete(final bool) int {
	if final {
		return 1
	}
	return 0
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
