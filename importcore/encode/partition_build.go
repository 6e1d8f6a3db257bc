package encode

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/errctx"
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/expression/exprstatic"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/chunk"

	"github.com/sluicedb/sluice/importcore/encode/sqlexpr"
)

// partitionBuilder turns the texts of a table's partitions into a locator.
type partitionBuilder struct {
	plan *Plan
	info *model.PartitionInfo
	conv *converter // for values of definitions
}

const (
	maxValue     = "MAXVALUE"
	defaultValue = "DEFAULT"
)

// newDefinitionConverter is lenient, as TiDB is with the values of
// definitions, which were checked when the table was made.
func newDefinitionConverter() *converter {
	cv := &converter{loc: time.UTC}
	cv.ctx = exprstatic.NewExprContext(exprstatic.WithEvalCtx(exprstatic.NewEvalContext(
		exprstatic.WithWarnHandler(&cv.sink),
		exprstatic.WithSQLMode(mysql.ModeAllowInvalidDates),
		exprstatic.WithLocation(time.UTC),
		exprstatic.WithTypeFlags(types.StrictFlags.WithIgnoreTruncateErr(true).
			WithIgnoreZeroDateErr(true).WithIgnoreZeroInDate(true).WithIgnoreInvalidDateErr(true)),
		exprstatic.WithErrLevelMap(errctx.LevelMap{errctx.ErrGroupTruncate: errctx.LevelIgnore}),
	)))
	return cv
}

func (b *partitionBuilder) hashOf() (locator, error) {
	number, _, err := b.number()
	return &hashOf{number: number, n: int64(b.info.Num)}, err
}

func (b *partitionBuilder) rangeOf() (locator, error) {
	number, unsigned, err := b.number()
	if err != nil {
		return nil, err
	}
	l := &rangeOf{number: number, unsigned: unsigned}
	if !unsigned {
		l.flip = 1 << 63
	}
	for i := range b.info.Definitions {
		def := &b.info.Definitions[i]
		switch {
		case len(def.LessThan) != 1, l.more:
			return nil, fmt.Errorf("partition %s has the bounds %q", def.Name.O, def.LessThan)
		case strings.EqualFold(def.LessThan[0], maxValue):
			l.more = true
			continue
		}
		v, err := b.integer(def.LessThan[0])
		if err != nil {
			return nil, err
		}
		l.bounds = append(l.bounds, uint64(v)^l.flip)
	}
	return l, nil
}

func (b *partitionBuilder) listOf() (locator, error) {
	number, unsigned, err := b.number()
	if err != nil {
		return nil, err
	}
	l := &listOf{number: number, unsigned: unsigned, values: make(map[int64]int), null: -1, other: -1}
	for i := range b.info.Definitions {
		for _, vs := range b.info.Definitions[i].InValues {
			if strings.EqualFold(vs[0], defaultValue) {
				l.other = i
				continue
			}
			expr, err := b.parse(vs[0], nil)
			if err != nil {
				return nil, err
			}
			v, null, err := expr.EvalInt(b.conv.ctx.GetEvalCtx(), chunk.Row{})
			switch {
			case err != nil:
				return nil, err
			case null:
				l.null = i
			default:
				l.values[v] = i
			}
		}
	}
	return l, nil
}

// number finds what HASH, RANGE and LIST place rows by, and whether it is unsigned.
func (b *partitionBuilder) number() (n numberOf, unsigned bool, err error) {
	var x exprPlan
	x.expr, err = b.parse(b.info.Expr, &x)
	if err != nil {
		return n, false, err
	}
	part := b.plan.partitions
	part.columns = x.args
	if len(x.args) == 0 {
		return n, false, fmt.Errorf("the expression %s has no column", b.info.Expr)
	}
	n.column = x.args[0]
	col := &b.plan.columns[n.column]
	if _, plain := x.expr.(*expression.Column); plain && (col.class == classInt || mysql.IsIntegerType(col.info.GetType())) {
		return n, col.unsigned, nil
	}
	n.expr = x
	n.memo = len(x.args) == 1 && col.class != classBytes && col.class != classDecimal
	part.exprs, part.memo = x, n.memo
	return n, mysql.HasUnsignedFlag(x.expr.GetType(b.conv.ctx.GetEvalCtx()).GetFlag()), nil
}

// integer reads a bound. TiDB stores numbers; very old versions stored the
// expressions that they were made of.
func (b *partitionBuilder) integer(text string) (int64, error) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return v, nil
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return int64(u), nil
	}
	expr, err := b.parse(text, nil)
	if err != nil {
		return 0, err
	}
	v, null, err := expr.EvalInt(b.conv.ctx.GetEvalCtx(), chunk.Row{})
	if err == nil && null {
		err = fmt.Errorf("the bound %s is NULL", text)
	}
	return v, err
}

