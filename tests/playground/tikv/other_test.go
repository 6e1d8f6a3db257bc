package tikv

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// modeMetric is where lightning reads a store's mode.
var modeMetric = regexp.MustCompile(`(?m)^tikv_config_rocksdb\{cf="default",name="hard_pending_compaction_bytes_limit"\} (\d+)$`)

func TestImportMode(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	one, two := b.Stores()[0].ID, b.Stores()[1].ID
	now := time.Now()
	b.store(one).imports.mode.now = func() time.Time { return now }
	seen := func() import_sstpb.SwitchMode {
		resp, err := b.debug(one).GetMetrics(b.ctx, &debugpb.GetMetricsRequest{})
		require.NoError(t, err)
		m := modeMetric.FindStringSubmatch(resp.Prometheus)
		require.NotNil(t, m)
		mode := import_sstpb.SwitchMode_Normal
		if m[1] == "0" {
			mode = import_sstpb.SwitchMode_Import
		}
		recorded, err := b.Mode(one)
		require.NoError(t, err)
		require.Equal(t, recorded, mode)
		return mode
	}
	set := func(m import_sstpb.SwitchMode) {
		_, err := b.sst(one).SwitchMode(b.ctx, &import_sstpb.SwitchModeRequest{Mode: m})
		require.NoError(t, err)
	}
	require.Equal(t, import_sstpb.SwitchMode_Normal, seen())
	set(import_sstpb.SwitchMode_Import)
	require.Equal(t, import_sstpb.SwitchMode_Import, seen())
	other, err := b.Mode(two)
	require.NoError(t, err)
	require.Equal(t, import_sstpb.SwitchMode_Normal, other)

	now = now.Add(importModeTimeout - time.Second)
	require.Equal(t, import_sstpb.SwitchMode_Import, seen())
	set(import_sstpb.SwitchMode_Import) // renews
	now = now.Add(importModeTimeout - time.Second)
	require.Equal(t, import_sstpb.SwitchMode_Import, seen())
	now = now.Add(time.Second)
	require.Equal(t, import_sstpb.SwitchMode_Normal, seen(), "falls back by itself")

	set(import_sstpb.SwitchMode_Import)
	set(import_sstpb.SwitchMode_Normal)
	require.Equal(t, import_sstpb.SwitchMode_Normal, seen())

	_, err = b.sst(one).GetMode(b.ctx, &import_sstpb.GetModeRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = b.Mode(99)
	require.Error(t, err)
}

func TestSmallImportCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	id := b.Stores()[0].ID
	sst := b.sst(id)
	_, err := sst.SetDownloadSpeedLimit(b.ctx, &import_sstpb.SetDownloadSpeedLimitRequest{SpeedLimit: 12345})
	require.NoError(t, err)
	limit, err := b.SpeedLimit(id)
	require.NoError(t, err)
	require.EqualValues(t, 12345, limit)
	_, err = sst.Compact(b.ctx, &import_sstpb.CompactRequest{OutputLevel: -1})
	require.NoError(t, err)
	_, err = sst.Apply(b.ctx, &import_sstpb.ApplyRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))

	_, err = sst.SuspendImportRPC(b.ctx, &import_sstpb.SuspendImportRPCRequest{ShouldSuspendImports: true, DurationInSecs: 21601})
	require.Equal(t, codes.Unknown, status.Code(err))
	for _, want := range []bool{false, true} {
		resp, err := sst.SuspendImportRPC(b.ctx, &import_sstpb.SuspendImportRPCRequest{ShouldSuspendImports: !want, DurationInSecs: 60})
		require.NoError(t, err)
		require.Equal(t, want, resp.AlreadySuspended)
	}
	resp, err := sst.MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{})
	require.NoError(t, err)
	require.Nil(t, resp.Error.ServerIsBusy, "no longer suspended")
}

