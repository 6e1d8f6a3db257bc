package encode

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/pingcap/tidb/pkg/types"
)

// TiDB's binary JSON, all numbers little-endian:
//
//	object   #members u32 | bytes u32 | key entries | value entries | keys | values
//	array    #elements u32 | bytes u32 | value entries | values
//	key entry    offset u32 | length u16; keys are sorted
//	value entry  type u8 | offset u32, or the value itself if it is null, true or false
//	string   length uvarint | bytes
//	numbers  8 bytes
//
// Offsets count from the start of the object or array.
const (
	jsonHeader     = 8
	jsonKeyEntry   = 6
	jsonValueEntry = 5
	// Deeper documents and ones of more values go through TiDB's own code.
	maxJSONDepth = 32
	maxJSONNodes = 1 << 16
)

// jsonNode is a value of a document. Nodes of one object or array are linked.
type jsonNode struct {
	kind     types.JSONTypeCode
	key      []byte // in an object
	text     []byte // string
	bits     uint64 // number; literal code
	children int32
	first    int32 // child, -1 if there is none
	next     int32 // sibling, -1 behind the last
}

// jsonReader reads documents into nodes and writes them in binary. It takes
// what is valid JSON without escapes in strings and without members of the same
// name. Its slices are reused.
type jsonReader struct {
	text  []byte
	pos   int
	nodes []jsonNode
	order []int32 // members being sorted, a stack
}

// read reads a document that is valid UTF-8 and reports whether it is one that it takes.
func (j *jsonReader) read(text []byte) bool {
	j.text, j.pos, j.nodes = text, 0, j.nodes[:0]
	j.space()
	if j.value(0) < 0 {
		return false
	}
	j.space()
	return j.pos == len(j.text)
}

func (j *jsonReader) space() {
	for j.pos < len(j.text) {
		switch j.text[j.pos] {
		case ' ', '\t', '\n', '\r':
			j.pos++
		default:
			return
		}
	}
}

// peek returns the byte to read next, 0 at the end.
func (j *jsonReader) peek() byte {
	if j.pos < len(j.text) {
		return j.text[j.pos]
	}
	return 0
}

func (j *jsonReader) add(n jsonNode) int32 {
	if len(j.nodes) >= maxJSONNodes {
		return -1
	}
	n.first, n.next = -1, -1
	j.nodes = append(j.nodes, n)
	return int32(len(j.nodes) - 1)
}

// value reads a value and returns its node, or -1.
func (j *jsonReader) value(depth int) int32 {
	switch c := j.peek(); c {
	case '{', '[':
		if depth == maxJSONDepth {
			return -1
		}
		j.pos++
		if c == '{' {
			return j.container(j.add(jsonNode{kind: types.JSONTypeCodeObject}), '}', depth)
		}
		return j.container(j.add(jsonNode{kind: types.JSONTypeCodeArray}), ']', depth)
	case '"':
		text, ok := j.str()
		if !ok {
			return -1
		}
		return j.add(jsonNode{kind: types.JSONTypeCodeString, text: text})
	case 'n':
		return j.literal("null", types.JSONLiteralNil)
	case 't':
		return j.literal("true", types.JSONLiteralTrue)
	case 'f':
		return j.literal("false", types.JSONLiteralFalse)
	default:
		return j.number()
	}
}

func (j *jsonReader) literal(name string, code byte) int32 {
	if !bytes.HasPrefix(j.text[j.pos:], []byte(name)) {
		return -1
	}
	j.pos += len(name)
	return j.add(jsonNode{kind: types.JSONTypeCodeLiteral, bits: uint64(code)})
}

// container reads the members or elements of a node up to the closing bracket.
func (j *jsonReader) container(node int32, closing byte, depth int) int32 {
	if node < 0 {
		return -1
	}
	last := int32(-1)
	j.space()
	if j.peek() == closing {
		j.pos++
		return node
	}
	for {
		var key []byte
		if closing == '}' {
			var ok bool
			j.space()
			if key, ok = j.str(); !ok || len(key) > math.MaxUint16 {
				return -1
			}
			j.space()
			if j.peek() != ':' {
				return -1
			}
			j.pos++
		}
		j.space()
		child := j.value(depth + 1)
		if child < 0 {
			return -1
		}
		j.nodes[child].key = key
		if last < 0 {
			j.nodes[node].first = child
		} else {
			j.nodes[last].next = child
		}
		last = child
		j.nodes[node].children++
		j.space()
		switch c := j.peek(); c {
		case ',':
			j.pos++
		case closing:
			j.pos++
			return node
		default:
			return -1
		}
	}
}

