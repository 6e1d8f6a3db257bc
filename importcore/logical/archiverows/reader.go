package archiverows

import (
	"io"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// reader is a format.RowReader.
type reader struct {
	rows    *Rows
	decoder *archive.RowDecoder
	err     error // lasts

	block  *format.Block
	data   []byte // of the block, what is left
	next   int64  // number of the row that comes next
	fields []format.Field
	text   []byte // of the present row's fields, one behind the other
	ends   []int  // where each ends in text
}

// Reset implements format.RowReader.
func (r *reader) Reset(b *format.Block) {
	r.block, r.data, r.next = b, b.Data, b.FirstRow
	r.fields = r.fields[:0]
}

// Next implements format.RowReader.
func (r *reader) Next() ([]format.Field, error) {
	if r.err != nil {
		return nil, r.err
	}
	if len(r.data) == 0 {
		return nil, io.EOF
	}
	var key, value []byte
	var ok bool
	if key, r.data, ok = cutBytes(r.data); ok {
		value, r.data, ok = cutBytes(r.data)
	}
	if !ok {
		r.err = fault.New(fault.Sluice, 0, "a block of %s can't be read", r.block.File.Path)
		return nil, r.err
	}
	r.next++
	if r.err = fault.Contain(func() error { return r.read(key, value) })(); r.err != nil { // values trust their bytes
		r.err = archive.NotDecoded(r.rows.parts[r.block.FileIndex], key, r.err)
		return nil, r.err
	}
	return r.fields, nil
}

// read decodes a row into fields.
func (r *reader) read(key, value []byte) error {
	row, err := r.decoder.Decode(key, value)
	if err != nil {
		return err
	}
	r.fields, r.text, r.ends = r.fields[:0], r.text[:0], r.ends[:0]
	for i := range row {
		f := format.Field{Null: row[i].IsNull()}
		if !f.Null {
			if r.text, f.Kind, err = appendValue(r.text, &row[i], r.rows.columns[i]); err != nil {
				return err
			}
		}
		r.fields, r.ends = append(r.fields, f), append(r.ends, len(r.text))
	}
	from := 0
	for i, end := range r.ends { // only now text stays where it is
		if !r.fields[i].Null {
			r.fields[i].Bytes = r.text[from:end:end]
		}
		from = end
	}
	return nil
}

// Row implements format.RowReader: the fields, as the lines of a text.
func (r *reader) Row() []byte {
	var text []byte
	for i, f := range r.fields {
		if i > 0 {
			text = append(text, '\t')
		}
		if f.Null {
			text = append(text, "NULL"...)
			continue
		}
		text = append(text, f.Bytes...)
	}
	return text
}

// Place implements format.RowReader. There are no lines and no offsets that a user could look at.
func (r *reader) Place() format.RowPlace { return format.RowPlace{Row: r.next - 1} }
