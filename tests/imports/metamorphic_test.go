package imports_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// TestSameRowsInAnyForm: how rows are spread over files, in which order, how
// the files are written, how many workers read them, how large the sorter's
// runs are, if it needs any, and in how many parts a disk quota divides the source, changes nothing of what ends up in the table.
//
// What is compared: for rows with a primary key of their own the cluster's
// checksum of the very same table, so every byte of every pair, whatever the
// order of the rows. For rows without one the ids too, as long as the order of
// the rows is the same: a row's id is its place in the files, in the order of
// their names. In another order the ids are the same set, given to other rows.
// For rows that collide what is left and what is reported; replace and ignore
// depend on the order, capture doesn't.
func TestSameRowsInAnyForm(t *testing.T) {
	t.Parallel()
	seed := uint64(20240229)
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := ownBench(t, playground.Options{Stores: 2, RegionSplitSize: 1 << 20, RegionSplitKeys: 10_000})
	with := make(map[int]*bench)
	for _, budget := range metamorphicBudgets {
		with[budget] = b.with(budget)
	}

	const columns = "code VARCHAR(60) COLLATE utf8mb4_general_ci, n INT, d DECIMAL(12,3), at TIMESTAMP(3) NULL, note TEXT"
	b.exec("CREATE TABLE keyed (id BIGINT PRIMARY KEY CLUSTERED, "+columns+", UNIQUE KEY (code, id), KEY (n), KEY (note(20), d))",
		"CREATE TABLE numbered (id BIGINT UNIQUE AUTO_INCREMENT, "+columns+", KEY (n), KEY (note(20), d))",
		"CREATE TABLE clashing ("+columns+", UNIQUE KEY code (code), KEY (n))")
	rows := metamorphicRows(rng, 10_000)
	var keyed, numbered, shuffled string
	clashes := map[string]*string{"replace": new(string), "ignore": new(string), "capture": new(string)}
	for i := range 5 {
		form := randomForm(rng, i)
		t.Logf("form %d: %+v", i, form)
		on := with[form.budget]
		// The same table each time: its id is part of every key.
		b.exec("DELETE FROM keyed", "TRUNCATE TABLE numbered")
		dir := filepath.Join(b.dir, fmt.Sprint(i))
		form.write(t, dir, rows)
		options := form.options()
		job := on.mustImport(fmt.Sprintf("IMPORT INTO keyed FROM '%s/*.csv' WITH %s%s", dir, options, form.quota))
		require.Equal(t, fmt.Sprint(len(rows)), job["Imported_Rows"])
		b.consistent("keyed")
		sum := fmt.Sprint(b.query("ADMIN CHECKSUM TABLE keyed")[0][2:])
		same(t, &keyed, sum, "checksum of the table with a key of its own")

		on.mustImport(fmt.Sprintf("IMPORT INTO numbered (@id, code, n, d, at, note) FROM '%s/*.csv' WITH %s%s", dir, options, form.quota))
		b.consistent("numbered")
		sums := b.query(`SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), COUNT(DISTINCT _tidb_rowid),
			SUM(CRC32(CONCAT_WS('|', code, n, d, at, note))) FROM numbered`)
		same(t, &shuffled, fmt.Sprint(sums), "rows without a key, and the set of their ids")
		if !form.shuffled {
			sums = b.query("SELECT SUM(CRC32(CONCAT_WS('|', id, _tidb_rowid, code, n, d, at, note))) FROM numbered")
			same(t, &numbered, fmt.Sprint(sums), "ids of rows without a key")
		}

		for strategy, first := range clashes {
			if form.shuffled && strategy != "capture" {
				continue // which row is the first depends on the order
			}
			b.exec("TRUNCATE TABLE clashing")
			job := on.mustImport(fmt.Sprintf("IMPORT INTO clashing (@id, code, n, d, at, note) FROM '%s/*.csv' WITH on_duplicate='%s', %s", dir, strategy, options))
			b.consistent("clashing")
			kept := b.query("SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', code, n, d, at, note))) FROM clashing")
			require.NotEqual(t, fmt.Sprint(len(rows)), kept[0][0], "rows collide")
			report := b.query("SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', class, column_name, error_code, message))) FROM sluice.job_errors WHERE job_id = " + job["Job_ID"])
			told, _, _ := strings.Cut(job["Result_Message"], "; left out ") // the places depend on the files
			same(t, first, fmt.Sprint(job["Imported_Rows"], kept, report, told), "rows that collide: "+strategy)
		}
	}
	require.Greater(t, b.rounds(with), 4, "parts of sources")
	little, more, much := with[160].largestRun(), with[176].largestRun(), with[384].largestRun()
	t.Logf("largest runs: %d and %d bytes", little, more)
	require.Zero(t, much, "much memory needs no runs on disk")
	require.Positive(t, little)
	require.Positive(t, more)
	require.NotEqual(t, little, more, "runs of other sizes")
}

// metamorphicBudgets are memory budgets in MiB, of which 128 are the process's own. The first holds all pairs, the others don't.
var metamorphicBudgets = []int{384, 160, 176}

