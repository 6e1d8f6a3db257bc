package pd

import (
	"context"

	"github.com/pingcap/kvproto/pkg/meta_storagepb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metaStorageService is PD's thin gRPC layer over its etcd. Keys are etcd's own,
// without any prefix.
type metaStorageService struct {
	meta_storagepb.UnimplementedMetaStorageServer
	*Server
}

func (s *metaStorageService) metaHeader(revision int64) *meta_storagepb.ResponseHeader {
	return &meta_storagepb.ResponseHeader{ClusterId: s.clusterID, Revision: revision}
}

func metaKV(kv *mvccpb.KeyValue) *meta_storagepb.KeyValue {
	if kv == nil {
		return nil
	}
	return &meta_storagepb.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}

// Watch implements meta_storagepb.MetaStorageServer: it streams changes until
// the client leaves.
func (s *metaStorageService) Watch(req *meta_storagepb.WatchRequest, stream meta_storagepb.MetaStorage_WatchServer) error {
	if err := s.serving(); err != nil {
		return err
	}
	ctx, cancel := s.streamContext(stream.Context())
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithRev(req.GetStartRevision())}
	if len(req.GetRangeEnd()) > 0 {
		opts = append(opts, clientv3.WithRange(string(req.GetRangeEnd())))
	}
	if req.GetPrevKv() {
		opts = append(opts, clientv3.WithPrevKV())
	}
	for res := range s.cli.Watch(ctx, string(req.GetKey()), opts...) {
		if err := res.Err(); err != nil {
			if res.CompactRevision == 0 {
				return status.Error(codes.Unknown, err.Error())
			}
			header := s.metaHeader(res.Header.Revision)
			header.Error = &meta_storagepb.Error{Type: meta_storagepb.ErrorType_DATA_COMPACTED, Message: err.Error()}
			return stream.Send(&meta_storagepb.WatchResponse{Header: header, CompactRevision: res.CompactRevision})
		}
		resp := &meta_storagepb.WatchResponse{Header: s.metaHeader(res.Header.Revision), CompactRevision: res.CompactRevision}
		for _, ev := range res.Events {
			resp.Events = append(resp.Events, &meta_storagepb.Event{
				Type: meta_storagepb.Event_EventType(ev.Type), Kv: metaKV(ev.Kv), PrevKv: metaKV(ev.PrevKv),
			})
		}
		if len(resp.Events) == 0 {
			continue
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
	return s.streamEnd(stream.Context())
}

// streamContext ends with the stream and with the server.
func (s *Server) streamContext(stream context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(stream)
	unhook := context.AfterFunc(s.stopped, cancel)
	return ctx, func() { unhook(); cancel() }
}

// streamEnd is the status of a stream whose source dried up.
func (s *Server) streamEnd(stream context.Context) error {
	if stream.Err() != nil {
		return nil
	}
	return errNotLeader
}

// Get implements meta_storagepb.MetaStorageServer.
func (s *metaStorageService) Get(ctx context.Context, req *meta_storagepb.GetRequest) (*meta_storagepb.GetResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	opts := []clientv3.OpOption{clientv3.WithRev(req.GetRevision()), clientv3.WithLimit(req.GetLimit())}
	if len(req.GetRangeEnd()) > 0 {
		opts = append(opts, clientv3.WithRange(string(req.GetRangeEnd())))
	}
	res, err := s.cli.Get(ctx, string(req.GetKey()), opts...)
	if err != nil {
		return &meta_storagepb.GetResponse{Header: s.metaError(err)}, nil
	}
	resp := &meta_storagepb.GetResponse{Header: s.metaHeader(res.Header.Revision), More: res.More, Count: res.Count}
	for _, kv := range res.Kvs {
		resp.Kvs = append(resp.Kvs, metaKV(kv))
	}
	return resp, nil
}

// Put implements meta_storagepb.MetaStorageServer.
func (s *metaStorageService) Put(ctx context.Context, req *meta_storagepb.PutRequest) (*meta_storagepb.PutResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	var opts []clientv3.OpOption
	if req.GetLease() != 0 {
		opts = append(opts, clientv3.WithLease(clientv3.LeaseID(req.GetLease())))
	}
	if req.GetPrevKv() {
		opts = append(opts, clientv3.WithPrevKV())
	}
	res, err := s.cli.Put(ctx, string(req.GetKey()), string(req.GetValue()), opts...)
	if err != nil {
		return &meta_storagepb.PutResponse{Header: s.metaError(err)}, nil
	}
	return &meta_storagepb.PutResponse{Header: s.metaHeader(res.Header.Revision), PrevKv: metaKV(res.PrevKv)}, nil
}

// Delete implements meta_storagepb.MetaStorageServer.
func (s *metaStorageService) Delete(ctx context.Context, req *meta_storagepb.DeleteRequest) (*meta_storagepb.DeleteResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	var opts []clientv3.OpOption
	if len(req.GetRangeEnd()) > 0 {
		opts = append(opts, clientv3.WithRange(string(req.GetRangeEnd())))
	}
	if req.GetPrevKv() {
		opts = append(opts, clientv3.WithPrevKV())
	}
	res, err := s.cli.Delete(ctx, string(req.GetKey()), opts...)
	if err != nil {
		return &meta_storagepb.DeleteResponse{Header: s.metaError(err)}, nil
	}
	resp := &meta_storagepb.DeleteResponse{Header: s.metaHeader(res.Header.Revision), Deleted: res.Deleted}
	for _, kv := range res.PrevKvs {
		resp.PrevKvs = append(resp.PrevKvs, metaKV(kv))
	}
	return resp, nil
}

// metaError puts etcd's refusal where clients of this service look for it.
func (s *metaStorageService) metaError(err error) *meta_storagepb.ResponseHeader {
	h := s.metaHeader(0)
	h.Error = &meta_storagepb.Error{Type: meta_storagepb.ErrorType_UNKNOWN, Message: err.Error()}
	return h
}
