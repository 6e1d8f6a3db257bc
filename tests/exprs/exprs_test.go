package exprs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/ddl"
	"github.com/pingcap/tidb/pkg/errctx"
	"github.com/pingcap/tidb/pkg/expression"
	"github.com/pingcap/tidb/pkg/expression/exprstatic"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/planner/core" // sets expression.BuildSimpleExpr
	tidbtable "github.com/pingcap/tidb/pkg/table"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/chunk"
	contextutil "github.com/pingcap/tidb/pkg/util/context"
	"github.com/pingcap/tidb/pkg/util/mock"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/encode/sqlexpr"
)

// tableDDL has a column of every type, NULL and NOT NULL ones.
const tableDDL = `CREATE TABLE t (i INT, n BIGINT NOT NULL, u BIGINT UNSIGNED, de DECIMAL(10,3), f FLOAT, d DOUBLE, s VARCHAR(40), c CHAR(10) NOT NULL,
	g VARCHAR(40) COLLATE utf8mb4_general_ci, l VARCHAR(40) CHARACTER SET latin1, b VARBINARY(40), bl BLOB, x TEXT, dt DATETIME(3), ts TIMESTAMP(6) NULL, da DATE, ti TIME(2),
	y YEAR, e ENUM('a','b','c'), st SET('a','b','c'), bi BIT(12), j JSON, v VECTOR(3), h INT AS (i + 1))`

