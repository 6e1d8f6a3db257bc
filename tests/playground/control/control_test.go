package control

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// fakeView records what the control port asks of the regions.
type fakeView struct {
	topology.View
	split    [][]byte
	splitErr error
	moved    playground.TransferLeader
}

func (v *fakeView) Split(keys [][]byte) ([]uint64, error) {
	v.split = keys
	return []uint64{7, 8}, v.splitErr
}

func (v *fakeView) TransferLeader(region, store uint64) bool {
	v.moved = playground.TransferLeader{Region: region, Store: store}
	return region == 1
}

// call sends one request and decodes the answer into out.
func call(t *testing.T, srv *httptest.Server, method, path, body string, out any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, bytes.NewBufferString(body))
	require.NoError(t, err)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, out), string(b))
	return resp.StatusCode
}

func TestControlFaults(t *testing.T) {
	t.Parallel()
	c := Parts{Faults: new(fault.Set)}
	srv := httptest.NewServer(c.routes())
	defer srv.Close()
	var hits []fault.Hit
	require.Equal(t, 200, call(t, srv, "GET", "/faults", "", &hits))
	require.NotNil(t, hits, "an empty list is [] and not null")
	require.Empty(t, hits)
	var none struct{}
	require.Equal(t, 200, call(t, srv, "POST", "/faults", `{"kind":"NotLeader","rpc":"ImportSST/Write","count":2,"store":3}`, &none))
	_, fired := c.Faults.Fire(3, "/import_sstpb.ImportSST/Write")
	require.True(t, fired)
	require.Equal(t, 200, call(t, srv, "GET", "/faults", "", &hits))
	require.Equal(t, []fault.Hit{{Rule: fault.Rule{Kind: fault.NotLeader, RPC: "ImportSST/Write", Count: 2, Store: 3}, Fired: 1}}, hits)
	require.Equal(t, 200, call(t, srv, "DELETE", "/faults", "", &none))
	require.Empty(t, c.Faults.Hits())
	for _, body := range []string{`{"kind":"Nonsense"}`, `{"kind":"NotLeader","who":1}`, `{`} {
		var failure playground.ControlError
		require.Equal(t, 400, call(t, srv, "POST", "/faults", body, &failure), body)
		require.NotEmpty(t, failure.Error)
	}
	require.Empty(t, c.Faults.Hits())
}

func TestControlSplitAndTransfer(t *testing.T) {
	t.Parallel()
	view := new(fakeView)
	srv := httptest.NewServer(Parts{View: view}.routes())
	defer srv.Close()
	var result playground.SplitResult
	require.Equal(t, 200, call(t, srv, "POST", "/split", `{"keys":["`+hex.EncodeToString([]byte("t1"))+`"]}`, &result))
	require.Equal(t, []uint64{7, 8}, result.Regions)
	require.Equal(t, [][]byte{codec.EncodeBytes(nil, []byte("t1"))}, view.split)
	var failure playground.ControlError
	require.Equal(t, 400, call(t, srv, "POST", "/split", `{"keys":["xy"]}`, &failure))
	require.Equal(t, 400, call(t, srv, "POST", "/split", `{}`, &failure))
	view.splitErr = errors.New("no such key")
	require.Equal(t, 400, call(t, srv, "POST", "/split", `{"keys":["00"]}`, &failure))
	require.Equal(t, "no such key", failure.Error)

	var none struct{}
	require.Equal(t, 200, call(t, srv, "POST", "/transfer-leader", `{"region":1,"store":2}`, &none))
	require.Equal(t, playground.TransferLeader{Region: 1, Store: 2}, view.moved)
	require.Equal(t, 400, call(t, srv, "POST", "/transfer-leader", `{"region":9,"store":2}`, &failure))
}

func TestControlLeaderAwayAndState(t *testing.T) {
	t.Parallel()
	var away []bool
	want := playground.State{Regions: 3, Stores: []playground.StoreState{{ID: 1, ImportMode: true}}, Violations: []string{"x"}}
	c := Parts{
		LeaderAway: func(b bool) { away = append(away, b) },
		State:      func() (playground.State, error) { return want, nil },
	}
	srv := httptest.NewServer(c.routes())
	defer srv.Close()
	var none struct{}
	require.Equal(t, 200, call(t, srv, "POST", "/pd/leader-away", `{"away":true}`, &none))
	require.Equal(t, 200, call(t, srv, "POST", "/pd/leader-away", `{"away":false}`, &none))
	require.Equal(t, []bool{true, false}, away)
	var got playground.State
	require.Equal(t, 200, call(t, srv, "GET", "/state", "", &got))
	require.Equal(t, want, got)
}

func TestServerStartsAndCloses(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Parts{Faults: new(fault.Set)})
	require.NoError(t, err)
	resp, err := http.Get("http://" + s.Addr() + playground.PathFaults)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, s.Close())
	if resp, err = http.Get("http://" + s.Addr() + playground.PathFaults); err == nil {
		require.NoError(t, resp.Body.Close())
	}
	require.Error(t, err)
}
