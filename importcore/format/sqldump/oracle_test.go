package sqldump_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	"github.com/pingcap/tidb/pkg/types"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
)

// parsed is what TiDB's parser makes of a dump, as readAll shows it.
func parsed(t *testing.T, text string, mode mysql.SQLMode) (rows []string) {
	t.Helper()
	p := parser.New()
	p.SetSQLMode(mode)
	statements, _, err := p.Parse(text, "utf8mb4", "utf8mb4_bin")
	require.NoError(t, err, text)
	for _, s := range statements {
		insert, ok := s.(*ast.InsertStmt)
		if !ok {
			continue
		}
		var columns []string
		for _, c := range insert.Columns {
			columns = append(columns, c.Name.O)
		}
		for _, list := range insert.Lists {
			var fields []string
			for _, e := range list {
				fields = append(fields, parsedValue(t, e))
			}
			rows = append(rows, strings.Join(columns, ",")+"="+strings.Join(fields, "|"))
		}
	}
	return rows
}

func parsedValue(t *testing.T, e ast.ExprNode) string {
	t.Helper()
	sign := ""
	if u, ok := e.(*ast.UnaryOperationExpr); ok {
		if e = u.V; u.Op == opcode.Minus {
			sign = "-"
		}
	}
	if _, ok := e.(*ast.DefaultExpr); ok {
		return "D"
	}
	if f, ok := e.(*ast.FuncCallExpr); ok {
		require.Equal(t, ast.Convert, f.FnName.L)
		return parsedValue(t, f.Args[0])
	}
	v, ok := e.(*driver.ValueExpr)
	require.True(t, ok, "%T", e)
	switch v.Kind() {
	case types.KindNull:
		return "N"
	case types.KindString, types.KindBytes:
		if v.GetType().GetCharset() == "binary" {
			return "b:" + v.GetString()
		}
		return "t:" + v.GetString()
	case types.KindBinaryLiteral:
		return "x:" + string(v.GetBinaryLiteral())
	case types.KindFloat64:
		return "n:" + sign + strconv.FormatFloat(v.GetFloat64(), 'g', -1, 64)
	default:
		text, err := v.ToString()
		require.NoError(t, err)
		return "n:" + sign + text
	}
}

// sameNumber brings numbers of a row into one form.
func sameNumber(row string) string {
	head, fields, _ := strings.Cut(row, "=")
	parts := strings.Split(fields, "|")
	for i, p := range parts {
		number, ok := strings.CutPrefix(p, "n:")
		if !ok {
			continue
		}
		if strings.ContainsAny(number, "eE") {
			f, _ := strconv.ParseFloat(number, 64)
			parts[i] = "n:" + strconv.FormatFloat(f, 'g', -1, 64)
			continue
		}
		var d types.MyDecimal
		if err := d.FromString([]byte(number)); err == nil {
			parts[i] = "n:" + d.String()
		}
	}
	return head + "=" + strings.Join(parts, "|")
}

// pieces are what random strings are made of, in their spelling inside of single quotes.
var pieces = []string{"a", "B", " ", "0", "\\\\", "\\'", "''", "\\\"", "\"", "\\n", "\\0", "\\Z", "\\%", "\\_", "\\x", "\n", "\t", "`", ",", "(", ")", ";", "--", "#", "/*", "*/", "é", "漢", "🦊", "~"}

func randomValue(rnd *rand.Rand, backslash bool) string {
	text := func(q string) string {
		var b strings.Builder
		for range rnd.IntN(8) * rnd.IntN(8) {
			p := pieces[rnd.IntN(len(pieces))]
			if !backslash && strings.Contains(p, `\`) {
				p = `\`
			}
			if q == `"` {
				p = strings.NewReplacer("''", "'", `\"`, `\"`, `"`, `""`).Replace(strings.ReplaceAll(p, `\"`, `q`))
			}
			b.WriteString(p)
		}
		return q + b.String() + q
	}
	switch rnd.IntN(14) {
	case 0:
		return []string{"NULL", "null", "TRUE", "False", "DEFAULT"}[rnd.IntN(5)]
	case 1:
		return fmt.Sprintf("x'%04x'", rnd.IntN(1<<16))
	case 2:
		return fmt.Sprintf("0x%x", rnd.IntN(1<<20))
	case 3:
		return fmt.Sprintf("b'%b'", rnd.IntN(1<<20))
	case 4:
		return fmt.Sprintf("0b%b", rnd.IntN(1<<10))
	case 5:
		return strconv.FormatInt(rnd.Int64()>>rnd.IntN(64), 10)
	case 6:
		return "-" + strconv.FormatUint(rnd.Uint64(), 10)
	case 7:
		return fmt.Sprintf("%.*f", rnd.IntN(9), rnd.NormFloat64()*1000)
	case 8:
		return []string{"1e5", "-1.5E-3", ".5", "5.", "00012", "18446744073709551616", "2e0", "+7"}[rnd.IntN(8)]
	case 9:
		return "_utf8mb4" + text("'")
	case 10:
		return "CONVERT(" + text("'") + " USING utf8mb4)"
	case 11:
		return text(`"`)
	default:
		return text("'")
	}
}

