package pd

import (
	"context"
	"path"

	"github.com/pingcap/kvproto/pkg/pdpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// globalConfigPath is where global config lives when a request names no path.
const globalConfigPath = "/global/config/"

func configPath(p string) string {
	if p == "" {
		return globalConfigPath
	}
	return p
}

// StoreGlobalConfig implements pdpb.PDServer. All changes are one transaction.
func (s *pdService) StoreGlobalConfig(ctx context.Context, req *pdpb.StoreGlobalConfigRequest) (*pdpb.StoreGlobalConfigResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	ops := make([]clientv3.Op, 0, len(req.GetChanges()))
	for _, item := range req.GetChanges() {
		key := path.Join(configPath(req.GetConfigPath()), item.GetName())
		if item.GetKind() == pdpb.EventType_DELETE {
			ops = append(ops, clientv3.OpDelete(key))
			continue
		}
		value := item.GetValue()
		if value == "" {
			value = string(item.GetPayload())
		}
		ops = append(ops, clientv3.OpPut(key, value))
	}
	if _, err := s.cli.Txn(ctx).Then(ops...).Commit(); err != nil {
		return &pdpb.StoreGlobalConfigResponse{}, status.Error(codes.Unknown, err.Error())
	}
	return &pdpb.StoreGlobalConfigResponse{}, nil
}

// LoadGlobalConfig implements pdpb.PDServer: the named items, a missing one
// with an error inside, or all below the path under their full keys.
func (s *pdService) LoadGlobalConfig(ctx context.Context, req *pdpb.LoadGlobalConfigRequest) (*pdpb.LoadGlobalConfigResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	root := configPath(req.GetConfigPath())
	if len(req.GetNames()) == 0 {
		res, err := s.cli.Get(ctx, root, clientv3.WithPrefix())
		if err != nil {
			return nil, status.Error(codes.Unknown, err.Error())
		}
		resp := &pdpb.LoadGlobalConfigResponse{Revision: res.Header.Revision}
		for _, kv := range res.Kvs {
			resp.Items = append(resp.Items, &pdpb.GlobalConfigItem{Kind: pdpb.EventType_PUT, Name: string(kv.Key), Payload: kv.Value})
		}
		return resp, nil
	}
	resp := &pdpb.LoadGlobalConfigResponse{}
	for _, name := range req.GetNames() {
		res, err := s.cli.Get(ctx, path.Join(root, name))
		if err != nil {
			return nil, status.Error(codes.Unknown, err.Error())
		}
		item := &pdpb.GlobalConfigItem{Name: name, Kind: pdpb.EventType_PUT}
		if len(res.Kvs) == 0 {
			item.Error = &pdpb.Error{Type: pdpb.ErrorType_GLOBAL_CONFIG_NOT_FOUND, Message: "key " + name + " not found"}
		} else {
			item.Payload = res.Kvs[0].Value
		}
		resp.Items = append(resp.Items, item)
		resp.Revision = res.Header.Revision
	}
	return resp, nil
}

// WatchGlobalConfig implements pdpb.PDServer: it streams changes below the path
// from the revision on, until the client leaves.
func (s *pdService) WatchGlobalConfig(req *pdpb.WatchGlobalConfigRequest, stream pdpb.PD_WatchGlobalConfigServer) error {
	if err := s.serving(); err != nil {
		return err
	}
	ctx, cancel := s.streamContext(stream.Context())
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(req.GetRevision()), clientv3.WithPrevKV()}
	for res := range s.cli.Watch(ctx, configPath(req.GetConfigPath()), opts...) {
		if err := res.Err(); err != nil {
			if req.GetRevision() >= res.CompactRevision {
				return status.Error(codes.Unknown, err.Error())
			}
			return stream.Send(&pdpb.WatchGlobalConfigResponse{
				Revision: res.CompactRevision, Header: s.errorHeader(pdpb.ErrorType_DATA_COMPACTED, err.Error()),
			})
		}
		if err := s.sendConfigEvents(res, stream); err != nil {
			return err
		}
	}
	return s.streamEnd(stream.Context())
}

func (s *pdService) sendConfigEvents(res clientv3.WatchResponse, stream pdpb.PD_WatchGlobalConfigServer) error {
	var changes []*pdpb.GlobalConfigItem
	for _, ev := range res.Events {
		item := &pdpb.GlobalConfigItem{Name: string(ev.Kv.Key), Payload: ev.Kv.Value, Kind: pdpb.EventType(ev.Type)}
		if ev.Type == clientv3.EventTypeDelete && ev.PrevKv != nil {
			item.Payload = ev.PrevKv.Value
		}
		changes = append(changes, item)
	}
	if len(changes) == 0 {
		return nil
	}
	return stream.Send(&pdpb.WatchGlobalConfigResponse{Changes: changes, Revision: res.Header.Revision, Header: s.header()})
}
