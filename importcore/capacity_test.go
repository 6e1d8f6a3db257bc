package importcore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
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
		err := checkCapacity(ImportTask{MemoryBudget: c.budget, Threads: 8}, c.source, 2)
		if c.message == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.message, name)
		require.EqualValues(t, codePrecheckFailed, fault.As(err).Code, name)
	}
}
