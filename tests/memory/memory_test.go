package memory

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
)

// TestManyJobs: twenty jobs are accepted at once, four of them run at a time.
func TestManyJobs(t *testing.T) {
	const jobs, concurrency = 20, 4
	b := newBench(t, 256, concurrency)
	rows := size(20_000, 200_000)
	ids := make([]string, jobs)
	for i := range ids {
		path := b.file(fmt.Sprintf("demo.%d.csv", i), func(f *os.File) error {
			_, err := dataset.WriteDemoCSV(f, rows, uint64(i))
			return err
		})
		b.exec(dataset.DemoSchema(fmt.Sprintf("t%d", i)))
		ids[i] = b.start(fmt.Sprintf("IMPORT INTO t%d FROM '%s' WITH detached, thread=4", i, path))
	}
	for i, id := range ids {
		b.finished(id)
		b.consistent(fmt.Sprintf("t%d", i), rows)
	}
	b.within()
}

// wideText is a value of n bytes in which fields need quotes and escapes now and then.
func wideText(rng *rand.Rand, n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = "abcdefghijklmnopqrstuvwxyz0123456789 ,.;:ABCDEFGHIJKLMNOPQRSTU\"\n"[rng.IntN(64)]
	}
	return text
}

// writeWide writes rows with values of n bytes in two columns, one of them NULL in turn, and returns their digests.
func writeWide(f *os.File, rows, n int) (digests []string, err error) {
	rng := rand.New(rand.NewPCG(16, uint64(n)))
	w := bufio.NewWriterSize(f, mib)
	escape := strings.NewReplacer(`"`, `""`, "\x00", `\0`, "\\", `\\`)
	for i := range rows {
		var value []byte
		text, data := `\N`, `\N`
		if i%2 == 0 {
			value = wideText(rng, n)
			text = `"` + escape.Replace(string(value)) + `"`
		} else {
			value = make([]byte, n)
			for j := 0; j+8 <= n; j += 8 {
				v := rng.Uint64()
				for k := range 8 {
					value[j+k] = byte(v >> (8 * k))
				}
			}
			data = `"` + escape.Replace(string(value)) + `"`
		}
		sum := md5.Sum(value)
		digests = append(digests, hex.EncodeToString(sum[:]))
		if _, err := fmt.Fprintf(w, "%d,%s,%s,%d\n", i, text, data, i*7); err != nil {
			return nil, err
		}
	}
	return digests, w.Flush()
}

// mostMediumText is the longest value of a MEDIUMTEXT in bytes.
const mostMediumText = 1<<24 - 1

// TestWideRows: values of 16 MiB, with the default budget, alone and with an index for which rows that
// collide are looked for.
func TestWideRows(t *testing.T) {
	for _, with := range []string{"detached, thread=4", "detached, thread=4, on_duplicate='replace'"} {
		t.Run(with, func(t *testing.T) {
			b := newBench(t, 256, 1)
			rows := size(6, 40)
			var digests []string
			path := b.file("wide.csv", func(f *os.File) (err error) {
				digests, err = writeWide(f, rows, mostMediumText)
				return err
			})
			b.exec("CREATE TABLE w (id INT PRIMARY KEY, t MEDIUMTEXT, b LONGBLOB, n INT, UNIQUE KEY (n), KEY (t(100)))")
			b.finished(b.start(fmt.Sprintf("IMPORT INTO w FROM '%s' WITH %s", path, with)))
			b.within()
			b.consistent("w", rows)
			// The same rows again, into the table that has them.
			for _, again := range []string{"replace", "ignore"} {
				b.finished(b.start(fmt.Sprintf("IMPORT INTO w FROM '%s' WITH detached, thread=4, allow_non_empty, on_duplicate='%s'", path, again)))
				b.within()
				b.checked("w", rows)
			}
			for i, digest := range digests {
				require.Equal(t, []string{fmt.Sprint(7 * i), fmt.Sprint(mostMediumText), digest},
					b.text(fmt.Sprintf("SELECT n, LENGTH(COALESCE(t, b)), MD5(COALESCE(t, b)) FROM %s.w WHERE id = %d", b.name, i)))
			}
			b.exec("DROP TABLE w")
		})
	}
}

// TestManyWideJobs: several jobs with wide rows at a time.
func TestManyWideJobs(t *testing.T) {
	const jobs, concurrency, cell = 8, 4, 3 << 20
	b := newBench(t, 256, concurrency)
	rows := size(8, 60)
	ids := make([]string, jobs)
	for i := range ids {
		path := b.file(fmt.Sprintf("wide.%d.csv", i), func(f *os.File) error {
			_, err := writeWide(f, rows, cell+i)
			return err
		})
		b.exec(fmt.Sprintf("CREATE TABLE w%d (id INT PRIMARY KEY, t MEDIUMTEXT, b LONGBLOB, n INT, KEY (n))", i))
		ids[i] = b.start(fmt.Sprintf("IMPORT INTO w%d FROM '%s' WITH detached, thread=4", i, path))
	}
	for i, id := range ids {
		b.finished(id)
		b.consistent(fmt.Sprintf("w%d", i), rows)
		b.exec(fmt.Sprintf("DROP TABLE w%d", i))
	}
	b.within()
}

