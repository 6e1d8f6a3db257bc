package csv

import (
	"slices"

	"github.com/sluicedb/sluice/importcore/format"
)

// decodingReader is a reader of files in other character sets than UTF-8: it
// decodes a block and reads the rows of that.
type decodingReader struct {
	reader
	charset string
	bad     []int // places in data that can't be decoded, behind the rows so far
	rowBad  []int // those of the present row
}

// Reset decodes a block.
func (r *decodingReader) Reset(b *format.Block) {
	r.reader.Reset(b)
	r.text.Decode(b.Data, true)
	r.data, r.bad, r.rowBad = r.text.Data, r.text.Bad, nil
}

// Next returns the fields of the next row, with a *format.ForeignText if some
// of it can't be decoded. An error of the row itself comes first.
func (r *decodingReader) Next() ([]format.Field, error) {
	fields, err := r.reader.Next()
	if len(r.bad) == 0 || r.bad[0] >= r.next {
		r.rowBad = nil
		return fields, err
	}
	n, _ := slices.BinarySearch(r.bad, r.next)
	r.rowBad, r.bad = r.bad[:n], r.bad[n:]
	if err == nil {
		err = r.foreign()
	}
	return fields, err
}

// foreign finds the fields of the present row that rowBad are in. The row
// parser knows their places, which the fields themselves don't tell once they are unescaped.
func (r *decodingReader) foreign() *format.ForeignText {
	e := &format.ForeignText{Charset: r.charset}
	r.parser.parse(r.data, r.start, true)
	for i, f := range r.parser.fields {
		from, _ := slices.BinarySearch(r.rowBad, f.start)
		to, _ := slices.BinarySearch(r.rowBad, f.end)
		if from < to {
			e.Fields = append(e.Fields, i)
			e.Texts = append(e.Texts, r.text.Restore(f.start, f.end))
		}
	}
	return e
}

// Row returns the present row.
func (r *decodingReader) Row() []byte {
	if len(r.rowBad) == 0 {
		return r.reader.Row()
	}
	return r.text.Restore(r.start, r.next)
}
