package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
)

const modern = ClientProtocol41 | ClientDeprecateEOF

func TestGenericPackets(t *testing.T) {
	t.Parallel()
	ok := OK{AffectedRows: 300, LastInsertID: 7, Status: StatusAutocommit, Warnings: 2}
	require.Equal(t, "\x00\xfc\x2c\x01\x07\x02\x00\x02\x00", string(AppendOK(nil, ClientProtocol41, ok)))
	require.Equal(t, "\xfe\x02\x00\x02\x00", string(AppendEOF(nil, ClientProtocol41, ok)))
	require.Equal(t, "\xfe\xfc\x2c\x01\x07\x02\x00\x02\x00", string(AppendEOF(nil, modern, ok)))
	require.Equal(t, "\xfe", string(AppendEOF(nil, 0, ok)))
	ok.Info = "hi"
	require.Equal(t, "\x00\xfc\x2c\x01\x07\x02\x00\x02\x00\x02hi", string(AppendOK(nil, ClientProtocol41, ok)))
	got, err := ParseOK(AppendOK(nil, ClientProtocol41, ok), ClientProtocol41)
	require.NoError(t, err)
	require.Equal(t, ok, got)

	e := &mysql.MyError{Code: 1295, State: "HY000", Message: "no"}
	require.Equal(t, "\xff\x0f\x05#HY000no", string(AppendErr(nil, ClientProtocol41, e)))
	require.Equal(t, "\xff\x0f\x05no", string(AppendErr(nil, 0, e)))
	require.Equal(t, "\xff\x0f\x05#HY000no", string(AppendErr(nil, ClientProtocol41, &mysql.MyError{Code: 1295, State: "bad", Message: "no"})))
	for _, caps := range []Capability{0, ClientProtocol41} {
		back, err := ParseErr(AppendErr(nil, caps, e), caps)
		require.NoError(t, err)
		require.Equal(t, e, back)
	}
	_, err = ParseErr([]byte{0xff, 1}, 0)
	require.ErrorIs(t, err, ErrMalformed)
}

// writeSet returns the bytes of a result set of our own.
func writeSet(t testing.TB, caps Capability, columns []Column, rows [][][]byte, end OK) []byte {
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	require.NoError(t, WriteResultSet(w, caps, columns, rows, end))
	require.NoError(t, w.Flush())
	return out.Bytes()
}

func TestResultSetBytes(t *testing.T) {
	t.Parallel()
	got := writeSet(t, ClientProtocol41, []Column{{Name: "Id", Type: mysql.MYSQL_TYPE_LONGLONG, Charset: 63, Length: 20, Flags: 1}},
		[][][]byte{{[]byte("7")}, {nil}}, OK{Status: StatusAutocommit})
	want := "\x01\x00\x00\x01\x01" +
		"\x18\x00\x00\x02\x03def\x00\x00\x00\x02Id\x02Id\x0c\x3f\x00\x14\x00\x00\x00\x08\x01\x00\x00\x00\x00" +
		"\x05\x00\x00\x03\xfe\x00\x00\x02\x00" +
		"\x02\x00\x00\x04\x017" +
		"\x01\x00\x00\x05\xfb" +
		"\x05\x00\x00\x06\xfe\x00\x00\x02\x00"
	// 4+3 names and catalog, 6 strings, fixed part
	require.Equal(t, want[5+4:], string(got[5+4:]))
	size, _ := ParseHeader(got[5:])
	require.Equal(t, strings.Index(want[9:], "\x05\x00\x00\x03"), size)
}

func TestReadTextResult(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxPayload+10)
	columns := []Column{
		{Name: "i", Type: mysql.MYSQL_TYPE_LONGLONG}, {Name: "u", Type: mysql.MYSQL_TYPE_LONGLONG, Flags: mysql.UNSIGNED_FLAG},
		{Name: "s", Type: mysql.MYSQL_TYPE_VAR_STRING}, {Name: "d", Type: mysql.MYSQL_TYPE_NEWDECIMAL},
	}
	rows := [][][]byte{
		{[]byte("-5"), []byte("18446744073709551615"), {}, []byte("1.50")},
		{nil, nil, nil, nil},
		{[]byte("0"), []byte("0"), []byte(long), []byte("0")},
	}
	for _, caps := range []Capability{ClientProtocol41, modern} {
		res, err := ReadTextResult(writeSet(t, caps, columns, rows, OK{Status: StatusInTrans, Warnings: 3}), caps)
		require.NoError(t, err)
		require.Equal(t, uint16(StatusInTrans), res.Status)
		require.Equal(t, uint16(3), res.Warnings)
		require.Equal(t, 3, res.RowNumber())
		i, err := res.GetIntByName(0, "i")
		require.NoError(t, err)
		require.Equal(t, int64(-5), i)
		u, err := res.GetUintByName(0, "u")
		require.NoError(t, err)
		require.Equal(t, uint64(18446744073709551615), u)
		d, err := res.GetStringByName(0, "d")
		require.NoError(t, err)
		require.Equal(t, "1.50", d)
		null, err := res.IsNull(1, 2)
		require.NoError(t, err)
		require.True(t, null)
		null, err = res.IsNull(0, 2)
		require.NoError(t, err)
		require.False(t, null, "an empty string is no NULL")
		s, err := res.GetString(2, 2)
		require.NoError(t, err)
		require.True(t, s == long, "a row of several physical packets")
	}
}