// TestRowBeyondTheBudget: a row for which there is too little memory is an error that says where it is
// and what is enough; with that it is imported.
func TestRowBeyondTheBudget(t *testing.T) {
	const head = "1,x,,7\n2,y,,8\n"
	cell := size(16, 48) * mib
	for try, budget := 0, 160; try < 2; try++ {
		b := newBench(t, budget, 1)
		path := b.file("wide.csv", func(f *os.File) error {
			w := bufio.NewWriterSize(f, mib)
			_, err := w.WriteString(head + "3,,\"")
			for i := 0; i < cell && err == nil; i++ {
				err = w.WriteByte("0123456789abcdef"[i%16])
			}
			if err == nil {
				_, err = w.WriteString("\",9\n")
			}
			return errors.Join(err, w.Flush())
		})
		b.exec("CREATE TABLE w (id INT PRIMARY KEY, t MEDIUMTEXT, b LONGBLOB, n INT)")
		_, err := b.db.ExecContext(t.Context(), "IMPORT INTO w FROM '"+path+"' WITH thread=4")
		b.within()
		if try == 1 {
			require.NoError(t, err)
			b.consistent("w", 3)
			require.Equal(t, []string{fmt.Sprint(cell)}, b.text("SELECT LENGTH(b) FROM "+b.name+".w WHERE id = 3"))
			b.exec("DROP TABLE w")
			return
		}
		var told *mysql.MySQLError
		require.ErrorAs(t, err, &told)
		t.Log(told.Message)
		require.Contains(t, told.Message, "the row does not fit into the memory of its job")
		require.Contains(t, told.Message, path)
		require.Contains(t, told.Message, "line 3")
		require.Contains(t, told.Message, fmt.Sprintf("offset %d", len(head)))
		_, advice, found := strings.Cut(told.Message, `import.memory-budget = "`)
		require.True(t, found, told.Message)
		_, err = fmt.Sscanf(advice, `%dMiB`, &budget)
		require.NoError(t, err, told.Message)
		require.Greater(t, budget, 160)
	}
}

// TestManyIndexes: a table with 500 indexes.
func TestManyIndexes(t *testing.T) {
	const columns, indexes = 24, 500
	b := newBench(t, 256, 1)
	var schema strings.Builder
	schema.WriteString("CREATE TABLE i (id INT PRIMARY KEY")
	for c := range columns {
		fmt.Fprintf(&schema, ", c%d VARCHAR(64)", c)
	}
	for k := range indexes {
		x, y := k/(columns-1), k%(columns-1)
		if y >= x {
			y++
		}
		fmt.Fprintf(&schema, ", KEY k%d (c%d, c%d)", k, x, y)
	}
	b.exec(schema.String() + ")")
	rows := size(500, 10_000)
	path := b.file("i.csv", func(f *os.File) error {
		rng := rand.New(rand.NewPCG(500, 0))
		w := bufio.NewWriterSize(f, mib)
		for i := range rows {
			fmt.Fprint(w, i)
			for range columns {
				_, _ = fmt.Fprintf(w, ",%x", rng.Uint64()) // Flush returns the error
			}
			fmt.Fprintln(w)
		}
		return w.Flush()
	})
	b.finished(b.start(fmt.Sprintf("IMPORT INTO i FROM '%s' WITH detached, thread=4", path)))
	b.within()
	b.consistent("i", rows)
	b.exec("DROP TABLE i")
}

// TestManyFiles: 10,000 small files, with a header each.
func TestManyFiles(t *testing.T) {
	const files = 10_000
	b := newBench(t, 256, 1)
	rows := size(3, 30) // of each file
	for i := range files {
		b.file(fmt.Sprintf("f.%d.csv", i), func(f *os.File) error {
			var text strings.Builder
			text.WriteString([]string{"id,v\n", "v,id\n"}[i%2])
			for j := range rows {
				id := i*rows + j
				if i%2 == 0 {
					fmt.Fprintf(&text, "%d,value %d\n", id, id)
				} else {
					fmt.Fprintf(&text, "value %d,%d\n", id, id)
				}
			}
			_, err := f.WriteString(text.String())
			return err
		})
	}
	b.exec("CREATE TABLE f (id INT PRIMARY KEY, v VARCHAR(40), KEY (v))")
	b.finished(b.start(fmt.Sprintf("IMPORT INTO f FROM '%s/f.*.csv' WITH detached, csv_header='columns', thread=4", b.dir)))
	b.within()
	b.consistent("f", files*rows)
	require.Equal(t, []string{fmt.Sprint(files * rows)},
		b.text("SELECT COUNT(*) FROM "+b.name+".f WHERE v = CONCAT('value ', id)"))
}
