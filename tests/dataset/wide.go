package dataset

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	wideColumns = 60 // the primary key included
	// nullEvery is one over the share of NULL in the columns that may be NULL.
	nullEvery = 8
)

// wideKind is a column type with a generator of its values, ready for a CSV line.
type wideKind struct {
	sql    string
	append func(out []byte, r *rng, pool []byte) []byte
}

// wideKinds repeat until the table has its columns.
var wideKinds = []wideKind{
	{"TINYINT", func(out []byte, r *rng, _ []byte) []byte { return strconv.AppendInt(out, int64(r.below(256))-128, 10) }},
	{"SMALLINT UNSIGNED", func(out []byte, r *rng, _ []byte) []byte { return strconv.AppendUint(out, r.below(1<<16), 10) }},
	{"INT", func(out []byte, r *rng, _ []byte) []byte { return strconv.AppendInt(out, int64(int32(r.next())), 10) }},
	{"BIGINT UNSIGNED", func(out []byte, r *rng, _ []byte) []byte { return strconv.AppendUint(out, r.next(), 10) }},
	{"DECIMAL(14,4)", func(out []byte, r *rng, _ []byte) []byte {
		return appendScaled(out, int64(r.below(1_999_999_999_999))-999_999_999_999, 4)
	}},
	{"DOUBLE", func(out []byte, r *rng, _ []byte) []byte {
		return strconv.AppendFloat(out, float64(int64(r.next()))/(1<<40), 'f', -1, 64)
	}},
	{"FLOAT", func(out []byte, r *rng, _ []byte) []byte {
		return strconv.AppendFloat(out, float64(float32(int32(r.next()))/(1<<16)), 'f', -1, 32)
	}},
	{"DATE", func(out []byte, r *rng, _ []byte) []byte { return randomSecond(r).AppendFormat(out, time.DateOnly) }},
	{"DATETIME(3)", func(out []byte, r *rng, _ []byte) []byte {
		return randomSecond(r).Add(time.Duration(r.below(1000))*time.Millisecond).AppendFormat(out, "2006-01-02 15:04:05.000")
	}},
	{"TIMESTAMP", func(out []byte, r *rng, _ []byte) []byte { return appendTime(out, randomSecond(r)) }},
	{"TIME", func(out []byte, r *rng, _ []byte) []byte { return randomSecond(r).AppendFormat(out, time.TimeOnly) }},
	{"YEAR", func(out []byte, r *rng, _ []byte) []byte { return strconv.AppendUint(out, 1950+r.below(150), 10) }},
	{"CHAR(8)", func(out []byte, r *rng, _ []byte) []byte { return appendHex(out, r, 8) }},
	{"VARCHAR(40)", func(out []byte, r *rng, _ []byte) []byte { return append(out, cities[r.below(uint64(len(cities)))]...) }},
	{"VARCHAR(120)", func(out []byte, r *rng, pool []byte) []byte { return appendQuoted(out, cutText(pool, r, 5, 60)) }},
	{"TEXT", func(out []byte, r *rng, pool []byte) []byte { return appendQuoted(out, cutText(pool, r, 10, 100)) }},
	{"ENUM('new','paid','sent','lost')", func(out []byte, r *rng, _ []byte) []byte {
		return append(out, [...]string{"new", "paid", "sent", "lost"}[r.below(4)]...)
	}},
	{"SET('red','green','blue')", func(out []byte, r *rng, _ []byte) []byte {
		return append(out, [...]string{"red", `"red,green"`, "blue", `"red,green,blue"`}[r.below(4)]...)
	}},
	{"VARBINARY(24)", func(out []byte, r *rng, _ []byte) []byte { return appendHex(out, r, 4+int(r.below(12))) }},
	{"JSON", func(out []byte, r *rng, _ []byte) []byte {
		return fmt.Appendf(out, `"{""n"": %d, ""on"": true, ""tags"": [""a"", ""b""]}"`, r.below(1000))
	}},
}

func wideSchema(table string) string {
	var sb strings.Builder
	sb.WriteString("CREATE TABLE " + table + " (\n  id BIGINT NOT NULL,\n")
	for i := range wideColumns - 1 {
		fmt.Fprintf(&sb, "  c%02d %s%s,\n", i+1, wideKinds[i%len(wideKinds)].sql, map[bool]string{true: " NULL", false: " NOT NULL"}[mayBeNull(i)])
	}
	sb.WriteString("  PRIMARY KEY (id) CLUSTERED\n) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin")
	return sb.String()
}

// mayBeNull makes the second of the three times that a type occurs nullable.
func mayBeNull(column int) bool { return column/len(wideKinds) == 1 }

func writeWide(w io.Writer, rows int, seed uint64) error {
	r := rng(seed)
	ids := newPermutation(uint64(max(rows, 0)), r.next())
	pool := textPool(&r)
	return writeRows(w, rows, func(out []byte, i uint64) []byte {
		out = strconv.AppendUint(out, ids.at(i)+1, 10)
		for c := range wideColumns - 1 {
			out = append(out, ',')
			if mayBeNull(c) && r.below(nullEvery) == 0 {
				out = append(out, `\N`...)
				continue
			}
			out = wideKinds[c%len(wideKinds)].append(out, &r, pool)
		}
		return append(out, '\n')
	})
}

func appendHex(out []byte, r *rng, digits int) []byte {
	const hexDigits = "0123456789abcdef"
	bits := r.next()
	for range digits {
		out = append(out, hexDigits[bits&15])
		bits >>= 4
	}
	return out
}
