package pd

import (
	"context"
	"testing"

	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"github.com/stretchr/testify/require"
	pdclient "github.com/tikv/pd/client"
)

func TestGlobalConfigStoreLoadWatch(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := client(t, s)
	const path = "/global/config/test"
	require.NoError(t, c.StoreGlobalConfig(t.Context(), path, []pdclient.GlobalConfigItem{
		{Name: "a", Value: "1"}, {Name: "b", PayLoad: []byte{0, 1}},
	}))
	items, rev, err := c.LoadGlobalConfig(t.Context(), []string{"a", "missing"}, path)
	require.NoError(t, err)
	require.Equal(t, "1", items[0].Value)
	require.Empty(t, items[1].Value)
	require.Positive(t, rev)
	items, rev, err = c.LoadGlobalConfig(t.Context(), nil, path)
	require.NoError(t, err)
	require.Len(t, items, 2)
	require.Equal(t, path+"/b", items[1].Name)
	require.Equal(t, []byte{0, 1}, items[1].PayLoad)

	// The client library's watch of this version ends with its own time-out,
	// so the stream is read bare.
	raw, _ := rawPD(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := raw.WatchGlobalConfig(ctx, &pdpb.WatchGlobalConfigRequest{ConfigPath: path, Revision: rev + 1})
	require.NoError(t, err)
	require.NoError(t, c.StoreGlobalConfig(t.Context(), path, []pdclient.GlobalConfigItem{{Name: "a", Value: "2"}}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.Len(t, resp.Changes, 1)
	require.Equal(t, path+"/a", resp.Changes[0].Name)
	require.Equal(t, "2", string(resp.Changes[0].Payload))
	require.NoError(t, c.StoreGlobalConfig(t.Context(), path, []pdclient.GlobalConfigItem{{Name: "a", EventType: pdpb.EventType_DELETE}}))
	resp, err = stream.Recv()
	require.NoError(t, err)
	require.Equal(t, pdpb.EventType_DELETE, resp.Changes[0].Kind)
	require.Equal(t, "2", string(resp.Changes[0].Payload), "what was deleted")
}

func TestMetaStorage(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := client(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	put, err := c.Put(t.Context(), []byte("m/1"), []byte("one"))
	require.NoError(t, err)
	events, err := c.Watch(ctx, []byte("m/"), pdclient.WithPrefix(), pdclient.WithRev(put.Header.Revision+1), pdclient.WithPrevKV())
	require.NoError(t, err)
	_, err = c.Put(t.Context(), []byte("m/1"), []byte("two"))
	require.NoError(t, err)
	_, err = c.Put(t.Context(), []byte("n/1"), []byte("elsewhere"))
	require.NoError(t, err)
	_, err = c.Put(t.Context(), []byte("m/2"), []byte("more"))
	require.NoError(t, err)
	var got []*meta_storagepb.Event
	for len(got) < 2 {
		got = append(got, <-events...)
	}
	require.Len(t, got, 2)
	require.Equal(t, "two", string(got[0].Kv.Value))
	require.Equal(t, "one", string(got[0].PrevKv.Value))
	require.Equal(t, "m/2", string(got[1].Kv.Key))

	list, err := c.Get(t.Context(), []byte("m/"), pdclient.WithPrefix())
	require.NoError(t, err)
	require.Len(t, list.Kvs, 2)
	old, err := c.Get(t.Context(), []byte("m/1"), pdclient.WithRev(put.Header.Revision))
	require.NoError(t, err)
	require.Equal(t, "one", string(old.Kvs[0].Value))
	cancel()
	for range events {
		t.Fatal("an event nobody caused")
	}
}

// Close must not wait for clients that keep their streams open.
func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	raw, header := rawPD(t, s)
	watch, err := raw.WatchGlobalConfig(t.Context(), &pdpb.WatchGlobalConfigRequest{})
	require.NoError(t, err)
	tso, err := raw.Tso(t.Context())
	require.NoError(t, err)
	require.NoError(t, tso.Send(&pdpb.TsoRequest{Header: header, Count: 1}))
	_, err = tso.Recv()
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = watch.Recv()
	require.Error(t, err)
	_, err = tso.Recv()
	require.Error(t, err)
	require.NoError(t, s.Close(), "twice is fine")
}
