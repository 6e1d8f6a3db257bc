package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
)

// RowIter walks over the rows of a part. It is used by one goroutine.
type RowIter struct {
	pairs   *PairIter
	table   *Table
	columns []*model.ColumnInfo
	types   map[int64]*types.FieldType
	handle  []int64 // ids of the columns that the handle holds
	missing []types.Datum
	zone    *time.Location

	row []types.Datum
	err error
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
	it := &RowIter{table: p.Table, columns: p.Table.RowColumns(), types: map[int64]*types.FieldType{}, zone: zone}
	for _, c := range it.columns {
		it.types[c.ID] = &c.FieldType
		missing, err := originalDefault(c, zone)
		if err != nil {
			return nil, fault.New(fault.Source, 0, "the value that rows without column %s of table %s have can't be read: %v", c.Name.O, p.Table.Info.Name.O, err)
		}
		it.missing = append(it.missing, missing)
	}
	switch info := p.Table.Info; {
	case info.PKIsHandle:
		if pk := info.GetPkColInfo(); pk != nil {
			it.handle = []int64{pk.ID}
		}
	case info.IsCommonHandle:
		for _, x := range info.Indices {
			if !x.Primary {
				continue
			}
			for _, c := range x.Columns {
				it.handle = append(it.handle, info.Columns[c.Offset].ID)
			}
		}
	}
	var err error
	it.pairs, err = a.Pairs(ctx, p)
	return it, err
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
		if it.err = fault.Contain(it.decode)(); it.err != nil { // TiDB's decoders trust what they are given
			it.err = damaged(it.pairs.part.Write.Path, fmt.Errorf("the row with key %x can't be decoded: %w", it.pairs.Key(), it.err))
			return false
		}
		return true
	}
	if it.err == nil {
		it.err = it.pairs.Err()
	}
	return false
}

// decode reads the row that the pairs stand on.
func (it *RowIter) decode() error {
	handle, err := tablecodec.DecodeRowKey(tidbkv.Key(it.pairs.Key()))
	if err != nil {
		return err
	}
	values, err := tablecodec.DecodeRowToDatumMap(it.pairs.Value(), it.types, it.zone)
	if err != nil {
		return err
	}
	if len(it.handle) > 0 {
		if values, err = tablecodec.DecodeHandleToDatumMap(handle, it.handle, it.types, it.zone, values); err != nil {
			return err
		}
	}
	it.row = it.row[:0]
	for i, c := range it.columns {
		value, ok := values[c.ID]
		if !ok {
			value = it.missing[i]
		}
		it.row = append(it.row, value)
	}
	return nil
}

// Row returns the present row: a value for each of RowColumns, valid until the next call of Next.
func (it *RowIter) Row() []types.Datum { return it.row }

// Err returns what made Next return false, nil at the end of whole files.
func (it *RowIter) Err() error { return it.err }

// Close closes the files.
func (it *RowIter) Close() error { return it.pairs.Close() }
