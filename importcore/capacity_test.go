package importcore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

func TestCheckCapacity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source, budget int64
		message        string
	}{
		"the default for 10 GiB": {10 << 30, DefaultMemoryBudget, ""},
		"the default for 1 TiB": {1 << 40, DefaultMemoryBudget,
			"PreCheck failed: a memory budget of 128MiB can't sort a source of 1TiB: set import.memory-budget to "},
		"enough for 1 TiB": {1 << 40, 8 << 30, ""},
		"10 TiB":           {10 << 40, 64 << 30, ""},
	} {
		p := &Plan{Task: ImportTask{MemoryBudget: c.budget, Threads: 8}, SourceBytes: c.source}
		err := p.checkCapacity(2)
		if c.message == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.message, name)
		require.EqualValues(t, codePrecheckFailed, fault.As(err).Code, name)
	}
}

// TestCapacityIsThatOfTheMode: the largest source that is accepted can be sorted
// with what the mode leaves to the first sort, and the budget that is named for a larger one does.
func TestCapacityIsThatOfTheMode(t *testing.T) {
	t.Parallel()
	for _, budget := range []int64{MinMemoryBudget, DefaultMemoryBudget, 1 << 30} {
		for _, threads := range []int{1, 16} {
			for _, indexes := range []int{0, 3} {
				most := map[string]int64{}
				for name, p := range map[string]*Plan{
					"plain": {}, "replace": {Task: ImportTask{OnDuplicate: DuplicateReplace}}, "filled": {filled: true},
				} {
					p.Task.MemoryBudget, p.Task.Threads = budget, threads
					what := fmt.Sprint(name, budget, threads, indexes)
					for p.SourceBytes = 1 << 20; p.checkCapacity(indexes) == nil; p.SourceBytes += p.SourceBytes / 50 {
						most[name] = p.SourceBytes
						runs := int64(float64(p.SourceBytes) * runBytesPerSource(indexes, name != "plain"))
						require.LessOrEqual(t, runs, sortkv.Capacity(p.splitMemory(budget).sort), what)
					}
					err := p.checkCapacity(indexes)
					p.Task.MemoryBudget = namedBudget(t, err)
					require.Greater(t, p.Task.MemoryBudget, budget)
					require.NoError(t, p.checkCapacity(indexes), what)
				}
				require.Equal(t, most["replace"], most["filled"])
				require.Less(t, most["replace"], most["plain"]*2/3)
			}
		}
	}
}

// TestFullNamesTheMemoryThatWillDo: what a sort says of its own share of the
// memory becomes the job's budget with which it would have gone on.
func TestFullNamesTheMemoryThatWillDo(t *testing.T) {
	t.Parallel()
	p := &Plan{Task: ImportTask{MemoryBudget: 64 << 20, Threads: 4, OnDuplicate: DuplicateIgnore}, SourceBytes: 10 << 30}
	p.progress.sourceBytes.Store(1 << 30)
	r := &run{plan: p}
	now := p.splitMemory(64 << 20)
	err := r.describeFull(fmt.Errorf("encoding: %w", &sortkv.FullError{MemoryBudget: now.sort, Written: 1 << 30}))
	require.EqualValues(t, codePrecheckFailed, fault.As(err).Code)
	require.ErrorContains(t, err, "a memory budget of 64MiB can't sort this source: set import.memory-budget to ")
	require.GreaterOrEqual(t, sortkv.Capacity(p.splitMemory(namedBudget(t, err)).sort), 10*sortkv.Capacity(now.sort))

	many := &conflict.TooManyError{Bytes: 20 << 30, MemoryBudget: now.conflicts}
	err = r.describeFull(many)
	require.EqualValues(t, codePrecheckFailed, fault.As(err).Code)
	require.ErrorContains(t, err, "can't sort the conflicts of this source")
	require.GreaterOrEqual(t, conflict.Capacity(p.splitMemory(namedBudget(t, err)).conflicts), many.Bytes)

	other := errors.New("another error")
	require.Equal(t, other, r.describeFull(other))
}

// namedBudget is the memory budget that an error asks for.
func namedBudget(t *testing.T, err error) int64 {
	t.Helper()
	var needed float64
	var unit string
	f := fault.As(err)
	require.NotNil(t, f)
	_, text, ok := strings.Cut(f.Message, "set import.memory-budget to ")
	require.True(t, ok, f.Message)
	_, scanErr := fmt.Sscanf(text, "%f%s or more", &needed, &unit)
	require.NoError(t, scanErr, text)
	shift, ok := map[string]int{"MiB": 20, "GiB": 30, "TiB": 40}[unit]
	require.True(t, ok, unit)
	return int64(needed * float64(int64(1)<<shift))
}
