package encode

import (
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
)

// parser reads the plain spellings of a type into c and reports whether it did.
// On false, c's content is undefined and the general conversion takes the cell.
type parser func(e *Encoder, col *column, field []byte, c *cell) bool

// column is one column of the plan. It is immutable.
type column struct {
	info  *model.ColumnInfo
	class class
	parse parser // nil: always the general conversion

	notNull  bool // explicit NULL is refused (strict) or becomes zero (lax)
	skipNull bool // a NULL is left out of the record
	hasValue bool // a field or an assignment gives its value

	zero   cell // for NULL in a NOT NULL column under a lax SQL mode
	preset cell // for a column without value

	// What parsers need, by type.
	lo, hi    int64  // signed bounds
	max       uint64 // unsigned bound; highest value of BIT
	unsigned  bool
	precision int // DECIMAL
	scale     int // DECIMAL
	decimal   decimalLayout
	fsp       int // digits of fractional seconds
	text      textRule
	names     map[string]uint64 // ENUM and SET: member as written -> value
}

// neverNull reports whether no row has a NULL in the column.
func (col *column) neverNull() bool {
	return col.notNull && !col.zero.null && !col.preset.null
}

// compileColumns builds a column for every column of the table.
func (p *Plan) compileColumns() error {
	conv := newConverter(&p.cfg)
	p.columns = make([]column, len(p.cfg.Target.Info.Columns))
	for _, info := range p.cfg.Target.Columns() {
		col := &p.columns[info.Offset]
		col.info = info
		col.notNull = mysql.HasNotNullFlag(info.GetFlag()) || mysql.HasPreventNullInsertFlag(info.GetFlag())
		col.skipNull = info.GetDefaultValue() == nil && info.GetOriginDefaultValue() == nil
		col.hasValue = p.cfg.Mapping.Field(info.Offset) >= 0
		for _, a := range p.cfg.Mapping.Assigned() {
			col.hasValue = col.hasValue || a.Column == info.Offset
		}
		col.compileType()
		if col.notNull && !p.cfg.SQLMode.HasStrictMode() {
			if err := conv.preset(col, tidbtable.GetZeroValue(info), &col.zero); err != nil {
				return err
			}
		}
		if !col.hasValue {
			if err := p.compileDefault(conv, col); err != nil {
				return err
			}
		}
	}
	return nil
}

// compileDefault finds what every row of the job gets in a column without value.
func (p *Plan) compileDefault(conv *converter, col *column) error {
	info := col.info
	if p.generates(info) || info.IsGenerated() || info.DefaultIsExpr {
		return nil // filled per row
	}
	noDefault := mysql.HasNoDefaultValueFlag(info.GetFlag()) && info.GetDefaultValue() == nil && info.GetType() != mysql.TypeEnum
	if noDefault && p.cfg.SQLMode.HasStrictMode() {
		return fault.New(fault.User, errno.ErrNoDefaultForField, "Field '%s' doesn't have a default value", info.Name.O)
	}
	d, err := tidbtable.GetColDefaultValue(conv.ctx, info)
	if err != nil {
		return conv.fail(col, nil, err)
	}
	return conv.preset(col, d, &col.preset)
}

// compileType chooses class and parser and fills in what the parser needs.
func (col *column) compileType() {
	ft := &col.info.FieldType
	col.unsigned = mysql.HasUnsignedFlag(ft.GetFlag())
	if col.fsp = ft.GetDecimal(); col.fsp == types.UnspecifiedFsp {
		col.fsp = types.DefaultFsp
	}
	switch ft.GetType() {
	case mysql.TypeTiny, mysql.TypeShort, mysql.TypeInt24, mysql.TypeLong, mysql.TypeLonglong:
		if col.unsigned {
			col.class, col.parse = classUint, parseUnsigned
			col.max = types.IntegerUnsignedUpperBound(ft.GetType())
			return
		}
		col.class, col.parse = classInt, parseSigned
		col.lo = types.IntegerSignedLowerBound(ft.GetType())
		col.hi = types.IntegerSignedUpperBound(ft.GetType())
	case mysql.TypeYear:
		col.class, col.parse = classInt, parseYear
	case mysql.TypeFloat, mysql.TypeDouble:
		col.class, col.parse = classFloat, parseFloat
	case mysql.TypeNewDecimal:
		col.compileDecimal(ft)
	case mysql.TypeDate:
		col.class, col.parse = classUint, parseDate
	case mysql.TypeDatetime:
		col.class, col.parse = classUint, parseDatetime
	case mysql.TypeTimestamp:
		col.class, col.parse = classUint, parseTimestamp
	case mysql.TypeDuration:
		col.class, col.parse = classDuration, parseDuration
	case mysql.TypeEnum:
		col.class, col.parse = classUint, parseEnum
		col.compileEnum(ft)
	case mysql.TypeSet:
		col.class, col.parse = classUint, parseSet
		col.compileSet(ft)
	case mysql.TypeBit:
		col.class, col.parse = classUint, parseBit
		col.max = uint64(1)<<uint(ft.GetFlen()) - 1 // BIT(64): the shift gives 0, so all bits
	case mysql.TypeJSON:
		col.class, col.parse = classBytes, parseJSON
	case mysql.TypeTiDBVectorFloat32:
		col.class = classBytes
	default:
		col.class, col.parse = classBytes, parseText
		col.compileText(ft)
	}
}

func (col *column) compileDecimal(ft *types.FieldType) {
	col.class = classDecimal
	col.precision, col.scale = ft.GetFlen(), ft.GetDecimal()
	if col.precision > 0 && col.scale >= 0 && col.scale <= col.precision && col.scale <= mysql.MaxDecimalScale {
		col.parse = parseDecimal
		col.decimal = newDecimalLayout(col.precision, col.scale)
	}
}

func (col *column) compileEnum(ft *types.FieldType) {
	col.names = make(map[string]uint64)
	for _, elem := range ft.GetElems() {
		if v, err := types.ParseEnum(ft.GetElems(), elem, ft.GetCollate()); err == nil {
			col.names[elem] = v.Value
		}
	}
}

func (col *column) compileSet(ft *types.FieldType) {
	col.names = make(map[string]uint64)
	for _, elem := range ft.GetElems() {
		if v, err := types.ParseSetName(ft.GetElems(), elem, ft.GetCollate()); err == nil {
			col.names[elem] = v.Value
		}
	}
}

// textRule is how a string column takes bytes.
type textRule struct {
	limit      int  // greatest length; -1 means none
	countBytes bool // limit counts bytes, otherwise characters
	binary     bool // any bytes are valid
	utf8mb4    bool // any valid UTF-8 is valid; otherwise only ASCII is certain to be
	trim       bool // CHAR: trailing spaces are dropped
	pad        bool // BINARY: filled up to limit with zero bytes
}

func (col *column) compileText(ft *types.FieldType) {
	r := &col.text
	r.limit = ft.GetFlen()
	r.binary = ft.GetCharset() == charset.CharsetBin
	r.utf8mb4 = ft.GetCharset() == charset.CharsetUTF8MB4
	r.countBytes = r.binary || types.IsTypeBlob(ft.GetType())
	isBinaryStr := types.IsBinaryStr(ft)
	r.trim = ft.GetType() == mysql.TypeString && !isBinaryStr
	r.pad = ft.GetType() == mysql.TypeString && isBinaryStr && r.limit > 0
}
