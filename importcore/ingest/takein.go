package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"google.golang.org/grpc"
)

const (
	multiIngestMethod = "/import_sstpb.ImportSST/MultiIngest"
	// ingestTimeout bounds one ingest: the raft entry is small, but applying it
	// may wait behind compactions.
	ingestTimeout = 5 * time.Minute
	// probeTimeout bounds the question whether a store is stalled.
	probeTimeout = 5 * time.Second
)

// ingest runs StageIngest: it asks the leader to take the files that
// StageWrite left on all peers.
func (j *job) ingest(ctx context.Context) *failure {
	if f := j.probeStall(ctx); f != nil {
		return f
	}
	if permit := j.opts.Permit; permit != nil {
		// This may wait for as long as it likes; what was permitted is asked for again
		// when the request leaves.
		if err := permit(ctx); err != nil {
			return &failure{kind: KindForbidden, cause: err}
		}
	}
	r := j.sst.region
	store := r.Leader.GetStoreId()
	resp, f := j.multiIngest(ctx, store, ingestTimeout, j.opts.Permit, &import_sstpb.MultiIngestRequest{
		Context: &kvrpcpb.Context{
			RegionId:    r.ID(),
			RegionEpoch: r.Meta.GetRegionEpoch(),
			Peer:        r.Leader,
		},
		Ssts: j.sst.metas,
	})
	if f != nil {
		return f
	}
	if e := resp.GetError(); e != nil {
		return classifyRegionError(store, e, r)
	}
	return nil
}

// probeStall asks every peer with an ingest of nothing whether it would have
// to hold back writes. Only server_is_busy counts: the request names no
// region, so the other errors it brings say nothing, and a peer that can't be
// asked is no reason to stop.
func (j *job) probeStall(ctx context.Context) *failure {
	for _, p := range j.sst.region.Meta.GetPeers() {
		resp, f := j.multiIngest(ctx, p.GetStoreId(), probeTimeout, nil, &import_sstpb.MultiIngestRequest{})
		if f != nil {
			continue
		}
		if e := resp.GetError(); e.GetServerIsBusy() != nil {
			return classifyRegionError(p.GetStoreId(), e, j.sst.region)
		}
	}
	return nil
}

func (j *job) multiIngest(
	ctx context.Context, store uint64, timeout time.Duration, permit func(context.Context) error, req *import_sstpb.MultiIngestRequest,
) (*import_sstpb.IngestResponse, *failure) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp := &import_sstpb.IngestResponse{}
	return resp, j.invoke(ctx, call{store, multiIngestMethod, permit, KindTransport}, req, resp)
}

// call is a request to one store's import service.
type call struct {
	store  uint64
	method string
	permit func(context.Context) error // asked when the request leaves; nil permits
	late   Kind                        // of a request that has run out of its own time
}

// invoke makes a call and waits for its answer, in resp.
func (j *job) invoke(ctx context.Context, c call, req, resp any) *failure {
	conn, err := j.cluster.StoreConn(ctx, c.store)
	if err != nil {
		kind := KindLookup
		if errors.Is(err, context.DeadlineExceeded) {
			kind = c.late
		}
		return &failure{kind: kind, store: c.store, cause: err}
	}
	codec := &permittedCodec{ctx: ctx, permit: c.permit}
	began := time.Now()
	err = conn.Invoke(ctx, c.method, req, resp, grpc.ForceCodec(codec))
	j.opts.Waits.Store.since(began)
	switch {
	case codec.refused == nil:
	case ctx.Err() != nil: // nobody has refused it in time
		return &failure{kind: KindOther, store: c.store, cause: codec.refused}
	default:
		return &failure{kind: KindForbidden, cause: codec.refused}
	}
	if err != nil {
		return classifyStatus(c.store, err, c.late)
	}
	return nil
}