// str reads a string without escapes.
func (j *jsonReader) str() (text []byte, ok bool) {
	if j.peek() != '"' {
		return nil, false
	}
	start := j.pos + 1
	for i := start; i < len(j.text); i++ {
		switch c := j.text[i]; {
		case c == '"':
			j.pos = i + 1
			return j.text[start:i], true
		case c == '\\' || c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// number reads integers of up to 18 digits as such, and numbers with a fraction or exponent as floats.
func (j *jsonReader) number() int32 {
	start := j.pos
	if j.peek() == '-' {
		j.pos++
	}
	first := j.pos
	whole := j.digits()
	if whole == 0 || whole > 1 && j.text[first] == '0' {
		return -1
	}
	integer := true
	if j.peek() == '.' {
		j.pos++
		if integer = false; j.digits() == 0 {
			return -1
		}
	}
	if c := j.peek(); c == 'e' || c == 'E' {
		j.pos++
		if c := j.peek(); c == '+' || c == '-' {
			j.pos++
		}
		if integer = false; j.digits() == 0 {
			return -1
		}
	}
	if integer {
		u, ok := parseDigits(j.text[first:j.pos])
		if !ok || whole > 18 {
			return -1
		}
		if first > start {
			u = -u
		}
		return j.add(jsonNode{kind: types.JSONTypeCodeInt64, bits: u})
	}
	f, err := strconv.ParseFloat(unsafe.String(&j.text[start], j.pos-start), 64)
	if err != nil {
		return -1
	}
	return j.add(jsonNode{kind: types.JSONTypeCodeFloat64, bits: math.Float64bits(f)})
}

// digits passes over digits and returns how many there are.
func (j *jsonReader) digits() int {
	start := j.pos
	for j.pos < len(j.text) && j.text[j.pos]-'0' <= 9 {
		j.pos++
	}
	return j.pos - start
}

// append appends the value of a node. It reports false if an object has two members of one name.
func (j *jsonReader) append(dst []byte, node int32) ([]byte, bool) {
	n := &j.nodes[node]
	switch n.kind {
	case types.JSONTypeCodeLiteral:
		return append(dst, byte(n.bits)), true
	case types.JSONTypeCodeString:
		return append(binary.AppendUvarint(dst, uint64(len(n.text))), n.text...), true
	case types.JSONTypeCodeObject, types.JSONTypeCodeArray:
		return j.appendContainer(dst, n)
	default:
		return binary.LittleEndian.AppendUint64(dst, n.bits), true
	}
}

func (j *jsonReader) appendContainer(dst []byte, n *jsonNode) ([]byte, bool) {
	from := len(j.order)
	defer func() { j.order = j.order[:from] }()
	for child := n.first; child >= 0; child = j.nodes[child].next {
		j.order = append(j.order, child)
	}
	children := j.order[from:]
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(children)))
	entries := start + jsonHeader
	size := jsonHeader + len(children)*jsonValueEntry
	if n.kind == types.JSONTypeCodeObject {
		if !j.sortMembers(children) {
			return dst, false
		}
		size += len(children) * jsonKeyEntry
	}
	dst = slices.Grow(dst, size)[:start+size]
	clear(dst[start+4:])
	if n.kind == types.JSONTypeCodeObject {
		for _, child := range children {
			key := j.nodes[child].key
			binary.LittleEndian.PutUint32(dst[entries:], uint32(len(dst)-start))
			binary.LittleEndian.PutUint16(dst[entries+4:], uint16(len(key)))
			entries += jsonKeyEntry
			dst = append(dst, key...)
		}
	}
	for _, child := range children {
		c := &j.nodes[child]
		if dst[entries] = c.kind; c.kind == types.JSONTypeCodeLiteral {
			dst[entries+1] = byte(c.bits)
		} else {
			binary.LittleEndian.PutUint32(dst[entries+1:], uint32(len(dst)-start))
			var ok bool
			if dst, ok = j.append(dst, child); !ok {
				return dst, false
			}
		}
		entries += jsonValueEntry
	}
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start))
	return dst, true
}

// sortMembers sorts nodes by key and reports whether all keys differ.
func (j *jsonReader) sortMembers(members []int32) bool {
	if len(members) > 16 {
		slices.SortFunc(members, func(a, b int32) int { return bytes.Compare(j.nodes[a].key, j.nodes[b].key) })
	} else {
		for i := 1; i < len(members); i++ {
			for k := i; k > 0 && bytes.Compare(j.nodes[members[k]].key, j.nodes[members[k-1]].key) < 0; k-- {
				members[k], members[k-1] = members[k-1], members[k]
			}
		}
	}
	for i := 1; i < len(members); i++ {
		if bytes.Equal(j.nodes[members[i]].key, j.nodes[members[i-1]].key) {
			return false
		}
	}
	return true
}

// parseJSON takes plain documents; see jsonReader.
func parseJSON(e *Encoder, _ *column, field []byte, c *cell) bool {
	if !validUTF8(field) || !e.json.read(field) {
		return false
	}
	start := len(e.scratch)
	out, ok := e.json.append(append(e.scratch, e.json.nodes[0].kind), 0)
	if !ok {
		return false
	}
	e.scratch = out
	c.b = out[start:len(out):len(out)]
	return true
}
