package job

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	all := []Status{Pending, Running, Paused, Finished, Failed, Cancelled}
	allowed := map[[2]Status]bool{
		{Pending, Running}: true, {Pending, Paused}: true, {Pending, Failed}: true, {Pending, Cancelled}: true,
		{Running, Finished}: true, {Running, Failed}: true, {Running, Cancelled}: true, {Running, Paused}: true, {Running, Pending}: true,
		{Paused, Pending}: true, {Paused, Cancelled}: true,
		{Failed, Pending}: true, {Cancelled, Pending}: true,
	}
	for _, from := range all {
		require.True(t, from.Valid())
		for _, to := range all {
			require.Equal(t, allowed[[2]Status{from, to}], from.CanBecome(to), "%s -> %s", from, to)
			if !from.Active() {
				require.True(t, !from.CanBecome(to) || to == Pending, "%s is left by RETRY only", from)
			}
		}
	}
	require.False(t, Pausing.Valid(), "it is shown, not stored")
	require.False(t, Cancelling.Valid(), "it is shown, not stored")
	require.False(t, Status("").Valid())
	require.False(t, Status("done").Valid())
}

func TestNameKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a.é", (&Table{DB: "A", Name: "É", ID: 7}).NameKey())
}

func TestShown(t *testing.T) {
	t.Parallel()
	require.Equal(t, Pausing, (&Job{Status: Running, Control: Control{PauseRequested: true}}).Shown())
	require.Equal(t, Cancelling, (&Job{Status: Running, Control: Control{PauseRequested: true, CancelRequested: true}}).Shown())
	require.Equal(t, Cancelling, (&Job{Status: Pending, Control: Control{CancelRequested: true}}).Shown())
	require.Equal(t, Cancelled, (&Job{Status: Cancelled, Control: Control{CancelRequested: true}}).Shown())
	require.Equal(t, Paused, (&Job{Status: Paused, Control: Control{PauseRequested: true}}).Shown())
	require.Equal(t, Pending, (&Job{Status: Pending, Control: Control{PauseRequested: true}}).Shown())
}