// TestValuesAsTiDBParsesThem compares random statements with TiDB's parser.
func TestValuesAsTiDBParsesThem(t *testing.T) {
	t.Parallel()
	blanks := []string{"", " ", "\n", " /* c */ ", " -- x\n", "# y\n"}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		backslash := seed%4 > 0
		blank := func() string {
			if rnd.IntN(4) > 0 {
				return ""
			}
			return blanks[rnd.IntN(len(blanks))]
		}
		var b strings.Builder
		for range 1 + rnd.IntN(4) {
			fields := 1 + rnd.IntN(6)
			b.WriteString([]string{"INSERT INTO ", "insert ", "REPLACE INTO ", "INSERT IGNORE INTO "}[rnd.IntN(4)] + "`t`" + blank())
			if rnd.IntN(2) == 0 {
				b.WriteString("(")
				for i := range fields {
					if i > 0 {
						b.WriteString(blank() + "," + blank())
					}
					fmt.Fprintf(&b, []string{"`c``%d`", "c%d", "t.c%d"}[rnd.IntN(3)], i)
				}
				b.WriteString(")")
			}
			b.WriteString(" VALUES" + blank())
			for i, rows := 0, 1+rnd.IntN(5); i < rows; i++ {
				if i > 0 {
					b.WriteString(blank() + "," + blank())
				}
				b.WriteString("(")
				for f := range fields {
					if f > 0 {
						b.WriteString(blank() + "," + blank())
					}
					b.WriteString(randomValue(rnd, backslash))
				}
				b.WriteString(blank() + ")")
			}
			b.WriteString(blank() + ";\n")
		}
		mode, cfg := mysql.SQLMode(0), sqldump.Config{}
		if !backslash {
			mode, cfg.NoBackslashEscapes = mysql.ModeNoBackslashEscapes, true
		}
		want := parsed(t, b.String(), mode)
		for _, blockBytes := range []int{1, 1 << 16} {
			blocks, err := readAll(t, b.String(), nil, format.RowPlace{}, cfg, blockBytes)
			require.NoError(t, err, b.String())
			got := rowsOf(blocks)
			require.Len(t, got, len(want), b.String())
			for i := range got {
				require.Equal(t, sameNumber(want[i]), sameNumber(got[i]), b.String())
			}
		}
	}
}

// FuzzFile: whatever a file holds, it is read the same with blocks of any size, and never with fewer rows and no error.
func FuzzFile(f *testing.F) {
	f.Add("INSERT INTO t VALUES (1,'a\\'b'),(x'00',NULL);", false)
	f.Add("/*!40101 SET SQL_MODE='ANSI_QUOTES' */;\nINSERT INTO \"t\" (\"a\") VALUES ('x');-- c\nINSERT INTO t(a) VALUES(1.5e3)/* d */,(_binary 'x');", true)
	f.Add("DELIMITER ;;\nCREATE TRIGGER x BEGIN; END;;\nDELIMITER ;\nINSERT INTO t VALUES (CONVERT('a' USING utf8mb4), 0x1, b'1');", false)
	f.Add(mysqldump, true)
	f.Fuzz(func(t *testing.T, text string, recover bool) {
		cfg := sqldump.Config{Recover: recover}
		small, smallErr := readAll(t, text, nil, format.RowPlace{}, cfg, 1)
		large, largeErr := readAll(t, text, nil, format.RowPlace{}, cfg, 1<<20)
		require.Equal(t, smallErr == nil, largeErr == nil, "%v, %v", smallErr, largeErr)
		if smallErr == nil {
			require.Equal(t, rowsOf(large), rowsOf(small))
		}
		store := memory{[]byte(text)}
		file := store.file()
		outline, err := sqldump.ReadOutline(t.Context(), store, &file, cfg)
		if err != nil {
			return
		}
		rows := 0
		for _, r := range outline.Rows {
			blocks, err := readAll(t, text, &r.Section, format.RowPlace{}, cfg, 1<<10)
			if err != nil {
				return
			}
			rows += len(rowsOf(blocks))
		}
		if largeErr == nil {
			require.Equal(t, len(rowsOf(large)), rows)
		}
	})
}

// FuzzSplitStatements: what is split are parts of the text, in order.
func FuzzSplitStatements(f *testing.F) {
	f.Add(mysqldump)
	f.Add("a; 'b;' /* ; */ c -- ;\n;")
	f.Fuzz(func(t *testing.T, text string) {
		end := int64(0)
		_ = sqldump.SplitStatements([]byte(text), func(s string, offset, _ int64) error {
			require.GreaterOrEqual(t, offset, end)
			require.True(t, strings.HasPrefix(text[offset:], s))
			if end = offset + int64(len(s)); s == "" {
				return errors.New("an empty statement")
			}
			return nil
		})
	})
}
