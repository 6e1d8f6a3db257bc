package imports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// fileCharsets are the character sets that files are decoded from, with texts
// whose bytes look like other things: the second byte of 昞 is a backslash, that
// of 亅 a vertical bar.
var fileCharsets = []struct {
	name  string
	enc   encoding.Encoding
	texts []string
}{
	{"gbk", simplifiedchinese.GBK, []string{"中文", "昞", "昞昞\n亅", "a|亅", "", `\`, "乗,俕", "，。", "\u3000", "plain", "ends 昞"}},
	{"gb18030", simplifiedchinese.GB18030, []string{"中文", "昞", "😀", "亅\r\n😀", "é", "\u0080ÿ", "𠀀昞", `"昞"`, "ends 昞"}},
	{"latin1", charmap.Windows1252, []string{"café", "€ 5", "\u00a0", "ÿ…", `Â "quoted"`, "ï»¿", "plain"}},
}

func encode(t *testing.T, enc encoding.Encoding, text string) string {
	t.Helper()
	raw, err := enc.NewEncoder().String(text)
	require.NoError(t, err)
	return raw
}

// cell writes a text as a CSV field.
func cell(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `""`).Replace(text) + `"`
}

// TestCharacterSets: files in other character sets have the rows that INSERTs of
// their texts give, in columns of all kinds and character sets, keys and collations, in
// one block and in many.
func TestCharacterSets(t *testing.T) {
	t.Parallel()
	for _, cs := range fileCharsets {
		t.Run(cs.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			const table = `(id INT PRIMARY KEY, s VARCHAR(40) COLLATE utf8mb4_unicode_ci, b BLOB, f VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
				j JSON, n INT, u VARCHAR(60) AS (CONCAT(s, id)), KEY (s), KEY (f), KEY (u), KEY (b(7)))`
			b.exec("CREATE TABLE t "+table, "CREATE TABLE w "+table)
			var file bytes.Buffer
			for i := range 3000 {
				s := cs.texts[i%len(cs.texts)]
				document, err := json.Marshal(map[string]string{"k": s})
				require.NoError(t, err)
				j := string(document)
				line := fmt.Sprintf("%d,%s,%s,%s,%s,%d\n", i, cell(s), cell(s+strings.Repeat("x", i%3)), bare(s), cell(j), i%7)
				file.WriteString(encode(t, cs.enc, line))
				if i < 3*len(cs.texts) {
					_, err := b.direct.ExecContext(t.Context(), "INSERT INTO w (id, s, b, f, j, n) VALUES (?, ?, ?, ?, ?, ?)", i, s, s+strings.Repeat("x", i%3), s, j, i%7)
					require.NoError(t, err)
				}
			}
			path := b.file("a.csv", file.String())
			job := b.mustImport(fmt.Sprintf("IMPORT INTO t (id, s, b, f, j, n) FROM '%s' WITH character_set='%s', thread=3", path, strings.ToUpper(cs.name)))
			require.Equal(t, "3000", job["Imported_Rows"])
			b.consistent("t")
			const all = "SELECT id, HEX(s), HEX(b), HEX(f), j, n, u FROM %s WHERE id < %d ORDER BY id"
			require.Equal(t, b.query(fmt.Sprintf(all, "w", 3*len(cs.texts))), b.query(fmt.Sprintf(all, "t", 3*len(cs.texts))))
			require.Equal(t, [][]string{{"3000"}}, b.query("SELECT COUNT(*) FROM t USE INDEX (f) WHERE f = s AND LEFT(b, LENGTH(s)) = CAST(s AS BINARY) AND n = id % 7"))
		})
	}
}

// bare writes a text as a field without quotes.
func bare(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, ",", `\,`, "\n", `\n`, "\r", `\r`).Replace(text)
}

