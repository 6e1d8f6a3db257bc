package logical

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

func TestLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field format.Field
		class class
		want  string
	}{
		{format.Field{Null: true}, classText, "NULL"},
		{format.Field{Bytes: []byte("12")}, classText, "'12'"},
		{format.Field{Bytes: []byte(`it's \ "x"` + "\x00\x1a\n")}, classText, `'it\'s \\ "x"\0\Z` + "\n'"},
		{format.Field{Bytes: []byte("ü\xff")}, classText, "x'c3bcff'"},
		{format.Field{Bytes: []byte("\xff'\x00")}, classBinary, "_binary'\xff\\'\\0'"},
		{format.Field{Bytes: nil}, classBinary, "_binary''"},
		{format.Field{Bytes: []byte("-1.5e3"), Kind: format.Number}, classText, "-1.5e3"},
		{format.Field{Bytes: []byte("\x05'"), Kind: format.Bits}, classBinary, "x'0527'"},
		{format.Field{Bytes: []byte("ab"), Kind: format.Binary}, classText, "_binary'ab'"},
		{format.Field{Kind: format.Default}, classText, "DEFAULT"},
	} {
		require.Equal(t, c.want, string(appendLiteral(nil, c.field, c.class)))
	}
}

// FuzzLiterals: a literal ends where it should, whatever is in it, and stands for the same bytes.
func FuzzLiterals(f *testing.F) {
	f.Add([]byte("a'b\\c\x00\x1a"), true)
	f.Add([]byte("\xe4'"), false)
	f.Fuzz(func(t *testing.T, text []byte, binary bool) {
		c := classText
		if binary {
			c = classBinary
		}
		got := string(appendLiteral(nil, format.Field{Bytes: text}, c))
		got = strings.TrimPrefix(got, "_binary")
		if strings.HasPrefix(got, "x'") {
			return
		}
		inner := []byte(got[1 : len(got)-1])
		require.True(t, got[0] == '\'' && got[len(got)-1] == '\'')
		var back []byte
		for i := 0; i < len(inner); i++ {
			require.NotEqual(t, byte('\''), inner[i], "%q", got)
			if inner[i] != '\\' {
				back = append(back, inner[i])
				continue
			}
			i++
			require.Less(t, i, len(inner))
			switch inner[i] {
			case '0':
				back = append(back, 0)
			case 'Z':
				back = append(back, 26)
			default:
				back = append(back, inner[i])
			}
		}
		require.Equal(t, string(text), string(back))
	})
}

func TestStateGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	s := laneState{Version: stateVersion, Basis: "b"}
	s = s.with(span{0, 10, 20}, place{}, Counts{Rows: 10})
	s = s.with(span{0, 20, 30}, place{}, Counts{Rows: 9, Rejected: 1})
	s = s.with(span{0, 50, 60}, place{}, Counts{Rows: 10})
	s = s.with(span{1, 0, 5}, place{}, Counts{Rows: 5})
	require.Equal(t, []span{{0, 10, 30}, {0, 50, 60}, {1, 0, 5}}, s.Done)
	was := s
	s = s.with(span{1, 5, 7}, place{File: 0, At: format.RowPlace{Row: 30, Line: 31}}, Counts{})
	require.Equal(t, []span{{0, 50, 60}, {1, 0, 7}}, s.Done)
	require.Len(t, was.Done, 3, "the state before is as it was")
	s = s.with(span{1, 7, 8}, place{File: 0, At: format.RowPlace{Row: 10, Line: 11}}, Counts{})
	require.Equal(t, place{File: 0, At: format.RowPlace{Row: 30, Line: 31}}, s.Floor, "the floor never sinks")
	require.Equal(t, Counts{Rows: 34, Rejected: 1}, s.Counts)

	back, err := decodeState([]byte(s.encode()), "b")
	require.NoError(t, err)
	require.Equal(t, s, back)
	_, err = decodeState([]byte(s.encode()), "c")
	require.ErrorIs(t, err, ErrBasis)
	_, err = decodeState([]byte(`{"v":2,"basis":"b"}`), "b")
	require.ErrorContains(t, err, "another version")

	p := merge([]laneState{s, {Floor: place{File: 1}, Done: []span{{1, 3, 4}}, Counts: Counts{Rows: 1}}})
	require.Equal(t, place{File: 1}, p.floor)
	require.EqualValues(t, 35, p.counts.Rows)
	d := within(p.done, 1, 2, 20)
	require.Equal(t, []span{{1, 2, 8}, {1, 3, 4}}, d)
	require.True(t, covered(d, 2, 8))
	require.False(t, covered(d, 2, 9))
	require.False(t, covered(d, 1, 8))
	require.True(t, holds(d, 7) && !holds(d, 8))
}

