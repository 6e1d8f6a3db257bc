package tikv

import (
	"context"
	"fmt"
	"strings"

	"github.com/pingcap/kvproto/pkg/debugpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
)

// normalPendingCompactionLimit is TiKV's default of
// hard-pending-compaction-bytes-limit; import mode sets it to 0, and that is
// how clients see the mode.
const normalPendingCompactionLimit = 1 << 40

// debugServer is the part of TiKV's debug service that lightning and TiDB use.
// The rest answers Unimplemented.
type debugServer struct {
	debugpb.UnimplementedDebugServer
	store *store
}

// GetMetrics implements debugpb.DebugServer.
func (d *debugServer) GetMetrics(context.Context, *debugpb.GetMetricsRequest) (*debugpb.GetMetricsResponse, error) {
	return &debugpb.GetMetricsResponse{Prometheus: d.store.metrics(), StoreId: d.store.id}, nil
}

// GetStoreInfo implements debugpb.DebugServer.
func (d *debugServer) GetStoreInfo(context.Context, *debugpb.GetStoreInfoRequest) (*debugpb.GetStoreInfoResponse, error) {
	return &debugpb.GetStoreInfoResponse{StoreId: d.store.id}, nil
}

// GetClusterInfo implements debugpb.DebugServer.
func (d *debugServer) GetClusterInfo(context.Context, *debugpb.GetClusterInfoRequest) (*debugpb.GetClusterInfoResponse, error) {
	return &debugpb.GetClusterInfoResponse{ClusterId: d.store.cluster.opts.ClusterID}, nil
}

// Compact implements debugpb.DebugServer. The engine compacts by itself.
func (d *debugServer) Compact(context.Context, *debugpb.CompactRequest) (*debugpb.CompactResponse, error) {
	return &debugpb.CompactResponse{}, nil
}

// metrics is the text form of the few metrics that clients read.
func (s *store) metrics() string {
	limit := int64(normalPendingCompactionLimit)
	if s.imports.mode.get() == import_sstpb.SwitchMode_Import {
		limit = 0
	}
	st, _ := view{s.cluster}.StoreStatus(s.id)
	var b strings.Builder
	b.WriteString("# TYPE tikv_config_rocksdb gauge\n")
	for _, cf := range []string{"default", "lock", "write"} {
		fmt.Fprintf(&b, "tikv_config_rocksdb{cf=%q,name=\"hard_pending_compaction_bytes_limit\"} %d\n", cf, limit)
	}
	b.WriteString("# TYPE tikv_raftstore_region_count gauge\n")
	fmt.Fprintf(&b, "tikv_raftstore_region_count{type=\"region\"} %d\n", st.RegionCount)
	fmt.Fprintf(&b, "tikv_raftstore_region_count{type=\"leader\"} %d\n", st.LeaderCount)
	return b.String()
}
