package cluster

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStatusPortThatIsGone: addresses that were found before are asked first, and looked for anew when nobody is there any more. An
// answer that says no is an answer.
func TestStatusPortThatIsGone(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/known" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		_, err := w.Write([]byte(`{"a": 1}`))
		require.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	goneAt := strings.TrimPrefix(gone.URL, "http://")
	gone.Close()
	c := newCluster(Config{StatusAddr: strings.TrimPrefix(server.URL, "http://")})
	c.ports.learn([]string{goneAt})
	for range 2 {
		var got struct{ A int }
		require.NoError(t, c.tidbStatus(t.Context(), "/known", &got))
		require.Equal(t, 1, got.A)
	}
	require.Equal(t, 2, asked)
	var refused *statusError
	require.ErrorAs(t, c.tidbStatus(t.Context(), "/unknown", nil), &refused)
	require.Equal(t, 3, asked, "asked once")
	server.Close()
	require.Error(t, c.tidbStatus(t.Context(), "/known", nil))
}