func TestReadTextResultKinds(t *testing.T) {
	t.Parallel()
	frame := func(payloads ...[]byte) (out []byte) {
		var seq byte = 1
		for _, p := range payloads {
			out, seq = AppendPacket(out, p, seq)
		}
		return out
	}
	okMore := AppendOK(nil, modern, OK{AffectedRows: 4, Status: StatusMoreResultsExist})
	ok := AppendOK(nil, modern, OK{AffectedRows: 5, LastInsertID: 9})
	refused := AppendErr(nil, modern, &mysql.MyError{Code: 1146, State: "42S02", Message: "no table"})

	res, err := ReadTextResult(frame(ok), modern)
	require.NoError(t, err)
	require.Equal(t, uint64(5), res.AffectedRows)
	require.Equal(t, uint64(9), res.InsertId)
	res, err = ReadTextResult(frame(okMore, ok), modern)
	require.NoError(t, err)
	require.Equal(t, uint64(4), res.AffectedRows)

	for _, stream := range [][]byte{frame(refused), frame(okMore, refused)} {
		_, err = ReadTextResult(stream, modern)
		var my *mysql.MyError
		require.True(t, errors.As(err, &my))
		require.Equal(t, &mysql.MyError{Code: 1146, State: "42S02", Message: "no table"}, my)
	}
	for name, stream := range map[string][]byte{
		"nothing": nil, "half a header": {1, 0}, "half a packet": {5, 0, 0, 1, 0}, "empty packet": {0, 0, 0, 1},
		"more promised": frame(okMore), "bytes behind": append(frame(ok), 1), "infile": frame([]byte("\xfbfile")),
		"column count beyond the bytes": frame([]byte{0xfe, 0, 0, 0, 0, 0, 0, 0, 1}),
	} {
		_, err = ReadTextResult(stream, modern)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func FuzzReadTextResult(f *testing.F) {
	for _, caps := range []Capability{ClientProtocol41, modern} {
		f.Add(writeSet(f, caps, []Column{{Name: "a", Type: mysql.MYSQL_TYPE_LONG}}, [][][]byte{{[]byte("1")}, {nil}}, OK{}), uint32(caps))
	}
	f.Fuzz(func(t *testing.T, b []byte, caps uint32) {
		before := bytes.Clone(b)
		res, err := ReadTextResult(b, Capability(caps))
		require.True(t, (res == nil) == (err != nil))
		require.Equal(t, before, b, "the input is not changed")
	})
}

func TestQueryText(t *testing.T) {
	t.Parallel()
	attrs := func(s string) []byte { return append([]byte{3}, s...) }
	for name, c := range map[string]struct {
		payload []byte
		caps    Capability
		want    string
	}{
		"plain":         {attrs("select 1"), ClientProtocol41, "select 1"},
		"no attributes": {attrs("\x00\x01select 1"), ClientQueryAttributes, "select 1"},
		"one string":    {attrs("\x01\x01\x00\x01\xfe\x00\x01k\x03valselect 1"), ClientQueryAttributes, "select 1"},
		"null and number": {attrs("\x02\x01\x01\x01\xfe\x00\x01k\x08\x00\x01n\x01\x02\x03\x04\x05\x06\x07\x08select 1"),
			ClientQueryAttributes, "select 1"},
		"datetime": {attrs("\x01\x01\x00\x01\x0c\x00\x00\x04\xe8\x07\x01\x02x"), ClientQueryAttributes, "x"},
	} {
		got, err := QueryText(c.payload, c.caps)
		require.NoError(t, err, name)
		require.Equal(t, c.want, string(got), name)
	}
	for name, payload := range map[string][]byte{
		"empty": {}, "no count": {3}, "no sets": {3, 0}, "count too high": attrs("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01ab"),
		"no types": attrs("\x01\x01\x00\x00\x00"), "type missing": attrs("\x01\x01\x00\x01\x08"),
		"value missing": attrs("\x01\x01\x00\x01\x08\x00\x00\x01\x02"),
	} {
		_, err := QueryText(payload, ClientQueryAttributes)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	for _, caps := range []Capability{0, ClientQueryAttributes} {
		got, err := QueryText(AppendQuery(nil, caps, "select 2"), caps)
		require.NoError(t, err)
		require.Equal(t, "select 2", string(got))
	}
}

func FuzzQueryText(f *testing.F) {
	f.Add([]byte("\x03\x01\x01\x00\x01\xfe\x00\x01k\x03valselect 1"), true)
	f.Fuzz(func(t *testing.T, b []byte, attributes bool) {
		var caps Capability
		if attributes {
			caps = ClientQueryAttributes
		}
		if text, err := QueryText(b, caps); err == nil {
			require.True(t, bytes.HasSuffix(b, text))
		}
	})
}
