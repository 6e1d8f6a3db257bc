package job

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	all := []Status{Pending, Running, Finished, Failed, Cancelled}
	allowed := map[[2]Status]bool{
		{Pending, Running}: true, {Pending, Failed}: true, {Pending, Cancelled}: true,
		{Running, Finished}: true, {Running, Failed}: true, {Running, Cancelled}: true,
	}
	for _, from := range all {
		require.True(t, from.Valid())
		for _, to := range all {
			require.Equal(t, allowed[[2]Status{from, to}], from.CanBecome(to), "%s -> %s", from, to)
			if !from.Active() {
				require.False(t, from.CanBecome(to), "%s is terminal", from)
			}
		}
	}
	require.False(t, Status("").Valid())
	require.False(t, Status("done").Valid())
}

func TestActiveKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "id/104", (&Job{DB: "a", Table: "b", TableID: 104}).ActiveKey())
	require.Equal(t, "name/a.b", (&Job{DB: "A", Table: "B"}).ActiveKey())
}