// with returns the bench seen through a further Sluice, with a memory budget in MiB.
func (b *bench) with(budget int) *bench {
	b.t.Helper()
	on := *b
	on.sluice = startWith(b.t, b.cluster, instance.Options{Import: fmt.Sprintf("memory-budget = \"%dMiB\"\nthreads = 4", budget)})
	var err error
	on.proxy, err = on.sluice.Open("root", "", b.name)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, on.proxy.Close()) })
	return &on
}

var runWritten = regexp.MustCompile(`sort run written\s.*"bytes": ([0-9]+)`)

// largestRun returns the size in bytes of the largest run that the Sluice has written.
func (b *bench) largestRun() (largest int64) {
	b.t.Helper()
	text, err := os.ReadFile(b.sluice.LogFile())
	require.NoError(b.t, err)
	for _, m := range runWritten.FindAllSubmatch(text, -1) {
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		require.NoError(b.t, err)
		largest = max(largest, n)
	}
	return largest
}

// rounds returns how often a part of a source that was not the last one came into its table.
func (b *bench) rounds(sluices map[int]*bench) (n int) {
	b.t.Helper()
	for _, on := range sluices {
		text, err := os.ReadFile(on.sluice.LogFile())
		require.NoError(b.t, err)
		n += len(roundEnded.FindAll(text, -1))
	}
	return n
}

var roundEnded = regexp.MustCompile(`"rounds": [0-9]+`)

// same compares with what the first form gave.
func same(t *testing.T, first *string, now, what string) {
	t.Helper()
	if *first == "" {
		*first = now
	}
	require.Equal(t, *first, now, what)
}

// metamorphicRows makes rows whose texts need quotes now and then; nil is NULL.
func metamorphicRows(rng *rand.Rand, n int) [][]*string {
	words := []string{"plain", "with, comma", "semi;colon", "a \"quoted\" word", "Straße", "日本", "tab\there", "back\\slash", "trail  ", "line\nbreak"}
	rows := make([][]*string, n)
	for i, id := range rng.Perm(n) {
		text := func(format string, args ...any) *string {
			s := fmt.Sprintf(format, args...)
			return &s
		}
		row := []*string{
			text("%d", id), text("%s %d", words[rng.IntN(len(words))], rng.IntN(n)), text("%d", rng.IntN(100)-50), // some of the second collide
			text("%d.%03d", rng.IntN(2_000_000)-1_000_000, rng.IntN(1000)),
			text("2024-%02d-%02d 12:%02d:00.%03d", rng.IntN(12)+1, rng.IntN(28)+1, rng.IntN(60), rng.IntN(1000)),
			text("%s %s", words[rng.IntN(len(words))], strings.Repeat("x", rng.IntN(6000))),
		}
		if rng.IntN(10) == 0 {
			row[1+rng.IntN(5)] = nil
		}
		rows[i] = row
	}
	return rows
}

// form is one way to write and to read the rows.
type form struct {
	files     int
	shuffled  bool   // files in another order
	end       string // of lines
	separator string
	quote     string // "always", "needed"
	header    bool
	threads   int
	budget    int // memory, MiB
	quota     string
}

// randomForm leaves to chance what is not to be there in every run.
func randomForm(rng *rand.Rand, i int) form {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	return form{
		files: 1 + rng.IntN(9), shuffled: i%4 == 3, end: pick("\n", "\r\n"), separator: pick(",", ";", "\t", "||"),
		quote: pick("always", "needed"), header: rng.IntN(2) == 0, threads: 1 + i%4, budget: metamorphicBudgets[i%len(metamorphicBudgets)],
		quota: []string{"", ", disk_quota='4MiB'", "", ", disk_quota='15MiB'"}[i%4],
	}
}

func (f form) options() string {
	var skip int
	if f.header {
		skip = 1
	}
	return fmt.Sprintf("thread=%d, skip_rows=%d, fields_terminated_by='%s'", f.threads, skip, f.separator)
}

// write spreads the rows over the files, which are read in the order of their names.
func (f form) write(t *testing.T, dir string, rows [][]*string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	for i := range f.files {
		part := rows[len(rows)*i/f.files : len(rows)*(i+1)/f.files]
		var text strings.Builder
		if f.header {
			text.WriteString("a" + f.separator + "b" + f.end)
		}
		for _, row := range part {
			for c, field := range row {
				if c > 0 {
					text.WriteString(f.separator)
				}
				text.WriteString(f.field(field))
			}
			text.WriteString(f.end)
		}
		name := i
		if f.shuffled {
			name = (i*7 + 3) % 10 // another order, as 10 and 7 have no common factor
		}
		path := filepath.Join(dir, fmt.Sprintf("part.%d.csv", name))
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
}

func (f form) field(value *string) string {
	if value == nil {
		return `\N`
	}
	special := strings.ContainsAny(*value, ",;|\t\"\\\r\n")
	if f.quote == "needed" && !special {
		return *value
	}
	return `"` + strings.NewReplacer(`"`, `""`, `\`, `\\`).Replace(*value) + `"`
}
