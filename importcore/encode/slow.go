package encode

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/errctx"
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/expression/expropt"
	"github.com/pingcap/tidb/pkg/expression/exprstatic"
	"github.com/pingcap/tidb/pkg/parser/auth"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/terror"
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util"
	"github.com/pingcap/tidb/pkg/util/codec"
	contextutil "github.com/pingcap/tidb/pkg/util/context"

	"github.com/sluicedb/sluice/importcore/fault"
)

// converter is TiDB's own conversion of one cell, set up as for an INSERT
// under the job's SQL mode and time zone. It belongs to one encoder.
type converter struct {
	strict bool
	loc    *time.Location
	ctx    *exprstatic.ExprContext
	sink   warnSink
	vars   rowVariables

	count int64
	first []Warning
}

// maxWarnings is how many warnings an encoder keeps; the rest are counted.
const maxWarnings = 64

// Warning is one value that was changed to fit, as a lax SQL mode asks for.
type Warning struct {
	Code    uint16
	Column  string
	Message string
}

// Warnings are the warnings of one encoder.
type Warnings struct {
	Count int64     // all of them
	First []Warning // at most 64; not to be changed
}

func newConverter(cfg *Config) *converter {
	cv := &converter{strict: cfg.SQLMode.HasStrictMode(), loc: cfg.Location}
	lax := !cv.strict
	var levels errctx.LevelMap
	levels[errctx.ErrGroupTruncate] = errctx.ResolveErrLevel(false, lax)
	levels[errctx.ErrGroupBadNull] = errctx.ResolveErrLevel(false, lax)
	levels[errctx.ErrGroupNoDefault] = errctx.ResolveErrLevel(false, lax)
	levels[errctx.ErrGroupDividedByZero] = errctx.ResolveErrLevel(!cfg.SQLMode.HasErrorForDivisionByZeroMode(), lax)
	now := cfg.Now
	evalCtx := []exprstatic.EvalCtxOption{
		exprstatic.WithWarnHandler(&cv.sink),
		exprstatic.WithSQLMode(cfg.SQLMode),
		exprstatic.WithTypeFlags(util.GetTypeFlagsForInsert(types.DefaultStmtFlags, cfg.SQLMode, false)),
		exprstatic.WithLocation(cfg.Location),
		exprstatic.WithErrLevelMap(levels),
		exprstatic.WithCurrentTime(func() (time.Time, error) { return now, nil }),
		exprstatic.WithUserVarsReader(&cv.vars),
		exprstatic.WithCurrentDB(cfg.CurrentDB),
	}
	if user := identity(cfg.User); user != nil {
		evalCtx = append(evalCtx, exprstatic.WithOptionalProperty(expropt.CurrentUserPropProvider(
			func() (*auth.UserIdentity, []*auth.RoleIdentity) { return user, nil })))
	}
	// A tracker of its own, because the default one wants plans that can be kept for other parameters.
	plain := contextutil.NewPlanCacheTracker(&cv.sink)
	cv.ctx = exprstatic.NewExprContext(exprstatic.WithEvalCtx(exprstatic.NewEvalContext(evalCtx...)),
		exprstatic.WithPlanCacheTracker(&plain))
	return cv
}

// identity is the user as USER() shows it, nil for none.
func identity(user string) *auth.UserIdentity {
	at := strings.LastIndexByte(user, '@')
	if at < 0 {
		return nil
	}
	return &auth.UserIdentity{Username: user[:at], Hostname: user[at+1:]}
}

// loadSysVars sets what of the session expressions depend on.
func (cv *converter) loadSysVars(vars map[string]string) error {
	if len(vars) == 0 {
		return nil
	}
	ctx, err := cv.ctx.LoadSystemVars(vars)
	if err != nil {
		return fault.Wrap(err, fault.User, 0, "the variables of the session can't be used for expressions")
	}
	cv.ctx = ctx
	return nil
}

// convert sets c to what an INSERT of the field as a string literal stores.
func (cv *converter) convert(col *column, field []byte, c *cell) error {
	var d types.Datum
	// A copy: warnings and JSON values keep parts of it after the field is gone.
	d.SetString(string(field), mysql.DefaultCollationName)
	return cv.store(col, d, c)
}

// store sets c to what an INSERT of d stores; NULL stays NULL whatever the column.
func (cv *converter) store(col *column, d types.Datum, c *cell) error {
	casted, err := tidbtable.CastColumnValue(cv.ctx, d, col.info, false, false)
	var field []byte
	if err != nil || len(cv.sink.pending) > 0 {
		field = textOf(&d)
	}
	cv.drain(col, field)
	if types.ErrTimestampInDSTTransition.Equal(err) && !cv.strict {
		// The value is already moved to the end of the gap.
		code, message := cv.describe(col, field, err)
		cv.warned(col, code, message)
		err = nil
	}
	if err != nil {
		return cv.fail(col, field, err)
	}
	if err := cv.setCell(&casted, c); err != nil {
		return cv.fail(col, field, err)
	}
	return nil
}

// textOf shows a value.
func textOf(d *types.Datum) []byte {
	if k := d.Kind(); k == types.KindString || k == types.KindBytes {
		return d.GetBytes()
	}
	text, err := d.ToString()
	if err != nil {
		return nil
	}
	return []byte(text)
}