// TestCharacterSetsTakenAsTheyAre: the bytes of utf8, utf8mb4, ascii and binary
// files are what the columns get, and each column looks at them by its own character set.
func TestCharacterSetsTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, charset := range []string{"utf8", "utf8mb4", "ascii", "BINARY"} {
		t.Run(charset, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), b VARBINARY(20))")
			with := " WITH character_set='" + charset + "'"
			b.mustImport("IMPORT INTO t FROM '" + b.file("a.csv", "\xef\xbb\xbf1,é😀,\xff\x00\x81\n2,plain,\xe9\n") + "'" + with)
			require.Equal(t, [][]string{{"1", "C3A9F09F9880", "FF0081"}, {"2", "706C61696E", "E9"}}, b.query("SELECT id, HEX(s), HEX(b) FROM t ORDER BY id"))
			b.consistent("t")
			b.exec("TRUNCATE TABLE t")
			b.fails("IMPORT INTO t FROM '"+b.file("b.csv", "1,a,a\n2,\xe9,b\n")+"'"+with, 1366, "column 's'", `value "\xe9"`, "line 2, offset 6")
		})
	}
}

// TestForeignText: bytes that are no text in the file's character set are an
// error with their place, in columns of every kind and under every SQL mode, unless nothing gets
// them; nothing is replaced. TiDB would import U+FFFD.
func TestForeignText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), b BLOB, n INT)")
	for _, tt := range []struct {
		mapping, charset, row, column, value string
	}{
		{"", "gbk", "2,a\xff,x,1", "s", `a\xff`},
		{"", "gbk", "2,\xd6\xd0,\"\xd6\xd0\xa1\x5c\",1", "b", `中\xa1\\`},
		{"", "gbk", "2,x,y,1\x81", "n", `1\x81`},
		{"", "gb18030", "2,\x81\x30\x81,y,1", "s", `\x810\x81`},
		{"", "latin1", "2,caf\xe9,\x81,1", "b", `\x81`},
		{"(id, @x, b, n) SET s = LENGTH(@X)", "gbk", "2,\xff,x,1", "@x", `\xff`},
	} {
		path := b.file("f.csv", "1,a,b,1\n"+tt.row+"\n3,c,d,3\n")
		stmt := fmt.Sprintf("IMPORT INTO t %s FROM '%s' WITH character_set='%s'", tt.mapping, path, tt.charset)
		for _, mode := range []string{"DEFAULT", "''"} {
			conn, err := b.proxy.Conn(t.Context())
			require.NoError(t, err)
			_, err = conn.ExecContext(t.Context(), "SET sql_mode = "+mode)
			require.NoError(t, err)
			_, _, err = rows(t, conn, stmt)
			requireMySQLError(t, stmt, err, 1366, fmt.Sprintf(
				"Incorrect string value for column '%s': there are bytes that are no text in the character set %s (file %s, line 2, offset 8, column %s, value \"%s\")",
				tt.column, tt.charset, path, tt.column, tt.value))
			require.NoError(t, conn.Close())
			require.Equal(t, "0", b.count("t"))
		}
		job := b.mustImport(stmt + ", max_errors=1")
		require.Equal(t, "2", job["Imported_Rows"])
		require.Equal(t, [][]string{{"charset", path, "2", "8", tt.column, strings.ReplaceAll(tt.value, `\\`, `\`), "1366"}}, b.query(selectBadRows, job["Job_ID"]))
		require.Equal(t, [][]string{{"1"}, {"3"}}, b.query("SELECT id FROM t ORDER BY id"))
		b.exec("TRUNCATE TABLE t")
	}
	// What goes nowhere is not looked at.
	path := b.file("d.csv", "1,\xff,a,1\n2,b,\xd6\xd0,2\n")
	b.mustImport(fmt.Sprintf("IMPORT INTO t (id, @x, b, n) FROM '%s' WITH character_set='gbk'", path))
	require.Equal(t, [][]string{{"1", "a"}, {"2", "中"}}, b.query("SELECT id, b FROM t ORDER BY id"))
	b.exec("TRUNCATE TABLE t")
	// A whole file in UTF-8.
	path = b.file("utf8.csv", "\xef\xbb\xbf1,é,a,1\n")
	b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH character_set='latin1', max_errors=10", path), 1105,
		"the file starts with the byte order mark of UTF-8, but its character set was said to be latin1", path)
	require.Equal(t, "0", b.count("t"))
}

// TestBadRowsOfDecodedFiles: places and records are those of the file, for rows
// that are wrong in any way, in files of one block and of several, whatever the workers.
func TestBadRowsOfDecodedFiles(t *testing.T) {
	t.Parallel()
	for _, cs := range fileCharsets[:2] {
		t.Run(cs.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec("CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(8), n TINYINT NOT NULL, UNIQUE KEY (s))")
			kinds := []struct{ class, row, column, value, code string }{
				{"charset", "%d,\xd6\xd0\xff昞,1\n", "s", "\xd6\xd0\xff昞", "1366"},
				{"syntax", "%d,昞\"中,1\n", "", "%d,昞\"中,1", "1105"},
				{"syntax", "%d,中\n", "", "%d,中", "1261"},
				{"type", "%d,昞%[1]d,中\n", "n", "中", "1366"},
				{"type", "%d,中中中中中中中中中,1\n", "s", "中中中中中中中中中", "1406"},
				{"type", "%d,昞%[1]d,300\n", "n", "300", "1264"},
			}
			var file bytes.Buffer
			var want [][]string
			path := filepath.Join(b.dir, "x.csv")
			good, line := 0, 1
			for i := range 40_000 {
				row := fmt.Sprintf("%d,\"昞%d\n\",%d\n", i, i, i%100)
				if i%997 != 0 && i != 39_999 {
					file.WriteString(encode(t, cs.enc, row))
					good++
					line += 2
					continue
				}
				k := kinds[len(want)%len(kinds)]
				fill := func(s string) string {
					if !strings.Contains(s, "%") {
						return s
					}
					return fmt.Sprintf(s, i)
				}
				want = append(want, []string{k.class, path, strconv.Itoa(line), strconv.Itoa(file.Len()), k.column,
					strings.NewReplacer("\xd6\xd0", "中", "\xff", `\xff`).Replace(fill(k.value)), k.code})
				file.WriteString(raw(t, cs.enc, fill(k.row)))
				line++
			}
			b.file("x.csv", file.String())
			stmt := fmt.Sprintf("IMPORT INTO t FROM '%s' WITH character_set='%s', max_errors=", path, cs.name)
			b.fails(stmt+strconv.Itoa(len(want)-1), 1366, "more than", "line 1, offset 0, column s", `value "中\xff昞"`)
			for _, thread := range []int{1, 4} {
				job := b.mustImport(fmt.Sprintf("%s%d, thread=%d", stmt, len(want), thread))
				require.Equal(t, strconv.Itoa(good), job["Imported_Rows"])
				require.Equal(t, want, b.query(selectBadRows, job["Job_ID"]))
				b.consistent("t")
				b.exec("TRUNCATE TABLE t")
			}
			// Both rows of a collision are found again, and shown as text.
			two := b.file("two.csv", encode(t, cs.enc, "1,中文,1\n2,昞,1\n3,中文,1\n"))
			b.fails(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH character_set='%s'", two, cs.name), 1062,
				"Duplicate entry '中文' for key 't.s'", "line 1, offset 0", "line 3, offset 16")
			job := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH character_set='%s', on_duplicate='capture'", two, cs.name))
			require.Equal(t, [][]string{{"conflict", two, "1", "0", "s", "1,中文,1", "1062"}, {"conflict", two, "3", "16", "s", "3,中文,1", "1062"}},
				b.query(selectBadRows, job["Job_ID"]))
			require.Equal(t, [][]string{{"2", "昞"}}, b.query("SELECT id, s FROM t"))
		})
	}
}

// raw encodes what is text and leaves the bytes that aren't.
func raw(t *testing.T, enc encoding.Encoding, row string) string {
	t.Helper()
	before, after, found := strings.Cut(row, "\xd6\xd0\xff")
	if !found {
		return encode(t, enc, row)
	}
	return encode(t, enc, before) + "\xd6\xd0\xff" + encode(t, enc, after)
}