func TestForcePartitionRanges(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	id := b.Stores()[0].ID
	im := b.store(id).imports
	now := time.Now()
	im.now = func() time.Time { return now }
	add := func(start, end string, ttl uint64) error {
		_, err := b.sst(id).AddForcePartitionRange(b.ctx, &import_sstpb.AddPartitionRangeRequest{
			Range: &import_sstpb.Range{Start: []byte(start), End: []byte(end)}, TtlSeconds: ttl,
		})
		return err
	}
	require.Equal(t, codes.Unknown, status.Code(add("b", "b", 1)))
	require.NoError(t, add("a", "b", 10))
	require.NoError(t, add("c", "d", 0))
	require.NoError(t, add("a", "b", 20)) // prolongs
	require.Len(t, im.forcePartitionRanges(), 2)
	now = now.Add(15 * time.Second)
	require.Len(t, im.forcePartitionRanges(), 2)
	now = now.Add(5 * time.Second)
	require.Len(t, im.forcePartitionRanges(), 1)
	_, err := b.sst(id).RemoveForcePartitionRange(b.ctx, &import_sstpb.RemovePartitionRangeRequest{
		Range: &import_sstpb.Range{Start: []byte("c"), End: []byte("d")},
	})
	require.NoError(t, err)
	require.Empty(t, im.forcePartitionRanges())
}

