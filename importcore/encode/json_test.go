package encode

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// genJSON makes a document; some are malformed.
func genJSON(r *rand.Rand, depth int) string {
	space := pick(r, "", "", "", " ", "\n\t")
	switch n := r.Intn(12); {
	case n < 3 && depth > 0:
		var parts []string
		for range r.Intn(5) {
			parts = append(parts, fmt.Sprintf("%s%q%s:%s", space, genKey(r), space, genJSON(r, depth-1)))
		}
		return "{" + strings.Join(parts, ",") + space + "}"
	case n < 6 && depth > 0:
		var parts []string
		for range r.Intn(5) {
			parts = append(parts, space+genJSON(r, depth-1))
		}
		return "[" + strings.Join(parts, ",") + space + "]"
	case n < 8:
		return pick(r, "0", "-0", "1", "-17", "123456789012345678", "9223372036854775807", "18446744073709551615", "1.5", "-2.25e10", "1e400", "0.1", "01", "1.", "-", "1E-7", "-9223372036854775808", "123456789012345678901234567890")
	case n < 10:
		return `"` + pick(r, "", "a", "text", "日本 😀", strings.Repeat("long", 40), `esc\n`, `\u00e9`, "tab\t", "\xff") + `"` + space
	default:
		return space + pick(r, "null", "true", "false", "nul", "True")
	}
}

func genKey(r *rand.Rand) string {
	return pick(r, "a", "b", "aa", "", "é", "n", "on", "tags") + digits(r, r.Intn(2))
}

func TestJSONAgreesWithTiDB(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(seedOf(t)))
	e := compile(t, tableInfo(t, "v JSON"), strictMode, time.UTC).NewEncoder()
	taken := 0
	for range 40000 {
		text := genJSON(r, 4)
		if r.Intn(8) == 0 {
			text = mutate(r, text)
		}
		if compareCell(t, e, &e.plan.columns[0], text) {
			taken++
		}
	}
	require.Greater(t, taken, 10000)
	for _, text := range []string{`{}`, `[]`, ` {"b": 1, "a": [true, null, {"x": 1.5}]} `, "null", `"s"`, "-3", "1e2", strings.Repeat("[", 30) + strings.Repeat("]", 30)} {
		require.True(t, compareCell(t, e, &e.plan.columns[0], text), text)
	}
	for _, text := range []string{"", "{", `{"a":1,"a":2}`, `"\\n"`, "\"\x01\"", "[1,]", "{} {}", strings.Repeat("[", 99) + strings.Repeat("]", 99), "nullx"} {
		require.False(t, compareCell(t, e, &e.plan.columns[0], text), text)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"a": [1, 2.5, null, "x"]}`)
	e := compile(f, tableInfo(f, "v JSON"), strictMode, time.UTC).NewEncoder()
	f.Fuzz(func(t *testing.T, text string) { compareCell(t, e, &e.plan.columns[0], text) })
}
