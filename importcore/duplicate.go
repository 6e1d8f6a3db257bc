package importcore

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// isDuplicateKey reports whether a sorter has met a key twice.
func isDuplicateKey(err error) bool {
	var dup *sortkv.DuplicateKeyError
	return errors.As(err, &dup)
}

// describeDuplicate turns two equal keys into the error that MySQL users know;
// locateDuplicate completes it. With row numbers two equal keys are a mistake of ours.
func (r *run) describeDuplicate(err error) error {
	var dup *sortkv.DuplicateKeyError
	if !errors.As(err, &dup) {
		return err
	}
	if r.numbered {
		return fault.New(fault.Sluice, 0, "one row has made the same key twice: %s", dup.Error())
	}
	index, values := r.plan.describeKey(dup.Key, nil)
	return &duplicateFound{key: dup.Key, told: fault.New(fault.Source, mysql.ErrDupEntry,
		"Duplicate entry '%s' for key '%s.%s': the source holds more than one row with it",
		values, r.plan.target.Info.Name.O, index)}
}

// describeConflict is describeKey for a key of the row that rows has read last:
// texts are shown as that row has them.
func (r *run) describeConflict(key []byte, rows *rowReader) (index, values string) {
	return r.plan.describeKey(key, func(col *model.ColumnInfo) (string, bool) {
		field := rows.layout().mapping.Field(col.Offset)
		if rows.bad || field < 0 || field >= len(rows.fields) || rows.fields[field].Null {
			return "", false
		}
		return badrows.Text(rows.fields[field].Bytes, fault.ValueLimit), true
	})
}

// describeKey names the index that a key belongs to and shows its values,
// joined by '-' as MySQL does. Strings whose collation keeps only weights in
// the key are shown as what text returns for their column, or else as those weights,
// in hexadecimal. text may be nil.
func (p *Plan) describeKey(key []byte, text func(*model.ColumnInfo) (string, bool)) (index, values string) {
	target := p.target
	_, indexID, isRecord, err := tablecodec.DecodeKeyHead(key)
	if err != nil {
		return "unknown", hex.EncodeToString(key)
	}
	if isRecord {
		handle, err := tablecodec.DecodeRowKey(key)
		if err != nil {
			return "PRIMARY", hex.EncodeToString(key)
		}
		if handle.IsInt() {
			return "PRIMARY", showInt(target.HandleColumn(), handle.IntValue())
		}
		return "PRIMARY", p.showParts(handle.Encoded(), target.PrimaryIndex(), text)
	}
	for _, idx := range target.Indexes() {
		if idx.ID == indexID {
			return idx.Name.O, p.showParts(tablecodec.CutIndexPrefix(key), idx, text)
		}
	}
	return "unknown", hex.EncodeToString(key)
}

func showInt(col *model.ColumnInfo, v int64) string {
	if col != nil && mysql.HasUnsignedFlag(col.GetFlag()) {
		return strconv.FormatUint(uint64(v), 10)
	}
	return strconv.FormatInt(v, 10)
}

// showParts shows the columns of an index from their encoded form.
func (p *Plan) showParts(encoded []byte, idx *model.IndexInfo, text func(*model.ColumnInfo) (string, bool)) string {
	zone := p.Task.TimeZone
	if zone == nil {
		zone = time.UTC
	}
	var parts []string
	for _, ic := range idx.Columns {
		col := p.target.Info.Columns[ic.Offset]
		part, rest, err := showPart(encoded, &col.FieldType, zone)
		if err != nil {
			return hex.EncodeToString(encoded)
		}
		if text != nil && hidesText(&col.FieldType) {
			if s, ok := text(col); ok {
				part = s
			}
		}
		parts = append(parts, part)
		encoded = rest
	}
	return strings.Join(parts, "-")
}

func showPart(encoded []byte, ft *types.FieldType, zone *time.Location) (part string, rest []byte, err error) {
	raw, rest, err := codec.CutOne(encoded)
	if err != nil {
		return "", nil, err
	}
	_, d, err := codec.DecodeOne(raw)
	if err != nil {
		return "", nil, err
	}
	if d.Kind() == types.KindBytes {
		if b := d.GetBytes(); !printable(b) || hidesText(ft) {
			return "0x" + hex.EncodeToString(b), rest, nil
		}
		return string(d.GetBytes()), rest, nil
	}
	if d, err = tablecodec.Unflatten(d, ft, zone); err != nil {
		return "", nil, err
	}
	part, err = d.ToString()
	return part, rest, err
}

// hidesText reports whether keys of the type hold collation weights instead of text.
func hidesText(ft *types.FieldType) bool {
	return types.IsString(ft.GetType()) && types.NeedRestoredData(ft) && !strings.HasSuffix(ft.GetCollate(), "_bin")
}

func printable(b []byte) bool {
	for _, r := range string(b) {
		if r == '\uFFFD' || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