// preset sets c, which outlives the row, to a value that the table brings along.
func (cv *converter) preset(col *column, d types.Datum, c *cell) error {
	cv.sink.pending = cv.sink.pending[:0]
	if err := cv.setCell(&d, c); err != nil {
		return cv.fail(col, nil, err)
	}
	return nil
}

// setCell brings a converted value into the form of a cell.
func (cv *converter) setCell(d *types.Datum, c *cell) (err error) {
	*c = cell{}
	switch d.Kind() {
	case types.KindNull:
		c.null = true
	case types.KindInt64, types.KindUint64:
		c.u = d.GetUint64()
	case types.KindFloat32, types.KindFloat64:
		f := d.GetFloat64()
		c.u, c.odd = floatBits(f), f == 0 && math.Signbit(f)
	case types.KindString, types.KindBytes:
		c.b = d.GetBytes()
	case types.KindMysqlTime:
		t := d.GetMysqlTime()
		if t.Type() == mysql.TypeTimestamp && cv.loc != time.UTC {
			if err = t.ConvertTimeZone(cv.loc, time.UTC); err != nil {
				return err
			}
		}
		c.odd = t.IsZero() && t.Fsp() == types.DefaultFsp
		c.u, err = t.ToPackedUint()
	case types.KindMysqlDuration:
		c.u = uint64(d.GetMysqlDuration().Duration)
	case types.KindMysqlEnum:
		c.u = d.GetMysqlEnum().Value
	case types.KindMysqlSet:
		c.u = d.GetMysqlSet().Value
	case types.KindMysqlBit, types.KindBinaryLiteral:
		c.u, err = d.GetBinaryLiteral().ToInt(types.StrictContext)
	case types.KindMysqlDecimal:
		dec := d.GetMysqlDecimal()
		c.noteDigits(dec, d.Length(), d.Frac())
		c.b, err = codec.EncodeDecimal(nil, dec, d.Length(), d.Frac())
	case types.KindMysqlJSON:
		j := d.GetMysqlJSON()
		c.b = append([]byte{j.TypeCode}, j.Value...)
	case types.KindVectorFloat32:
		v := d.GetVectorFloat32()
		c.b = v.SerializeTo(nil)
	default:
		err = fmt.Errorf("values of kind %d can't be stored", d.Kind())
	}
	return err
}

// fail turns a conversion error into a *fault.Error with its place.
func (cv *converter) fail(col *column, field []byte, err error) error {
	code, message := cv.describe(col, field, err)
	at := fault.Position{Column: col.info.Name.O}
	if field != nil {
		at.Value = fault.ShortValue(field)
	}
	return fault.New(fault.Source, code, "%s", message).Place(at)
}

// innermost returns the end of the chain: TiDB wraps its own errors, and the
// first cause has the code that INSERT answers with.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// describe gives an error of the conversion the code and text that INSERT
// gives it, without the row number: the place in the source says more.
func (cv *converter) describe(col *column, field []byte, err error) (code uint16, message string) {
	name := col.info.Name.O
	var known *terror.Error
	if !errors.As(innermost(err), &known) {
		return errno.ErrUnknown, fmt.Sprintf("Column '%s': %v", name, err)
	}
	incorrect := func() string {
		return fmt.Sprintf("Incorrect %s value: %s for column '%s'",
			types.TypeStr(col.info.GetType()), fault.ShortValue(field), name)
	}
	switch code = uint16(known.Code()); code {
	case errno.ErrDataTooLong:
		return code, fmt.Sprintf("Data too long for column '%s'", name)
	case errno.ErrDataOutOfRange, errno.ErrWarnDataOutOfRange:
		return errno.ErrWarnDataOutOfRange, fmt.Sprintf("Out of range value for column '%s'", name)
	case errno.WarnDataTruncated:
		return code, fmt.Sprintf("Data truncated for column '%s'", name)
	case errno.ErrTimeStampInDSTTransition:
		return errno.ErrTruncatedWrongValue, incorrect()
	case errno.ErrTruncatedWrongValue:
		if isTimeType(col.info.GetType()) {
			return code, incorrect()
		}
		return errno.ErrTruncatedWrongValueForField, incorrect()
	default:
		return code, known.GetMsg()
	}
}

func isTimeType(tp byte) bool {
	switch tp {
	case mysql.TypeDate, mysql.TypeDatetime, mysql.TypeTimestamp, mysql.TypeDuration:
		return true
	default:
		return false
	}
}

// drain moves what the last conversion warned of into the encoder's warnings.
func (cv *converter) drain(col *column, field []byte) {
	for _, err := range cv.sink.pending {
		cv.count++
		if len(cv.first) < maxWarnings {
			code, message := cv.describe(col, field, err)
			cv.first = append(cv.first, Warning{Code: code, Column: col.info.Name.O, Message: message})
		}
	}
	clear(cv.sink.pending)
	cv.sink.pending = cv.sink.pending[:0]
}

func (cv *converter) warned(col *column, code uint16, message string) {
	cv.count++
	if len(cv.first) < maxWarnings {
		cv.first = append(cv.first, Warning{Code: code, Column: col.info.Name.O, Message: message})
	}
}

func (cv *converter) warnings() Warnings { return Warnings{Count: cv.count, First: cv.first} }
