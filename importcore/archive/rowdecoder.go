package archive

import (
	"errors"
	"fmt"
	"time"

	tidbkv "github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/pingcap/tidb/pkg/util/rowcodec"

	"github.com/sluicedb/sluice/importcore/fault"
)

// RowDecoder turns pairs of a table's rows into datums. It is used by one goroutine.
//
// TiDB's own decoder of handles asks a setting of the process whether strings are encoded by the new collations. Here it is the archive
// that counts: several may be read at a time, also where there is no cluster at all.
type RowDecoder struct {
	columns []*model.ColumnInfo
	types   map[int64]*types.FieldType
	rows    *rowcodec.DatumMapDecoder
	handle  []handleColumn
	missing []types.Datum // per column: what a row has that was written before the column was added
	zone    *time.Location

	values map[int64]types.Datum // of the present row, by column id
	row    []types.Datum
}

// handleColumn is a column that the keys of rows hold.
type handleColumn struct {
	id  int64
	ft  *types.FieldType
	not bool // the key doesn't hold the value itself: a prefix, or what it is compared by
}

// RowDecoder returns a decoder of a table's rows, which gives timestamps in a time zone. The error is that of a default that can't be read.
func (a *Archive) RowDecoder(t *Table, zone *time.Location) (*RowDecoder, error) {
	d := &RowDecoder{columns: t.RowColumns(), types: map[int64]*types.FieldType{}, zone: zone, values: map[int64]types.Datum{}}
	var stored []rowcodec.ColInfo
	for _, c := range d.columns {
		d.types[c.ID] = &c.FieldType
		stored = append(stored, rowcodec.ColInfo{ID: c.ID, Ft: &c.FieldType})
		missing, err := originalDefault(c, zone)
		if err != nil {
			return nil, fault.New(fault.Source, 0, "the value that rows without column %s of table %s have can't be read: %v", c.Name.O, t.Info.Name.O, err)
		}
		d.missing = append(d.missing, missing)
	}
	d.rows = rowcodec.NewDatumMapDecoder(stored, zone)
	d.handle = a.handleOf(t.Info)
	return d, nil
}

// handleOf returns the columns of a table's handle, in its order.
func (a *Archive) handleOf(info *model.TableInfo) (handle []handleColumn) {
	if pk := info.GetPkColInfo(); info.PKIsHandle && pk != nil {
		return []handleColumn{{id: pk.ID, ft: &pk.FieldType}}
	}
	if !info.IsCommonHandle {
		return nil
	}
	for _, x := range info.Indices {
		if !x.Primary {
			continue
		}
		for _, c := range x.Columns {
			of := info.Columns[c.Offset]
			compared := a.NewCollation == newCollations && types.IsNonBinaryStr(&of.FieldType) &&
				(of.GetType() == mysql.TypeVarchar || of.GetType() == mysql.TypeVarString || !isBin(of.GetCollate()))
			handle = append(handle, handleColumn{id: of.ID, ft: &of.FieldType, not: compared || c.Length != types.UnspecifiedLength})
		}
	}
	return handle
}

// newCollations is Archive.NewCollation where they are on.
const newCollations = "True"

// isBin tells whether a collation compares by bytes, so that keys hold CHAR values as they are. Those of VARCHAR lose trailing blanks.
func isBin(collate string) bool {
	switch collate {
	case "utf8mb4_bin", "utf8_bin", "latin1_bin", "ascii_bin", "binary", "utf8mb4_0900_bin":
		return true
	}
	return false
}

// Decode returns a row's values: one for each of Table.RowColumns, valid until the next call. It copies what it needs of
// key and value. Any bytes may be given; what is no row of the table is an error.
func (d *RowDecoder) Decode(key, value []byte) ([]types.Datum, error) {
	err := fault.Contain(func() error { return d.decode(key, value) })() // TiDB's decoders trust what they are given
	return d.row, err
}

func (d *RowDecoder) decode(key, value []byte) error {
	handle, err := tablecodec.DecodeRowKey(tidbkv.Key(key))
	if err != nil {
		return err
	}
	clear(d.values)
	if rowcodec.IsNewFormat(value) {
		_, err = d.rows.DecodeToDatumMap(value, d.values)
	} else {
		_, err = tablecodec.DecodeRowWithMap(value, d.types, d.zone, d.values)
	}
	if err != nil {
		return err
	}
	if err := d.fromKey(handle); err != nil {
		return err
	}
	d.row = d.row[:0]
	for i, c := range d.columns {
		v, ok := d.values[c.ID]
		if !ok {
			v = d.missing[i]
		}
		if v.IsNull() && mysql.HasNotNullFlag(c.GetFlag()) {
			return fmt.Errorf("it has no value for column %s, which is NOT NULL", c.Name.O)
		}
		d.row = append(d.row, v)
	}
	return nil
}

// fromKey adds the values that a row has in its key alone.
func (d *RowDecoder) fromKey(handle tidbkv.Handle) error {
	if len(d.handle) > 0 && !handle.IsInt() && handle.NumCols() != len(d.handle) {
		return fmt.Errorf("its key has %d values instead of %d", handle.NumCols(), len(d.handle))
	}
	for i, h := range d.handle {
		if _, there := d.values[h.id]; there {
			continue
		}
		if h.not {
			return errors.New("it lacks a value of its primary key")
		}
		v, err := handleValue(handle, h.ft, i)
		if err == nil {
			v, err = tablecodec.Unflatten(v, h.ft, d.zone)
		}
		if err != nil {
			return err
		}
		d.values[h.id] = v
	}
	return nil
}

func handleValue(handle tidbkv.Handle, ft *types.FieldType, i int) (v types.Datum, err error) {
	switch {
	case !handle.IsInt():
		_, v, err = codec.DecodeOne(handle.EncodedCol(i))
		return v, err
	case mysql.HasUnsignedFlag(ft.GetFlag()):
		return types.NewUintDatum(uint64(handle.IntValue())), nil
	default:
		return types.NewIntDatum(handle.IntValue()), nil
	}
}