func TestStatusPort(t *testing.T) {
	t.Parallel()
	b := openBench(t, Options{IDs: &ids{}, RegionSplitSize: 1 << 20, RegionSplitKeys: 1000})
	get := func(path string) string {
		req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, "http://"+b.Stores()[0].StatusAddr+path, nil)
		require.NoError(t, err)
		tr := &http.Transport{DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: tr}).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	var conf struct {
		Coprocessor struct {
			Size string `json:"region-split-size"`
			Keys int64  `json:"region-split-keys"`
		}
		Storage struct {
			API    int    `json:"api-version"`
			Engine string `json:"engine"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(get("/config?full=true")), &conf))
	require.Equal(t, "1MiB", conf.Coprocessor.Size)
	require.EqualValues(t, 1000, conf.Coprocessor.Keys)
	require.Equal(t, 1, conf.Storage.API)
	require.Equal(t, "raft-kv", conf.Storage.Engine)
	require.Empty(t, get("/status"))
	require.Equal(t, "raft-kv", get("/engine_type"))
	require.Contains(t, get("/metrics"), "tikv_config_rocksdb")
	require.JSONEq(t, "[]", get("/force_partition_ranges"))
}

func TestCompact(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	one := b.Stores()[0].ID
	key := func(raw string) []byte { return append([]byte{dataPrefix}, encodeKey([]byte(raw))...) }
	_, err := b.sst(one).Compact(b.ctx, &import_sstpb.CompactRequest{Range: &import_sstpb.Range{Start: key("a"), End: key("b")}, OutputLevel: -1})
	require.NoError(t, err)
	for _, r := range []*import_sstpb.Range{{}, {Start: key("a")}, {Start: []byte("a"), End: []byte("b")}, {Start: []byte("za"), End: []byte("zb")}} {
		_, err := b.sst(one).Compact(b.ctx, &import_sstpb.CompactRequest{Range: r})
		require.Error(t, err, "%v", r)
	}
	_, err = b.sst(one).Compact(b.ctx, &import_sstpb.CompactRequest{}) // all of the store
	require.NoError(t, err)
	compacted, err := b.Compacted(one)
	require.NoError(t, err)
	require.Equal(t, [][2][]byte{{[]byte("a"), []byte("b")}, {}}, compacted)
}

func TestSizeText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		256 << 20: "256MiB", 96 << 20: "96MiB", 1 << 30: "1GiB", 3 << 9: "1536B", 1536 << 10: "1536KiB", 5: "5B", 0: "0B",
	} {
		require.Equal(t, want, sizeText(n))
	}
}

func TestDestroyRangeLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	pairs := numbered(3*destroyBatch, 10)
	b.load(pairs)
	b.put([]byte("k"), []byte("in range"))
	b.put([]byte("z"), []byte("outside"))
	b.split("k", "l")
	r := b.region(key(1))
	require.Positive(t, b.checksum(b.region([]byte("a")), b.clock.next(), nil).TotalKvs+b.checksum(r, b.clock.next(), nil).TotalKvs)
	for _, s := range b.Stores() { // as TiDB's GC worker does
		resp, err := b.kv(s.ID).UnsafeDestroyRange(b.ctx, &kvrpcpb.UnsafeDestroyRangeRequest{StartKey: []byte("k"), EndKey: []byte("l")})
		require.NoError(t, err)
		require.Empty(t, resp.Error)
	}
	require.Zero(t, b.checksum(r, b.clock.next(), nil).TotalKvs)
	require.Nil(t, b.get(pairs[0].Key, b.clock.next()))
	require.Equal(t, "outside", string(b.get([]byte("z"), b.clock.next())))
	now, _ := b.View().RegionByID(r.Meta.Id)
	require.Zero(t, now.ApproximateSize)

	b.load(pairs) // the range can be used again
	require.Equal(t, sumOf(pairs), b.checksum(b.region(key(1)), b.clock.next(), nil))
}

func TestGCCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.put([]byte("k"), []byte("v"))
	r := b.region(nil)
	kv := b.kv(r.Leader.StoreId)
	_, err := kv.KvGC(b.ctx, &kvrpcpb.GCRequest{Context: rpc(r), SafePoint: b.clock.next()})
	require.NoError(t, err)
	locks, err := kv.PhysicalScanLock(b.ctx, &kvrpcpb.PhysicalScanLockRequest{MaxTs: b.clock.next(), Limit: 10})
	require.NoError(t, err)
	require.Empty(t, locks.Locks)
	require.Equal(t, "v", string(b.get([]byte("k"), b.clock.next())))
}

func TestBatchCommandsAnswersEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.put([]byte("k"), []byte("v"))
	r := b.region(nil)
	stream, err := b.kv(r.Leader.StoreId).BatchCommands(b.ctx)
	require.NoError(t, err)
	req := &tikvpb.BatchCommandsRequest{}
	const n = 3000 // more than what waits for the stream
	for i := range uint64(n) {
		cmd := &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_Get{
			Get: &kvrpcpb.GetRequest{Context: rpc(r), Key: []byte("k"), Version: b.clock.next()},
		}}
		switch i {
		case 1:
			cmd = &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_GetHealthFeedback{
				GetHealthFeedback: &kvrpcpb.GetHealthFeedbackRequest{},
			}}
		case 2: // not served: an answer without a command
			cmd = &tikvpb.BatchCommandsRequest_Request{Cmd: &tikvpb.BatchCommandsRequest_Request_RawGet{RawGet: &kvrpcpb.RawGetRequest{}}}
		}
		req.Requests = append(req.Requests, cmd)
		req.RequestIds = append(req.RequestIds, i)
	}
	require.NoError(t, stream.Send(req))
	require.NoError(t, stream.CloseSend())
	seen := map[uint64]bool{}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for i, id := range resp.RequestIds {
			require.False(t, seen[id])
			seen[id] = true
			switch id {
			case 1:
				require.Equal(t, b.Stores()[0].ID, resp.Responses[i].GetGetHealthFeedback().HealthFeedback.StoreId)
			case 2:
				require.Nil(t, resp.Responses[i].Cmd)
			default:
				require.Equal(t, "v", string(resp.Responses[i].GetGet().Value))
			}
		}
	}
	require.Len(t, seen, n)
}

func TestUnservedCallsDoNotPanic(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	kv := b.kv(b.Stores()[0].ID)
	_, err := kv.CheckLeader(b.ctx, &kvrpcpb.CheckLeaderRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = kv.Compact(b.ctx, &kvrpcpb.CompactRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = kv.GetLockWaitInfo(b.ctx, &kvrpcpb.GetLockWaitInfoRequest{})
	require.NoError(t, err)
	require.Empty(t, b.Violations())

	// A panic of unistore fails one request and is seen.
	r := b.region(nil)
	_, err = kv.KvDeleteRange(b.ctx, &kvrpcpb.DeleteRangeRequest{Context: rpc(r), StartKey: []byte("a")})
	require.Equal(t, codes.Internal, status.Code(err))
	require.Len(t, b.Violations(), 1)
	require.Contains(t, b.Violations()[0], "panic in /tikvpb.Tikv/KvDeleteRange")

	info, err := b.debug(b.Stores()[0].ID).GetClusterInfo(b.ctx, &debugpb.GetClusterInfoRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 42, info.ClusterId)
	store, err := b.debug(b.Stores()[0].ID).GetStoreInfo(b.ctx, &debugpb.GetStoreInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, b.Stores()[0].ID, store.StoreId)
	h, err := healthpb.NewHealthClient(b.conns[b.Stores()[0].ID]).Check(b.ctx, &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, h.Status)
}
