package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNextGroup: what is asked for at once follows the size of values, at once when they are large.
func TestNextGroup(t *testing.T) {
	t.Parallel()
	var groups []int64
	group := int64(leastGroup)
	for range 6 {
		groups = append(groups, group)
		group = nextGroup(group, 100*group)
	}
	require.Equal(t, []int64{4, 16, 64, 256, 256, 256}, groups)
	require.EqualValues(t, 1, nextGroup(256, 256<<24), "values of 16 MiB")
	require.EqualValues(t, 1, nextGroup(1, 1<<24))
	require.EqualValues(t, 4, nextGroup(1, 0), "keys that are not there")
	require.EqualValues(t, 2, nextGroup(4, 4*wantedBytes/2-4*1))
}
