package oracle_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The long form is asked for by an environment variable, which also holds the
// seed of a run that is to be repeated.
const (
	longEnv   = "SLUICE_ORACLE"        // "full": every shape
	seedEnv   = "SLUICE_ORACLE_SEED"   // repeats a run
	rowsEnv   = "SLUICE_ORACLE_ROWS"   // random rows of each shape
	reportEnv = "SLUICE_ORACLE_REPORT" // file for the report
)

// full asks for every shape; otherwise a sample of them is judged.
var full = os.Getenv(longEnv) == "full"

// seed is where all rows come from. The sample has a fixed one, so that a test
// run means the same everywhere.
var seed = func() uint64 {
	if s, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64); err == nil {
		return s
	}
	if full {
		return uint64(time.Now().UnixNano()) % 1_000_000_007
	}
	return 20240229
}()

// bulkRows is how many random rows a shape gets beside its edge values.
func bulkRows() int {
	if n, err := strconv.Atoi(os.Getenv(rowsEnv)); err == nil {
		return n
	}
	if full {
		return 80
	}
	return 40
}

// tally is what the judge has seen.
type tally struct {
	mu                        sync.Mutex
	shapes, values, differing int
	refusals, exceptions      map[string][]string // reason to shapes
	differed                  []string
}

var report = &tally{refusals: make(map[string][]string), exceptions: make(map[string][]string)}

// judged counts a shape that both tables exist of.
func (r *tally) judged(name string, values int, differs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shapes++
	r.values += values
	if differs {
		r.differing++
		r.differed = append(r.differed, name)
	}
}

// different counts a shape that could not even be compared.
func (r *tally) different(name string) { r.judged(name, 0, true) }

// except notes a shape with a proven exception.
func (r *tally) except(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exceptions[why] = append(r.exceptions[why], name)
}

// expectedRefusals are parts of the reasons for which Sluice may refuse a shape
// today: none. Anything else that is refused is a failure, for it is a table
// that could be imported before.
var expectedRefusals []string

// refuse notes a shape that Sluice refuses, with the reason it gives.
func (r *tally) refuse(t *testing.T, name, why string) {
	t.Helper()
	expected := slices.ContainsFunc(expectedRefusals, func(part string) bool { return strings.Contains(why, part) })
	t.Logf("refused: %s", why)
	if !expected {
		t.Error("this was not refused before")
	}
	if _, reason, ok := strings.Cut(why, "yet: "); ok {
		why = reason
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shapes++
	r.refusals[why] = append(r.refusals[why], name)
	if !expected {
		r.differing++
		r.differed = append(r.differed, name)
	}
}

// text is the report: the seed, the shapes refused with their reasons, those
// with exceptions, those that differ, and the totals in the last line.
func (r *tally) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "oracle: seed %d\n", seed)
	refused := writeShapes(&b, "refused", r.refusals)
	writeShapes(&b, "exception", r.exceptions)
	for _, name := range slices.Sorted(slices.Values(r.differed)) {
		fmt.Fprintf(&b, "oracle: different: %s\n", name)
	}
	fmt.Fprintf(&b, "oracle: %d shapes, %d values, %d refused, %d different\n", r.shapes, r.values, refused, r.differing)
	return b.String()
}

// writeShapes writes a line per reason and returns how many shapes there are.
func writeShapes(b *strings.Builder, what string, shapes map[string][]string) (count int) {
	for _, why := range slices.Sorted(maps.Keys(shapes)) {
		names := slices.Sorted(slices.Values(shapes[why]))
		count += len(names)
		fmt.Fprintf(b, "oracle: %s: %s: %s\n", what, why, strings.Join(names, " "))
	}
	return count
}

// finish prints the report and writes it to the file that was asked for.
func (r *tally) finish() error {
	if r.shapes == 0 {
		return nil
	}
	text := r.text()
	fmt.Print(text)
	if path := os.Getenv(reportEnv); path != "" {
		return os.WriteFile(path, []byte(text), 0o600)
	}
	return nil
}
