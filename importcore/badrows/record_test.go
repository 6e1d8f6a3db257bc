package badrows

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 8, ""},
		{"plain", 8, "plain"},
		{"plain", 5, "plain"},
		{"plain", 4, "plai... (5 bytes)"},
		{"a\\b\n\"'", 99, "a\\b\n\"'"},
		{"a\xffb\xfe", 99, `a\xffb\xfe`},
		{"é日😀\u0000", 99, "é日😀\u0000"},
		{"aé", 2, "a... (3 bytes)"},
		{"aaa日", 4, "aaa... (6 bytes)"},
		{"aaa日", 5, "aaa... (6 bytes)"},
		{"aaa日x", 6, "aaa日... (7 bytes)"},
		{"a😀", 4, "a... (5 bytes)"},
		{"aaaa\xf0\x9fbb", 6, `aaaa... (8 bytes)`},
		{"\xff\xff\xff\xff\xff", 4, `\xff\xff\xff\xff... (5 bytes)`},
		{"\x80\x80\x80\x80\x80", 4, `\x80\x80\x80\x80... (5 bytes)`},
		{"\ufffd", 99, "\ufffd"},
	} {
		require.Equal(t, tc.want, Text([]byte(tc.in), tc.limit), "%q %d", tc.in, tc.limit)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\xffé日😀"), 3)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		limit = 1 + max(limit, -limit)%64
		out := Text(in, limit)
		if !utf8.ValidString(out) || len(out) > 4*limit+40 {
			t.Fatalf("%q", out)
		}
		if utf8.Valid(in) && len(in) <= limit && out != string(in) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	at := fault.Position{File: "/d/a.csv", Line: 3, Offset: 22, Column: "n", Value: `"12x"`}
	f := fault.Wrap(errors.New("cause"), fault.Source, 1366, "Incorrect value").Place(at)
	r := New(Type, f, []byte("12x\xff"))
	require.Equal(t, Record{Class: Type, File: "/d/a.csv", Line: 3, Offset: 22, Column: "n", Value: `12x\xff`, Code: 1366,
		Message: "Incorrect value: cause", err: f}, r)
	require.Same(t, f, r.fault())
	require.Equal(t, at, f.At, "the error is as it was")
	require.Equal(t, `"12x"`, New(Type, f, nil).Value)
	require.Empty(t, New(Type, f, []byte{}).Value)

	r = New(Syntax, fault.New(fault.Source, 0, "%s", strings.Repeat("m", 5000)), []byte(strings.Repeat("v", 5000)))
	require.EqualValues(t, 1105, r.Code)
	require.Less(t, len(r.Message), MaxMessageBytes+32)
	require.Less(t, len(r.Value), MaxValueBytes+32)

	hand := Record{Class: Conflict, File: "b", Line: 1, Column: "uk", Value: "k", Code: 1062, Message: "Duplicate entry"}
	require.Equal(t, `Duplicate entry (file b, line 1, offset 0, column uk, value "k")`, hand.fault().Error())
	require.Equal(t, fault.Source, hand.fault().Whose)
}

func TestCounts(t *testing.T) {
	t.Parallel()
	var c Counts
	require.Equal(t, "", c.String())
	for _, class := range []Class{Charset, Type, Conflict, Type} {
		c.Add(class)
	}
	require.EqualValues(t, 4, c.Total())
	require.Equal(t, "2 type, 1 charset, 1 conflict", c.String())
	require.Equal(t, "unknown", classes.String())
	require.Equal(t, "syntax", Syntax.String())
	require.Len(t, Classes(), int(classes))
}
