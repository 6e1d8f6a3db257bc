package encode

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	tidbparser "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"
	_ "github.com/pingcap/tidb/pkg/types/parser_driver" // literals in DDL
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/table"
)

const strictMode = mysql.ModeStrictTransTables | mysql.ModeNoZeroDate | mysql.ModeNoZeroInDate

// tableInfo makes a schema from the columns of a CREATE TABLE: what TiDB's DDL
// would store, as far as the encoder looks at it. Indexes are added by hand.
func tableInfo(t testing.TB, columns string) *model.TableInfo {
	t.Helper()
	stmt, err := tidbparser.New().ParseOneStmt("CREATE TABLE t ("+columns+")", "", "")
	require.NoError(t, err)
	info := &model.TableInfo{ID: 42, Name: pmodel.NewCIStr("t"), State: model.StatePublic, Version: model.CurrLatestTableInfoVersion}
	for i, def := range stmt.(*ast.CreateTableStmt).Cols {
		col := &model.ColumnInfo{ID: int64(i + 1), Name: def.Name.Name, Offset: i, State: model.StatePublic, Version: model.CurrLatestColumnInfoVersion}
		col.FieldType = *def.Tp
		for _, o := range def.Options {
			if o.Tp == ast.ColumnOptionCollate {
				col.SetCollate(o.StrValue)
			}
		}
		fillType(&col.FieldType)
		for _, o := range def.Options {
			switch o.Tp {
			case ast.ColumnOptionNotNull:
				col.AddFlag(mysql.NotNullFlag)
			case ast.ColumnOptionPrimaryKey:
				col.AddFlag(mysql.PriKeyFlag | mysql.NotNullFlag)
				info.PKIsHandle = true
			case ast.ColumnOptionAutoIncrement:
				col.AddFlag(mysql.AutoIncrementFlag)
			}
		}
		info.Columns = append(info.Columns, col)
	}
	return info
}

// fillType sets the lengths and charsets that DDL would have filled in.
func fillType(ft *types.FieldType) {
	flen, decimal := mysql.GetDefaultFieldLengthAndDecimal(ft.GetType())
	if ft.GetFlen() == types.UnspecifiedLength {
		ft.SetFlen(flen)
		if ft.GetDecimal() == types.UnspecifiedLength {
			ft.SetDecimal(decimal)
		}
	}
	if ft.GetType() == mysql.TypeNewDecimal && ft.GetDecimal() == types.UnspecifiedLength {
		ft.SetDecimal(0)
	}
	if types.IsTypeBlob(ft.GetType()) {
		ft.SetFlen(map[byte]int{mysql.TypeTinyBlob: 255, mysql.TypeBlob: 65535, mysql.TypeMediumBlob: 16777215, mysql.TypeLongBlob: 4294967295}[ft.GetType()])
	}
	if ft.GetCollate() != "" && ft.GetCharset() == "" {
		ft.SetCharset(strings.SplitN(ft.GetCollate(), "_", 2)[0])
	}
	if ft.GetCharset() == "" {
		if types.IsString(ft.GetType()) || ft.GetType() == mysql.TypeEnum || ft.GetType() == mysql.TypeSet {
			ft.SetCharset(charset.CharsetUTF8MB4)
		} else {
			ft.SetCharset(charset.CharsetBin)
			ft.AddFlag(mysql.BinaryFlag)
		}
	}
	if ft.GetCollate() == "" {
		collation, err := charset.GetDefaultCollation(ft.GetCharset())
		if err != nil {
			panic(err) // a charset that the test misspelled
		}
		ft.SetCollate(collation)
	}
}

// addIndex adds an index on columns by name, with a prefix length after a colon.
func addIndex(info *model.TableInfo, unique bool, columns ...string) {
	idx := &model.IndexInfo{ID: int64(len(info.Indices) + 1), Name: pmodel.NewCIStr("k" + strings.Join(columns, "_")), State: model.StatePublic, Unique: unique}
	for _, name := range columns {
		for _, col := range info.Columns {
			if col.Name.L == name {
				idx.Columns = append(idx.Columns, &model.IndexColumn{Name: col.Name, Offset: col.Offset, Length: types.UnspecifiedLength})
			}
		}
	}
	info.Indices = append(info.Indices, idx)
}

func configOf(t testing.TB, info *model.TableInfo, mode mysql.SQLMode, loc *time.Location, targets ...table.FieldTarget) Config {
	t.Helper()
	target, err := table.NewTarget("db", info, true)
	require.NoError(t, err)
	mapping, err := target.Map(targets)
	require.NoError(t, err)
	return Config{Target: target, Mapping: mapping, SQLMode: mode, Location: loc, Now: time.Unix(1700000000, 0)}
}

func compile(t testing.TB, info *model.TableInfo, mode mysql.SQLMode, loc *time.Location, targets ...table.FieldTarget) *Plan {
	t.Helper()
	p, err := Compile(configOf(t, info, mode, loc, targets...))
	require.NoError(t, err)
	return p
}

// fields makes a row; "\N" is NULL.
func fields(vs ...string) []format.Field {
	row := make([]format.Field, len(vs))
	for i, v := range vs {
		if v == `\N` {
			row[i] = format.Field{Null: true}
		} else {
			row[i] = format.Field{Bytes: []byte(v)}
		}
	}
	return row
}

// seedOf returns the seed of a test's random rows: the same in every run, so
// that a test run means the same everywhere, unless SLUICE_SEED names another.
func seedOf(t testing.TB) int64 {
	t.Helper()
	seed := int64(20240229)
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseInt(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d", seed)
	return seed
}