// rows are texts for the columns; "" is NULL where that is allowed.
var rows = [][]string{
	{"1", "2", "3", "1.5", "2.5", "-3.25", "abc", "def", "GHI", "jkl", "mno", "pqr", "text", "2024-02-29 10:11:12.123", "2024-03-01 00:00:00", "2024-01-31", "10:11:12.5", "2024", "a", "a,b", "\x0f\x01", `{"a": [1, "x", 2.5], "b": null}`, "[1,2,3]", "2"},
	{"-5", "0", "18446744073709551615", "-999.999", "-0", "0", "", "", "É ", "x ", "\xff\x00", "", "12", "1999-12-31 23:59:59", "1999-12-31 23:59:59.999999", "2000-02-29", "-838:59:59", "1901", "c", "", "\x00\x00", `[3, 1, 2, 2]`, "[0,0,0]", "0"},
	{"", "-9223372036854775808", "", "", "", "", "", "x", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
	{"2147483647", "9223372036854775807", "0", "12.000", "1e10", "1e300", "2024-05-06 07:08:09", "12abc", "abc", "12.5", "12.5", "a,b", "0x10", "2038-01-01 00:00:00", "2037-01-01 00:00:00", "9999-12-31", "00:00:00", "2155", "b", "c", "\x00\x07", `"12"`, "[1.5,-2,3e3]", "5"},
}

// expressions are grouped by what they are there for.
var expressions = []string{
	// operators
	"i + 1", "n - u", "-i", "+i", "~u", "i * de", "d / de", "d / 0", "i DIV 3", "n % 7", "i MOD NULL", "u << 3", "u >> i", "i & 7", "i | u", "i ^ 5", "NOT i", "! i", "i AND s", "i OR s", "i XOR d", "i && (d / 0)", "NULL OR i",
	"i = 1", "s = 'abc'", "g = 'ghi'", "g = s", "i <=> NULL", "i <> d", "i < '5'", "s > 5", "dt >= '2024-01-01'", "ts < dt", "da = 20240131", "ti = '10:11:12.5'", "e = 'a'", "e = 1", "st = 3", "bi = 15", "u = -1", "de = 1.5", "j = 'x'", "b = s", "l = s", "l = 'jkl'", "y = 24",
	"(i, n) = (1, 2)", "(i, n) <> (1, 2)", "(i, n, s) > (1, 2, 'a')", "(i, n) >= (1, 2)", "(i, n) <= (1, 2)", "(i, n) <=> (NULL, 2)", "ROW(i, ROW(n, u)) = ROW(1, ROW(2, 3))", "ROW(i, n) < ROW(d, de)",
	// constants
	"1", "-1", "1.5", "1e3", "'text'", "NULL", "TRUE", "X'4142'", "0xff + 0", "B'101'", "DATE'2024-01-02'", "TIMESTAMP'2024-01-02 03:04:05'", "TIME'01:02:03'", "_utf8mb4'é'", "_binary'a'", "_latin1'a'", "N'x'", "'é' = g", "18446744073709551615", "99999999999999999999.5",
	// predicates
	"i BETWEEN 1 AND 5", "i NOT BETWEEN d AND '7'", "s BETWEEN 'a' AND 'b'", "dt BETWEEN '2024-01-01' AND da", "ti BETWEEN '10:00:00' AND '11:00:00'", "g BETWEEN 'a' AND s", "e BETWEEN 'a' AND 'b'", "de BETWEEN 1 AND i", "i BETWEEN NULL AND 5",
	"i IN (1, 2, 3)", "i IN (1)", "i NOT IN (1, 2)", "i IN (1.0, '2', NULL)", "i IN (1.5, 2)", "s IN ('abc', 'x')", "g IN ('ghi', s)", "s IN (1, 'abc')", "(i, n) IN ((1, 2), (3, 4))", "(i, n) NOT IN ((1, 2))", "e IN ('a', 'b')", "e IN (1, 2)", "da IN ('2024-01-31', '2000-02-29')", "NULL IN (1, 2)", "b IN ('mno', X'ff00')", "dt IN (da, ts)", "u IN (-1, 3)", "s IN (g, l, 'x')",
	"s LIKE 'a%'", "s LIKE 'abc'", "s NOT LIKE '_b_'", "g LIKE 'gh%'", "s LIKE 'a|%' ESCAPE '|'", "i LIKE '1%'", "s LIKE g", "s ILIKE 'A%'", "s NOT ILIKE 'AB_'", "b LIKE 'm%'",
	"s REGEXP '^a'", "s NOT REGEXP 'b$'", "s RLIKE '[0-9]'", "REGEXP_LIKE(s, 'B', 'i')", "REGEXP_REPLACE(s, 'b', 'x')", "REGEXP_SUBSTR(s, '[a-z]+')", "REGEXP_INSTR(s, 'c')",
	"i IS NULL", "s IS NOT NULL", "i IS TRUE", "i IS NOT TRUE", "d IS FALSE", "d IS NOT FALSE", "s IS TRUE", "i IS UNKNOWN",
	// control
	"IF(i > 0, s, g)", "IF(i, 1, 'x')", "IFNULL(i, 0)", "IFNULL(n, 'x')", "IFNULL(n, 1.5)", "IFNULL(c, s)", "IFNULL(e, 'x')", "IFNULL(NULL, NULL)", "NULLIF(i, 1)", "NULLIF(s, 'abc')", "NULLIF(d, i)", "COALESCE(i, d, s)", "COALESCE(NULL, i / 0, 1)",
	"CASE WHEN i > 0 THEN 'p' WHEN i < 0 THEN 'n' ELSE 'z' END", "CASE i WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "CASE s WHEN 'abc' THEN 1 ELSE 2.5 END", "CASE WHEN NULL THEN 1 END", "CASE e WHEN 'a' THEN dt ELSE da END", "CASE WHEN 1 THEN 1/0 ELSE 2 END",
	"GREATEST(i, n, d)", "LEAST(s, 'b', g)", "GREATEST(da, dt)", "INTERVAL(i, 1, 2, 3)", "ISNULL(s)", "STRCMP(s, g)",
	// strings
	"CONCAT(s, '-', i)", "CONCAT_WS(',', s, NULL, g)", "UPPER(s)", "LOWER(g)", "LENGTH(s)", "CHAR_LENGTH(g)", "SUBSTRING(s, 2)", "SUBSTRING(s FROM 2 FOR 1)", "SUBSTRING_INDEX(bl, ',', 1)", "LEFT(s, 2)", "RIGHT(b, 2)", "TRIM(s)", "TRIM(LEADING 'a' FROM s)", "TRIM(BOTH FROM l)", "LTRIM(c)", "REPLACE(s, 'b', '')", "REVERSE(s)", "REPEAT(s, 3)", "LPAD(s, 8, '*')", "RPAD(b, 8, 'x')", "INSERT(s, 1, 1, 'zz')", "INSTR(s, 'b')", "LOCATE('c', s, 2)", "POSITION('b' IN s)", "FIND_IN_SET('b', st)", "FIELD(s, 'x', 'abc')", "ELT(i, 'x', 'y')", "MAKE_SET(3, 'a', 'b')", "HEX(s)", "HEX(n)", "UNHEX('4142')", "ASCII(s)", "ORD(g)", "CHAR(65, 66)", "CHAR(i USING utf8mb4)", "QUOTE(s)", "SPACE(3)", "FORMAT(d, 2)", "BIN(i)", "OCT(i)", "CONV(s, 16, 10)", "SOUNDEX(s)", "TO_BASE64(s)", "FROM_BASE64('YWJj')", "WEIGHT_STRING(g)", "BIT_LENGTH(b)", "EXPORT_SET(5, 'Y', 'N')",
	"s COLLATE utf8mb4_general_ci", "s COLLATE utf8mb4_bin = g", "'a' COLLATE utf8mb4_unicode_ci", "j COLLATE utf8mb4_bin", "CONCAT(s, g) COLLATE utf8mb4_general_ci = 'X'", "CHARSET(l)", "COLLATION(g)", "COERCIBILITY(s)", "CONVERT(s USING gbk)", "CONVERT(l USING utf8mb4)", "CONVERT(b USING utf8mb4)",
	// numbers
	"ABS(i)", "ROUND(de, 1)", "ROUND(d)", "TRUNCATE(de, 1)", "CEIL(de)", "FLOOR(d)", "MOD(i, 3)", "POW(i, 2)", "SQRT(d)", "EXP(f)", "LN(d)", "LOG(2, d)", "LOG10(d)", "SIN(f)", "ATAN2(d, f)", "PI()", "SIGN(i)", "CRC32(s)", "RADIANS(d)", "DEGREES(f)", "BIT_COUNT(u)", "i + s", "u - 1", "n + 1", "e + 0", "st + 0", "bi + 0", "y + 1", "dt + 0", "ti + 0", "MD5(s)", "SHA1(s)", "SHA2(s, 256)", "INET_ATON('1.2.3.4')", "INET6_ATON(s)", "IS_IPV4(s)", "UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db')", "BIN_TO_UUID(b)", "COMPRESS(s)", "UNCOMPRESSED_LENGTH(b)", "AES_ENCRYPT(s, 'key')", "TIDB_SHARD(n)", "VITESS_HASH(n)",
	// dates
	"YEAR(dt)", "MONTH(da)", "DAY(ts)", "HOUR(ti)", "MINUTE(dt)", "SECOND(ts)", "MICROSECOND(ts)", "DAYOFWEEK(da)", "DAYOFYEAR(da)", "WEEK(da)", "WEEK(da, 3)", "WEEKDAY(da)", "YEARWEEK(da)", "QUARTER(da)", "LAST_DAY(da)", "TO_DAYS(da)", "TO_SECONDS(dt)", "FROM_DAYS(730000)", "UNIX_TIMESTAMP(ts)", "FROM_UNIXTIME(n)", "DATE(dt)", "TIME(dt)", "DATE_FORMAT(dt, '%Y-%m')", "TIME_FORMAT(ti, '%H')", "STR_TO_DATE(s, '%Y-%m-%d %H:%i:%s')", "DATE_ADD(dt, INTERVAL 1 DAY)", "DATE_SUB(da, INTERVAL i MONTH)", "dt + INTERVAL 1 HOUR", "da - INTERVAL '1:2' MINUTE_SECOND", "ADDTIME(ti, '01:00:00')", "SUBTIME(dt, ti)", "ADDDATE(da, 5)", "SUBDATE(da, INTERVAL 1 YEAR)", "TIMESTAMPADD(MINUTE, i, dt)", "TIMESTAMPDIFF(DAY, da, dt)", "DATEDIFF(dt, da)", "TIMEDIFF(ti, '01:00:00')", "MAKEDATE(2024, i)", "MAKETIME(1, 2, d)", "PERIOD_ADD(202401, i)", "EXTRACT(YEAR_MONTH FROM dt)", "EXTRACT(DAY_MICROSECOND FROM ts)", "GET_FORMAT(DATE, 'USA')", "SEC_TO_TIME(i)", "TIME_TO_SEC(ti)", "CONVERT_TZ(dt, '+00:00', '+08:00')", "TIMESTAMP(da, ti)", "MONTHNAME(da)", "DAYNAME(da)", "NOW()", "NOW(3)", "CURRENT_TIMESTAMP(6)", "CURDATE()", "CURTIME(2)", "UTC_TIMESTAMP()", "UTC_DATE()", "CURRENT_DATE", "LOCALTIME", "UNIX_TIMESTAMP()", "DATE_FORMAT(NOW(), '%Y')",
	// casts
	"CAST(s AS SIGNED)", "CAST(d AS UNSIGNED)", "CAST(i AS CHAR)", "CAST(s AS CHAR(2))", "CAST(s AS BINARY)", "CAST(s AS BINARY(5))", "BINARY s", "CAST(s AS DECIMAL(10,2))", "CAST(s AS DATE)", "CAST(dt AS DATETIME(0))", "CAST(s AS TIME(3))", "CAST(dt AS TIME)", "CAST(s AS JSON)", "CAST(i AS JSON)", "CAST(j AS CHAR)", "CAST(s AS DOUBLE)", "CAST(s AS FLOAT)", "CAST(i AS YEAR)", "CONVERT(s, SIGNED)", "CAST(s AS CHAR CHARACTER SET ascii)", "CAST(e AS CHAR)", "CAST(e AS SIGNED)", "CAST('[1,2]' AS VECTOR)",
	"CAST(j AS UNSIGNED ARRAY)", "CAST(j->'$.a' AS CHAR(10) ARRAY)", "CAST(j->'$.a[0]' AS SIGNED ARRAY)", "CAST(j AS DATE ARRAY)", "CAST(j AS DOUBLE ARRAY)", "CAST(j AS TIME ARRAY)", "CAST(j AS DATETIME ARRAY)",
	// JSON and vectors
	"j->'$.a'", "j->>'$.a[1]'", "JSON_EXTRACT(j, '$.a[0]', '$.b')", "JSON_UNQUOTE(j)", "JSON_TYPE(j)", "JSON_VALID(s)", "JSON_OBJECT('k', i, 's', s)", "JSON_ARRAY(i, s, NULL, dt)", "JSON_CONTAINS(j, '1')", "JSON_CONTAINS_PATH(j, 'one', '$.a')", "JSON_LENGTH(j)", "JSON_KEYS(j)", "JSON_SET(j, '$.z', i)", "JSON_INSERT(j, '$.a', 1)", "JSON_REPLACE(j, '$.a', 1)", "JSON_REMOVE(j, '$.a')", "JSON_MERGE_PATCH(j, '{\"z\":1}')", "JSON_MERGE_PRESERVE(j, j)", "JSON_SEARCH(j, 'one', 'x')", "JSON_DEPTH(j)", "JSON_QUOTE(s)", "JSON_STORAGE_SIZE(j)", "JSON_MEMBER_OF('x', j)", "1 MEMBER OF (j)", "JSON_OVERLAPS(j, '[1]')", "JSON_PRETTY(j)",
	"VEC_L2_DISTANCE(v, '[1,2,3]')", "VEC_DIMS(v)", "VEC_AS_TEXT(v)", "VEC_FROM_TEXT('[1,2,3]')", "VEC_COSINE_DISTANCE(v, v)", "v = '[1,2,3]'",
	// faults
	"CAST(s AS TIME(7))", "e COLLATE utf8mb4_bin", "s COLLATE latin1_bin", "(i, n) = (1, 2, 3)", "(i, n) + 1", "NOT (i, n)", "CONCAT()", "NULLIF(1)", "IFNULL(1)", "nofunction(i)", "zz + 1", "CONCAT((1, 2))", "(i, n) LIKE 'a'", "i IN ((1, 2))", "s = (g COLLATE utf8mb4_bin) = (g COLLATE utf8mb4_general_ci)", "ABS(i, n)",
}

// session makes a context of its own for one builder.
func session(mode mysql.SQLMode) *exprstatic.ExprContext {
	strict := mode.HasStrictMode()
	var levels errctx.LevelMap
	levels[errctx.ErrGroupTruncate] = errctx.ResolveErrLevel(false, !strict)
	levels[errctx.ErrGroupDividedByZero] = errctx.ResolveErrLevel(!mode.HasErrorForDivisionByZeroMode(), !strict)
	now := time.Date(2024, 7, 8, 9, 10, 11, 987654321, time.UTC)
	eval := exprstatic.NewEvalContext(exprstatic.WithSQLMode(mode), exprstatic.WithLocation(time.FixedZone("x", 3600)), exprstatic.WithErrLevelMap(levels),
		exprstatic.WithTypeFlags(types.StrictFlags.WithTruncateAsWarning(!strict)),
		exprstatic.WithCurrentTime(func() (time.Time, error) { return now, nil }))
	tracker := contextutil.NewPlanCacheTracker(eval)
	return exprstatic.NewExprContext(exprstatic.WithEvalCtx(eval), exprstatic.WithPlanCacheTracker(&tracker))
}

func tableInfo(t *testing.T) *model.TableInfo {
	t.Helper()
	stmt, err := parser.New().ParseOneStmt(tableDDL, "", "")
	require.NoError(t, err)
	info, err := ddl.MockTableInfo(mock.NewContext(), stmt.(*ast.CreateTableStmt), 1)
	require.NoError(t, err)
	for _, col := range info.Columns {
		col.State = model.StatePublic
	}
	return info
}

// chunkRows casts the texts to the columns' types.
func chunkRows(t *testing.T, info *model.TableInfo) []chunk.MutRow {
	t.Helper()
	ctx := session(0)
	var out []chunk.MutRow
	for _, row := range rows {
		require.Len(t, row, len(info.Columns))
		datums := make([]types.Datum, len(row))
		for i, text := range row {
			col := info.Columns[i]
			if text == "" && !mysql.HasNotNullFlag(col.GetFlag()) && col.Name.L != "s" {
				continue
			}
			d, err := tidbtable.CastColumnValue(ctx, types.NewStringDatum(text), col, false, false)
			require.NoError(t, err, "%s: %q", col.Name.O, text)
			datums[i] = d
		}
		tps := make([]*types.FieldType, len(datums))
		for i, col := range info.Columns {
			tps[i] = &col.FieldType
		}
		m := chunk.MutRowFromTypes(tps)
		m.SetDatums(datums...)
		out = append(out, m)
	}
	return out
}

// outcome is what of an evaluation must agree.
func outcome(ctx *exprstatic.ExprContext, e expression.Expression, row chunk.Row) string {
	before := ctx.GetEvalCtx().WarningCount()
	d, err := e.Eval(ctx.GetEvalCtx(), row)
	text, textErr := d.ToString()
	return fmt.Sprintf("kind %d, %q %v, collation %s, error %v, %d warnings", d.Kind(), text, textErr, d.Collation(), err, ctx.GetEvalCtx().WarningCount()-before)
}

func TestSameAsThePlanner(t *testing.T) {
	t.Parallel()
	info := tableInfo(t)
	data := chunkRows(t, info)
	for _, mode := range []mysql.SQLMode{0, mysql.ModeStrictTransTables | mysql.ModeErrorForDivisionByZero | mysql.ModeNoZeroDate} {
		built := 0
		for _, text := range expressions {
			node, err := sqlexpr.Parse(text)
			require.NoError(t, err, text)
			again, err := sqlexpr.Parse(text)
			require.NoError(t, err, text)
			theirCtx, ourCtx := session(mode), session(mode)
			theirs, theirErr := expression.BuildSimpleExpr(theirCtx, node, expression.WithTableInfo("", info), expression.WithAllowCastArray(true))
			ours, ourErr := sqlexpr.Build(ourCtx, again, sqlexpr.Options{Table: info, CastArray: true})
			if theirErr != nil {
				require.Error(t, ourErr, "%s: the planner says %v", text, theirErr)
				continue
			}
			require.NoError(t, ourErr, text)
			built++
			same(t, text, theirCtx, ourCtx, theirs, ours, data)
		}
		require.Greater(t, built, len(expressions)-25)
	}
}

func same(t *testing.T, text string, theirCtx, ourCtx *exprstatic.ExprContext, theirs, ours expression.Expression, data []chunk.MutRow) {
	t.Helper()
	require.Equal(t, theirs.StringWithCtx(theirCtx.GetEvalCtx(), "OFF"), ours.StringWithCtx(ourCtx.GetEvalCtx(), "OFF"), text)
	require.Equal(t, theirs.GetType(theirCtx.GetEvalCtx()), ours.GetType(ourCtx.GetEvalCtx()), text)
	require.Equal(t, theirs.Coercibility(), ours.Coercibility(), text)
	require.Equal(t, theirs.Repertoire(), ours.Repertoire(), text)
	require.Equal(t, theirCtx.GetEvalCtx().WarningCount(), ourCtx.GetEvalCtx().WarningCount(), "%s: warnings of building", text)
	for i, row := range data {
		require.Equal(t, outcome(theirCtx, theirs, row.ToRow()), outcome(ourCtx, ours, row.ToRow()), "%s, row %d", text, i)
	}
}

// TestSyntaxTreeStays builds from one tree twice: encoders share it.
func TestSyntaxTreeStays(t *testing.T) {
	t.Parallel()
	info := tableInfo(t)
	for _, text := range expressions {
		node, err := sqlexpr.Parse(text)
		require.NoError(t, err)
		first, firstErr := sqlexpr.Build(session(0), node, sqlexpr.Options{Table: info, CastArray: true})
		second, secondErr := sqlexpr.Build(session(0), node, sqlexpr.Options{Table: info, CastArray: true})
		require.Equal(t, firstErr == nil, secondErr == nil, text)
		if firstErr == nil {
			ctx := session(0)
			require.Equal(t, first.StringWithCtx(ctx.GetEvalCtx(), "OFF"), second.StringWithCtx(ctx.GetEvalCtx(), "OFF"), text)
			require.Equal(t, first.GetType(ctx.GetEvalCtx()), second.GetType(ctx.GetEvalCtx()), text)
		}
	}
}

// TestRefused names what has no place in a row's values.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"(SELECT 1)", "EXISTS (SELECT 1)", "1 IN (SELECT 1)", "SUM(1)", "@@sql_mode", "@x", "@x := 1", "ROW_NUMBER() OVER ()", "NEXTVAL(s)", "SETVAL(s, 1)", "DEFAULT(i)", "VALUES(i)", "GROUPING(i)", "i"} {
		node, err := sqlexpr.Parse(text)
		require.NoError(t, err, text)
		_, err = sqlexpr.Build(session(0), node, sqlexpr.Options{})
		require.Error(t, err, text)
	}
}
