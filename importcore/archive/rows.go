package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
)

// RowIter walks over the rows of a part. It is used by one goroutine.
type RowIter struct {
	pairs   *PairIter
	decoder *RowDecoder
	row     []types.Datum
	err     error
}

// RowColumns are the columns that rows have values of: all but those that are computed when they are read. The
// columns of expression indexes are not among them either.
func (t *Table) RowColumns() []*model.ColumnInfo {
	var out []*model.ColumnInfo
	for _, c := range t.Info.Columns {
		if c.State == model.StatePublic && !c.Hidden && (!c.IsGenerated() || c.GeneratedStored) {
			out = append(out, c)
		}
	}
	return out
}

// RowParts are the parts that hold rows; the others hold entries of indexes.
func (t *Table) RowParts() []*Part {
	var out []*Part
	for _, p := range t.Parts {
		record := tablecodec.GenTableRecordPrefix(p.PhysicalID)
		if string(p.Start) < string(After(record)) && string(p.End) > string(record) {
			out = append(out, p)
		}
	}
	return out
}

// Rows returns an iterator over a part's rows, in the order of their keys. Timestamps are given in a time zone. The caller
// closes it. Its errors are those of Pairs, and those of rows that can't be decoded, which name the file too.
func (a *Archive) Rows(ctx context.Context, p *Part, zone *time.Location) (*RowIter, error) {
	decoder, err := a.RowDecoder(p.Table, zone)
	if err != nil {
		return nil, err
	}
	pairs, err := a.Pairs(ctx, p)
	if err != nil {
		return nil, err
	}
	return &RowIter{pairs: pairs, decoder: decoder}, nil
}

// originalDefault is what a row has in a column that was added after it.
func originalDefault(c *model.ColumnInfo, zone *time.Location) (d types.Datum, err error) {
	value := c.GetOriginDefaultValue()
	if value == nil {
		return d, nil
	}
	text, ok := value.(string)
	if !ok {
		return d, fmt.Errorf("it is a %T", value)
	}
	ctx := types.DefaultStmtNoWarningContext.WithLocation(zone)
	if c.GetType() == mysql.TypeTimestamp && c.Version >= model.ColumnInfoVersion1 && text != types.ZeroDatetimeStr {
		from := types.NewStringDatum(text)
		d, err = from.ConvertTo(ctx.WithLocation(time.UTC), &c.FieldType)
		if err == nil {
			t := d.GetMysqlTime()
			err = t.ConvertTimeZone(time.UTC, zone)
			d.SetMysqlTime(t)
		}
		return d, err
	}
	from := types.NewStringDatum(text)
	if c.GetType() == mysql.TypeBit {
		from = types.NewBinaryLiteralDatum(types.BinaryLiteral(text))
	}
	return from.ConvertTo(ctx, &c.FieldType)
}

// Next moves to the next row; false at the end or after an error.
func (it *RowIter) Next() bool {
	for it.err == nil && it.pairs.Next() {
		if !tablecodec.IsRecordKey(it.pairs.Key()) {
			continue
		}
		if it.pairs.Deleted() {
			it.err = errors.New("rows of an archive that continues another one can't be read on their own")
			return false
		}
		if it.row, it.err = it.decoder.Decode(it.pairs.Key(), it.pairs.Value()); it.err != nil {
			it.err = NotDecoded(it.pairs.part, it.pairs.Key(), it.err)
			return false
		}
		return true
	}
	if it.err == nil {
		it.err = it.pairs.Err()
	}
	return false
}

// NotDecoded is the error of a row of a part's files that RowDecoder can't decode.
func NotDecoded(p *Part, key []byte, cause error) error {
	return damaged(p.Write.Path, fmt.Errorf("the row with key %x can't be decoded: %w", key, cause))
}

// Row returns the present row: a value for each of RowColumns, valid until the next call of Next.
func (it *RowIter) Row() []types.Datum { return it.row }

// Err returns what made Next return false, nil at the end of whole files.
func (it *RowIter) Err() error { return it.err }

// Close closes the files.
func (it *RowIter) Close() error { return it.pairs.Close() }
