package crash_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The long form is asked for by an environment variable.
const (
	killsEnv  = "SLUICE_CRASH_KILLS"  // how many, over all kinds
	kindsEnv  = "SLUICE_CRASH_KINDS"  // what the names of the kinds begin with
	seedEnv   = "SLUICE_SEED"         // repeats a run
	reportEnv = "SLUICE_CRASH_REPORT" // file for the report

	faultsEnv      = "SLUICE_FAULTS" // how many other faults
	faultReportEnv = "SLUICE_FAULTS_REPORT"
)

// shortKills is the number of cases of each kind in the short form.
const shortKills = 3

// longKills is how many kills the long form makes; 0 asks for the short one.
var longKills = func() int {
	n, _ := strconv.Atoi(os.Getenv(killsEnv))
	return n
}()

// longFaults is how many faults the long form makes; 0 asks for the short one.
var longFaults = func() int {
	n, _ := strconv.Atoi(os.Getenv(faultsEnv))
	return n
}()

// seed is where all that is drawn comes from. The short form has a fixed one, so that a test
// run means the same everywhere.
var seed = func() uint64 {
	if s, err := strconv.ParseUint(os.Getenv(seedEnv), 10, 64); err == nil {
		return s
	}
	if longKills > 0 || longFaults > 0 {
		return uint64(time.Now().UnixNano()) % 1_000_000_007
	}
	return 20240229
}()

// tally is what was done and what came of it.
type tally struct {
	name, what, env string // "crash", "kills", and the variable with the report's path
	mu              sync.Mutex
	kills, wrong    int
	kinds           []string
	counts          map[string]map[string]int // by kind
	wrongs          []string
}

// The reports of kills and of other faults.
var (
	report      = &tally{name: "crash", what: "kills", env: reportEnv, counts: map[string]map[string]int{}}
	faultReport = &tally{name: "faults", what: "faults", env: faultReportEnv, counts: map[string]map[string]int{}}
)

// killed counts a kill, and what it was like.
func (r *tally) killed(kind string, what ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kills++
	r.countLocked(kind, append([]string{"kills"}, what...)...)
}

// count counts what else there is to say of a kill that is counted already.
func (r *tally) count(kind string, what ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.countLocked(kind, what...)
}

func (r *tally) countLocked(kind string, what ...string) {
	if r.counts[kind] == nil {
		r.kinds, r.counts[kind] = append(r.kinds, kind), map[string]int{}
	}
	for _, w := range what {
		r.counts[kind][w]++
	}
}

// ended counts a case that ended wrong.
func (r *tally) ended(name string, wrong bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wrong {
		r.wrong++
		r.wrongs = append(r.wrongs, name)
	}
}

// made returns the kills of a kind so far.
func (r *tally) made(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[kind]["kills"]
}

// text is the report, the totals in the last line.
func (r *tally) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s=%d\n", r.name, seedEnv, seed)
	for _, kind := range r.kinds {
		counts := r.counts[kind]
		var parts []string
		for what, n := range counts {
			if what != "kills" {
				parts = append(parts, fmt.Sprintf("%d %s", n, what))
			}
		}
		slices.SortFunc(parts, func(x, y string) int {
			_, a, _ := strings.Cut(x, " ")
			_, b, _ := strings.Cut(y, " ")
			return strings.Compare(a, b)
		})
		fmt.Fprintf(&b, "%s: %s: %d %s: %s\n", r.name, kind, counts["kills"], r.what, strings.Join(parts, ", "))
	}
	for _, name := range r.wrongs {
		fmt.Fprintf(&b, "%s: wrong: %s\n", r.name, name)
	}
	fmt.Fprintf(&b, "%s: %d %s, %d wrong\n", r.name, r.kills, r.what, r.wrong)
	return b.String()
}

// finish prints the report and writes it to the file that was asked for.
func (r *tally) finish() error {
	if r.kills == 0 && r.wrong == 0 {
		return nil
	}
	text := r.text()
	fmt.Print(text)
	if path := os.Getenv(r.env); path != "" {
		return os.WriteFile(path, []byte(text), 0o600)
	}
	return nil
}
