package jobs_test

import (
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/jobstore"
)

// connect opens a plain connection that closes with the test.
func connect(t *testing.T, p jobstore.Params) *client.Conn {
	t.Helper()
	return connectAs(t, p.Backends[len(p.Backends)-1], p.User, p.Password)
}

func connectAs(t *testing.T, addr, user, password string) *client.Conn {
	t.Helper()
	c, err := client.Connect(addr, user, password, "")
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	})
	return c
}