// columns returns the columns of RANGE COLUMNS, LIST COLUMNS and KEY.
func (b *partitionBuilder) columns() ([]indexPart, error) {
	parts := make([]indexPart, 0, len(b.info.Columns))
	for _, name := range b.info.Columns {
		info := model.FindColumnInfo(b.plan.cfg.Target.Info.Columns, name.L)
		if info == nil {
			return nil, fmt.Errorf("column %s is unknown", name.O)
		}
		parts = append(parts, b.plan.compilePart(&model.IndexColumn{Offset: info.Offset, Length: types.UnspecifiedLength}))
		b.plan.partitions.columns = append(b.plan.partitions.columns, info.Offset)
	}
	if len(parts) == 0 {
		return nil, errors.New("no columns are named")
	}
	return parts, nil
}

func (b *partitionBuilder) keyOf() (locator, error) {
	parts, err := b.columns()
	return &keyOf{parts: parts, n: uint32(b.info.Num)}, err
}

func (b *partitionBuilder) rangeColumns() (locator, error) {
	parts, err := b.columns()
	if err != nil {
		return nil, err
	}
	l := &rangeColumns{parts: parts}
	e := &Encoder{plan: b.plan, collators: b.plan.collators}
	for i := range b.info.Definitions {
		def := &b.info.Definitions[i]
		cells, err := b.cells(parts, def.Name.O, def.LessThan)
		if err != nil {
			return nil, err
		}
		bounds := make([]bound, 0, len(cells))
		for j := range cells {
			c := &cells[j]
			if c.null {
				return nil, fmt.Errorf("partition %s has the bounds %q", def.Name.O, def.LessThan)
			}
			bounds = append(bounds, bound{u: ordered(parts[j].class, c.u), key: slices.Clone(e.sortKey(&parts[j], c))})
		}
		l.bounds = append(l.bounds, bounds)
	}
	return l, nil
}

func (b *partitionBuilder) listColumns() (locator, error) {
	parts, err := b.columns()
	if err != nil {
		return nil, err
	}
	l := &listColumns{parts: parts, values: make(map[string]int), other: -1}
	e := &Encoder{plan: b.plan, collators: b.plan.collators}
	for i := range b.info.Definitions {
		for _, vs := range b.info.Definitions[i].InValues {
			if len(vs) == 1 && vs[0] == defaultValue {
				l.other = i
				continue
			}
			cells, err := b.cells(parts, b.info.Definitions[i].Name.O, vs)
			if err != nil {
				return nil, err
			}
			var key []byte
			for j := range cells {
				key = e.appendKey(key, &parts[j], &cells[j])
			}
			l.values[string(key)] = i
		}
	}
	return l, nil
}

// cells returns the values of a definition, one per column, up to MAXVALUE:
// nothing behind it matters.
func (b *partitionBuilder) cells(parts []indexPart, name string, texts []string) ([]cell, error) {
	if len(texts) != len(parts) {
		return nil, fmt.Errorf("partition %s has the values %q", name, texts)
	}
	var cells []cell
	for i, text := range texts {
		if strings.EqualFold(text, maxValue) {
			break
		}
		c, err := b.cell(&parts[i], text)
		if err != nil {
			return nil, err
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// cell returns the value of a definition as the column holds it.
func (b *partitionBuilder) cell(part *indexPart, text string) (c cell, err error) {
	expr, err := b.parse(text, nil)
	if err != nil {
		return c, err
	}
	d, err := expr.Eval(b.conv.ctx.GetEvalCtx(), chunk.Row{})
	if err != nil {
		return c, err
	}
	evalCtx := b.conv.ctx.GetEvalCtx()
	if d, err = d.ConvertTo(evalCtx.TypeCtx(), &b.plan.columns[part.column].info.FieldType); err != nil {
		return c, err
	}
	return c, b.conv.setCell(&d, &c)
}

// parse builds an expression of a definition. Its columns become those of x;
// without x it must have none.
func (b *partitionBuilder) parse(text string, x *exprPlan) (expression.Expression, error) {
	node, err := sqlexpr.Parse(text)
	if err != nil {
		return nil, err
	}
	var opts sqlexpr.Options
	if x != nil {
		opts.Table = b.plan.cfg.Target.Info
	}
	expr, err := sqlexpr.Build(b.conv.ctx, node, opts)
	if err != nil || x == nil {
		return expr, err
	}
	// The row that it reads has the columns that it names and no others.
	for _, col := range expression.ExtractColumns(expr) {
		offset := col.Index
		if col.Index = slices.Index(x.args, offset); col.Index < 0 {
			col.Index = len(x.args)
			x.args = append(x.args, offset)
			x.types = append(x.types, &opts.Table.Columns[offset].FieldType)
		}
	}
	return expr, nil
}
