package pd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStartIsQuickAndServesClients(t *testing.T) {
	t.Parallel()
	s := startWithRegions(t, Options{}, "b", "c")
	c := client(t, s)
	require.Equal(t, s.ClusterID(), c.GetClusterID(t.Context()))
	members, err := c.GetAllMembers(t.Context())
	require.NoError(t, err)
	require.Len(t, members, 1)
	require.Equal(t, []string{"http://" + s.Addr()}, members[0].ClientUrls)
	require.Equal(t, DefaultVersion, members[0].BinaryVersion)
}
