package dataset

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	codeDigits = 9
	// codeSpace keeps the codes sparse: 36^6 values in 9 digits.
	codeSpace = 36 * 36 * 36 * 36 * 36 * 36
	// maxRows is the limit that codeSpace sets.
	maxRows = codeSpace

	minNote, maxNote = 30, 150 // bytes
	groups           = 1000
	maxCents         = 9_999_999

	poolSize  = 64 << 10 // bytes of text that notes are cut from
	flushSize = 256 << 10
)

var (
	firstSecond = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	spanSeconds = uint64(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Sub(firstSecond) / time.Second)
)

// DemoSchema returns the CREATE TABLE of the demo table. The name is put in as
// it is, so it may be qualified and must be quoted by the caller if need be.
func DemoSchema(table string) string {
	return "CREATE TABLE " + table + ` (
  id BIGINT NOT NULL,
  code VARCHAR(32) NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  created_at DATETIME NOT NULL,
  grp INT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (id) CLUSTERED,
  UNIQUE KEY uk_code (code),
  KEY idx_grp (grp)
) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
}

// WriteDemoCSV writes rows lines without a header, in DemoSchema's column
// order: fields separated by commas, notes in double quotes with inner quotes
// doubled, lines ended by a line feed. 1,000,000 rows are about 137 MiB. It
// returns the sums that a SELECT over the imported table must give.
// w gets writes of a few hundred KiB and needs no buffer.
func WriteDemoCSV(w io.Writer, rows int, seed uint64) (Sums, error) {
	g := newGenerator(uint64(max(rows, 0)), seed)
	if err := writeRows(w, rows, g.appendRow); err != nil {
		return Sums{}, err
	}
	return g.sums(), nil
}

// WriteSortedDemoCSV is WriteDemoCSV with ids and codes that ascend from line
// to line; everything else differs from line to line as it does there.
func WriteSortedDemoCSV(w io.Writer, rows int, seed uint64) (Sums, error) {
	g := newGenerator(uint64(max(rows, 0)), seed)
	g.codeStep = codeSpace / uint64(max(rows, 1))
	if err := writeRows(w, rows, g.appendRow); err != nil {
		return Sums{}, err
	}
	return g.sums(), nil
}

// writeRows calls appendRow for the lines 0 to rows-1 and writes what it
// appends, flushSize bytes at a time.
func writeRows(w io.Writer, rows int, appendRow func(out []byte, i uint64) []byte) error {
	if rows < 0 || rows > maxRows {
		return fmt.Errorf("dataset: %d rows, want 0 to %d", rows, maxRows)
	}
	out := make([]byte, 0, flushSize+1024)
	for i := range uint64(rows) {
		out = appendRow(out, i)
		if len(out) >= flushSize {
			if _, err := w.Write(out); err != nil {
				return fmt.Errorf("dataset: write: %w", err)
			}
			out = out[:0]
		}
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("dataset: write: %w", err)
	}
	return nil
}

// generator makes rows one after the other and adds them up.
type generator struct {
	rng   rng
	ids   permutation
	codes permutation
	pool  []byte
	plain []byte // the row as CONCAT_WS(',', ...) gives it, reused
	// codeStep is the distance of codes in a sorted file, 0 for a shuffled one.
	codeStep uint64

	total    Sums
	sumCents int64
}

func newGenerator(rows, seed uint64) *generator {
	r := rng(seed)
	return &generator{
		ids:   newPermutation(rows, r.next()),
		codes: newPermutation(codeSpace, r.next()),
		pool:  textPool(&r),
		rng:   r,
	}
}

// appendRow appends line i to out and returns it.
func (g *generator) appendRow(out []byte, i uint64) []byte {
	id, code := i+1, i*g.codeStep
	if g.codeStep == 0 {
		id, code = g.ids.at(i)+1, g.codes.at(i)
	}
	cents := int64(g.rng.below(2*maxCents+1)) - maxCents
	group := g.rng.below(groups)
	created := firstSecond.Add(time.Duration(g.rng.below(spanSeconds)) * time.Second)
	note := cutText(g.pool, &g.rng, minNote, maxNote)

	p := g.plain[:0]
	p = strconv.AppendUint(p, id, 10)
	p = append(p, ',')
	p = appendCode(p, code)
	p = append(p, ',')
	p = appendCents(p, cents)
	p = append(p, ',')
	p = appendTime(p, created)
	p = append(p, ',')
	p = strconv.AppendUint(p, group, 10)
	p = append(p, ',')
	out = append(out, p...)
	out = appendQuoted(out, note)
	out = append(out, '\n')
	p = append(p, note...)
	g.plain = p

	g.total.Rows++
	g.total.SumID += id
	g.total.SumGroup += group
	g.total.SumNoteBytes += uint64(len(note))
	g.total.SumRowCRC += uint64(crc32.ChecksumIEEE(p))
	g.sumCents += cents
	return out
}

func (g *generator) sums() Sums {
	s := g.total
	s.SumAmount = string(appendCents(nil, g.sumCents))
	return s
}

// cutText cuts a text out of the pool: whole runes, least to most bytes.
func cutText(pool []byte, r *rng, least, most int) []byte {
	size := least + int(r.below(uint64(most-least+1)))
	start := int(r.below(uint64(poolSize - most - utf8.UTFMax)))
	for !utf8.RuneStart(pool[start]) {
		start++
	}
	end := start + size
	for !utf8.RuneStart(pool[end]) {
		end++
	}
	if end-start > most {
		for end--; !utf8.RuneStart(pool[end]); end-- {
		}
	}
	return pool[start:end]
}

// textPool returns poolSize bytes of words that need quoting now and then.
func textPool(r *rng) []byte {
	words := []string{
		"order", "shipped", "customer", "paid in full", "late,", "returned;", "ok.", "please", "call", "back",
		"Straße", "café", "naïve", "東京", "Überweisung", `"fragile"`, `said "yes",`, "don't", "100%", "a/b", "#42",
		"delivery", "express", "invoice", "gift", "left at the door", "no reply", "warehouse", "second", "attempt",
	}
	pool := make([]byte, 0, poolSize+32)
	for len(pool) < poolSize {
		pool = append(pool, words[r.below(uint64(len(words)))]...)
		pool = append(pool, ' ')
	}
	return pool
}

func appendCode(b []byte, n uint64) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	var code [codeDigits]byte
	copy(code[:], "sku")
	for i := codeDigits - 1; i >= 3; i-- {
		code[i] = digits[n%36]
		n /= 36
	}
	return append(b, code[:]...)
}

func appendCents(b []byte, cents int64) []byte {
	if cents < 0 {
		b = append(b, '-')
		cents = -cents
	}
	b = strconv.AppendInt(b, cents/100, 10)
	return append(b, '.', byte('0'+cents/10%10), byte('0'+cents%10))
}

func appendTime(b []byte, t time.Time) []byte {
	return t.AppendFormat(b, time.DateTime)
}

func appendQuoted(b, text []byte) []byte {
	b = append(b, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			b = append(b, text...)
			return append(b, '"')
		}
		b = append(b, text[:i+1]...)
		b = append(b, '"')
		text = text[i+1:]
	}
}
