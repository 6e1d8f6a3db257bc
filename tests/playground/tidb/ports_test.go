package tidb

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReservedPortsStayFreeForTheirOwner(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port, err := reservePort(t.Context())
		require.NoError(t, err)
		require.False(t, seen[port], "port %d twice", port)
		seen[port] = true
	}
	var lc net.ListenConfig
	for port := range seen {
		l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}
