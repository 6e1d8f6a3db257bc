package encode

import (
	"bytes"
	"unicode/utf8"
)

// parseText takes strings that are valid in the column's charset and not longer
// than it allows. ASCII bytes mean the same in every charset; others are only
// certain in utf8mb4 (TiDB keeps all charsets as UTF-8, but checks each by its own rules).
func parseText(e *Encoder, col *column, field []byte, c *cell) bool {
	r := &col.text
	if !r.binary {
		if r.utf8mb4 {
			if !validUTF8(field) {
				return false
			}
			if r.limit >= 0 && len(field) > r.limit && (r.countBytes || utf8.RuneCount(field) > r.limit) {
				return false
			}
		} else if !isASCII(field) || (r.limit >= 0 && len(field) > r.limit) {
			return false
		}
		if r.trim {
			field = trimSpaces(field)
		}
		c.b = field
		return true
	}
	if r.limit >= 0 && len(field) > r.limit {
		return false
	}
	if r.pad && len(field) < r.limit {
		field = e.keep(field, r.limit-len(field))
	}
	c.b = field
	return true
}

func trimSpaces(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// parseEnum takes the name of a member as the table spells it.
func parseEnum(_ *Encoder, col *column, field []byte, c *cell) bool {
	v, ok := col.names[string(field)]
	c.u = v
	return ok
}

// parseSet takes names of members as the table spells them, with commas between.
func parseSet(_ *Encoder, col *column, field []byte, c *cell) bool {
	c.u = 0
	for len(field) > 0 {
		name := field
		comma := bytes.IndexByte(field, ',')
		if comma >= 0 {
			name = field[:comma]
			if field = field[comma+1:]; len(field) == 0 {
				return false // "a," names the empty member
			}
		} else {
			field = nil
		}
		v, ok := col.names[string(name)]
		if !ok {
			return false
		}
		c.u |= v
	}
	return true
}

// parseBit takes up to eight bytes as a big-endian number that fits the column.
func parseBit(_ *Encoder, col *column, field []byte, c *cell) bool {
	if len(field) > 8 {
		return false
	}
	c.u = 0
	for _, b := range field {
		c.u = c.u<<8 | uint64(b)
	}
	return c.u <= col.max
}