func TestWhatErrorsSay(t *testing.T) {
	t.Parallel()
	table := &Table{columns: []*column{{name: "id"}, {name: "Näme", text: true}, {name: "a`b"}, {name: "x.y"}}}
	for message, want := range map[string]struct {
		row    int
		column string
	}{
		"Incorrect integer value: 'x' for column `db`.`t`.`id` at row 5": {5, "id"},
		"Data too long for column 'näme' at row 12":                      {12, "Näme"},
		"Column 'id' cannot be null":                                     {0, "id"},
		"Field 'x.y' doesn't have a default value":                       {0, "x.y"},
		"Incorrect integer value: 'at row 9' for column 'id' at row 2":   {2, "id"},
		"Bad for column `db`.`t`.`a``b` at row 1":                        {1, "a`b"},
		"Duplicate entry '1' for key 'PRIMARY'":                          {0, ""},
	} {
		require.Equal(t, want.row, rowNamed(message), message)
		name := ""
		if c := table.columnNamed(message); c != nil {
			name = c.name
		}
		require.Equal(t, want.column, name, message)
	}
	require.Equal(t, badrows.Charset, table.columns[1].badClass(1366))
	require.Equal(t, badrows.Type, table.columns[0].badClass(1366))
}

func TestBatch(t *testing.T) {
	t.Parallel()
	table := &Table{DB: "d", Name: "t", columns: []*column{{name: "a"}, {name: "g", always: true}, {name: "b", class: classBinary}}}
	f, err := table.compile(&Layout{Columns: []string{"B", "", "g", "A"}, Optional: 1}, DuplicateIgnore)
	require.NoError(t, err)
	b := &batch{}
	b.reset(f, 3)
	row := func(texts ...string) (fields []format.Field) {
		for _, x := range texts {
			fields = append(fields, format.Field{Bytes: []byte(x)})
		}
		return fields
	}
	require.NoError(t, b.add(row("1", "x", "y", "2"), 3))
	require.EqualValues(t, 1261, fault.As(b.add(row("1", "x"), 4)).Code)
	require.EqualValues(t, 1262, fault.As(b.add(row("1", "x", "y", "z", "u"), 4)).Code)
	require.NoError(t, b.add(row("3", "x", "y"), 5))
	require.NoError(t, b.add(row("4", "x", "y", "4"), 6))
	const head, tail = "INSERT INTO `d`.`t` (`b`, `a`) VALUES ", " ON DUPLICATE KEY UPDATE `b` = `b`"
	require.Equal(t, head+"(_binary'1','2'),(_binary'3',DEFAULT),(_binary'4','4')"+tail, b.sql(0, 3))
	require.Equal(t, head+"(_binary'3',DEFAULT)"+tail, b.sql(1, 2))
	require.Equal(t, len("(_binary'4','4')")+1, b.size())
	b.drop()
	require.Equal(t, head+"(_binary'1','2'),(_binary'3',DEFAULT)"+tail, b.sql(0, 2))
	require.Equal(t, []int32{3, 5}, b.rows)
	_, err = table.compile(&Layout{Columns: []string{"c"}}, DuplicateError)
	require.EqualValues(t, 1054, fault.As(err).Code)
}

func TestSessionStatements(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for want, zone := range map[string]*time.Location{"+00:00": nil, "Europe/Berlin": berlin, "-03:30": time.FixedZone("x", -12600), "+05:00": time.FixedZone("", 18000)} {
		name, err := zoneName(zone)
		require.NoError(t, err)
		require.Equal(t, want, name)
	}
	set, err := Session{SQLMode: mysql.ModeStrictTransTables | mysql.ModeNoBackslashEscapes | mysql.ModeANSIQuotes, Now: time.Unix(5, 7000),
		Vars: map[string]string{"a": "1", "b": "x'"}}.statements(MySQL)
	require.NoError(t, err)
	all := strings.Join(set, ";")
	require.Contains(t, all, "sql_mode = 'STRICT_TRANS_TABLES'")
	require.Contains(t, all, "SET SESSION timestamp = 5.000007")
	require.Contains(t, all, "SET SESSION `a` = 1;SET SESSION `b` = 'x\\''")
}

func TestRecordsSurviveTheLedger(t *testing.T) {
	t.Parallel()
	r := badrows.New(badrows.Charset, fault.New(fault.Source, 1366, "no text").Place(fault.Position{File: "f", Line: 3, Offset: 9, Column: "c"}), []byte("\xff'\\"))
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back badrows.Record
	require.NoError(t, json.Unmarshal(text, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
}

func BenchmarkAppendRow(b *testing.B) {
	table := &Table{DB: "d", Name: "t", columns: []*column{{name: "a"}, {name: "b"}, {name: "c", class: classBinary}}}
	f, err := table.compile(&Layout{Columns: []string{"a", "b", "c"}}, DuplicateError)
	require.NoError(b, err)
	fields := []format.Field{{Bytes: []byte("123456789")}, {Bytes: []byte(strings.Repeat("some text with 'quotes' ", 5))}, {Bytes: make([]byte, 40)}}
	var dst []byte
	b.SetBytes(9 + 120 + 40)
	for b.Loop() {
		dst, _ = f.appendRow(dst[:0], fields)
	}
}
