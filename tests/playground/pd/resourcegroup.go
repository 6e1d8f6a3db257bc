package pd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	rmpb "github.com/pingcap/kvproto/pkg/resource_manager"
	"github.com/tikv/pd/client/resource_group/controller"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// keyGroupSettings is read by clients too, through the meta storage.
	keyGroupSettings    = "resource_group/settings/"
	keyControllerConfig = "resource_group/controller"
	defaultGroup        = "default"
	groupNameLimit      = 32
	middlePriority      = 8
	groupPutDone        = "Success!"
)

// resourceGroups keeps the groups in etcd under the keys of PD, without the
// cluster's prefix, because clients watch them there.
type resourceGroups struct {
	cli *clientv3.Client

	mu struct {
		sync.Mutex
		groups map[string]*rmpb.ResourceGroup
	}
}

func newResourceGroups(ctx context.Context, cli *clientv3.Client) (*resourceGroups, error) {
	g := &resourceGroups{cli: cli}
	g.mu.groups = map[string]*rmpb.ResourceGroup{}
	resp, err := cli.Get(ctx, keyGroupSettings, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read resource groups: %w", err)
	}
	for _, kv := range resp.Kvs {
		group := &rmpb.ResourceGroup{}
		if err := group.Unmarshal(kv.Value); err != nil {
			return nil, fmt.Errorf("decode %s: %w", kv.Key, err)
		}
		g.mu.groups[group.GetName()] = group
	}
	if g.mu.groups[defaultGroup] == nil {
		if err := g.put(ctx, unlimitedGroup(), false); err != nil {
			return nil, err
		}
	}
	return g, g.storeControllerConfig(ctx)
}

// storeControllerConfig publishes the price list of requests, with the
// defaults that the clients have too.
func (g *resourceGroups) storeControllerConfig(ctx context.Context) error {
	data, err := json.Marshal(controller.DefaultConfig().BaseConfig)
	if err != nil {
		return fmt.Errorf("encode the resource controller's config: %w", err)
	}
	if _, err := g.cli.Put(ctx, keyControllerConfig, string(data)); err != nil {
		return fmt.Errorf("store the resource controller's config: %w", err)
	}
	return nil
}

// unlimitedGroup is "default" as PD makes it: it never waits for tokens.
func unlimitedGroup() *rmpb.ResourceGroup {
	return &rmpb.ResourceGroup{
		Name: defaultGroup, Mode: rmpb.GroupMode_RUMode, Priority: middlePriority,
		RUSettings: &rmpb.GroupRequestUnitSettings{RU: &rmpb.TokenBucket{
			Settings: &rmpb.TokenLimitSettings{FillRate: math.MaxInt32, BurstLimit: -1},
		}},
	}
}

// put stores a group: a new one, or with modify an existing one.
func (g *resourceGroups) put(ctx context.Context, group *rmpb.ResourceGroup, modify bool) error {
	name := group.GetName()
	if name == "" || len(name) > groupNameLimit {
		return errors.New("invalid group name")
	}
	if group.GetMode() == rmpb.GroupMode_Unknown {
		return errors.New("invalid resource group mode")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, exists := g.mu.groups[name]
	switch {
	case modify && !exists:
		return fmt.Errorf("the %s resource group does not exist", name)
	case !modify && exists:
		return fmt.Errorf("the %s resource group already exists", name)
	}
	data, err := group.Marshal()
	if err != nil {
		return fmt.Errorf("encode resource group %s: %w", name, err)
	}
	if _, err := g.cli.Put(ctx, keyGroupSettings+name, string(data)); err != nil {
		return fmt.Errorf("store resource group %s: %w", name, err)
	}
	g.mu.groups[name] = group
	return nil
}

func (g *resourceGroups) delete(ctx context.Context, name string) error {
	if name == defaultGroup {
		return errors.New("cannot delete reserved group")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.groups[name] == nil {
		return fmt.Errorf("the %s resource group does not exist", name)
	}
	if _, err := g.cli.Delete(ctx, keyGroupSettings+name); err != nil {
		return fmt.Errorf("delete resource group %s: %w", name, err)
	}
	delete(g.mu.groups, name)
	return nil
}

// get returns nil for an unknown group. Groups are replaced, never changed, so
// the result may be shared.
func (g *resourceGroups) get(name string) *rmpb.ResourceGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.groups[name]
}

func (g *resourceGroups) list() []*rmpb.ResourceGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]*rmpb.ResourceGroup, 0, len(g.mu.groups))
	for _, group := range g.mu.groups {
		out = append(out, group)
	}
	slices.SortFunc(out, func(a, b *rmpb.ResourceGroup) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// resourceManagerService grants every token that is asked for: the playground
// has groups, but no scarcity.
type resourceManagerService struct {
	rmpb.UnimplementedResourceManagerServer
	*Server
}

func groupError(err error) *rmpb.Error {
	if err == nil {
		return nil
	}
	return &rmpb.Error{Message: err.Error()}
}

// ListResourceGroups implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) ListResourceGroups(context.Context, *rmpb.ListResourceGroupsRequest) (*rmpb.ListResourceGroupsResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	return &rmpb.ListResourceGroupsResponse{Groups: s.groups.list()}, nil
}

// GetResourceGroup implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) GetResourceGroup(_ context.Context, req *rmpb.GetResourceGroupRequest) (*rmpb.GetResourceGroupResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	group := s.groups.get(req.GetResourceGroupName())
	if group == nil {
		return &rmpb.GetResourceGroupResponse{
			Error: groupError(fmt.Errorf("the %s resource group does not exist", req.GetResourceGroupName())),
		}, nil
	}
	return &rmpb.GetResourceGroupResponse{Group: group}, nil
}

// AddResourceGroup implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) AddResourceGroup(ctx context.Context, req *rmpb.PutResourceGroupRequest) (*rmpb.PutResourceGroupResponse, error) {
	return s.putGroup(ctx, req, false)
}

// ModifyResourceGroup implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) ModifyResourceGroup(ctx context.Context, req *rmpb.PutResourceGroupRequest) (*rmpb.PutResourceGroupResponse, error) {
	return s.putGroup(ctx, req, true)
}

func (s *resourceManagerService) putGroup(ctx context.Context, req *rmpb.PutResourceGroupRequest, modify bool) (*rmpb.PutResourceGroupResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	if err := s.groups.put(ctx, req.GetGroup(), modify); err != nil {
		return &rmpb.PutResourceGroupResponse{Error: groupError(err)}, nil
	}
	return &rmpb.PutResourceGroupResponse{Body: groupPutDone}, nil
}

// DeleteResourceGroup implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) DeleteResourceGroup(ctx context.Context, req *rmpb.DeleteResourceGroupRequest) (*rmpb.DeleteResourceGroupResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	if err := s.groups.delete(ctx, req.GetResourceGroupName()); err != nil {
		return &rmpb.DeleteResourceGroupResponse{Error: groupError(err)}, nil
	}
	return &rmpb.DeleteResourceGroupResponse{Body: groupPutDone}, nil
}

// AcquireTokenBuckets implements rmpb.ResourceManagerServer.
func (s *resourceManagerService) AcquireTokenBuckets(stream rmpb.ResourceManager_AcquireTokenBucketsServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.serving(); err != nil {
			return err
		}
		if err := stream.Send(s.grant(req)); err != nil {
			return status.Error(codes.Unknown, err.Error())
		}
	}
}

// grant answers all requests in full; an unknown group is left out, as by PD.
func (s *resourceManagerService) grant(req *rmpb.TokenBucketsRequest) *rmpb.TokenBucketsResponse {
	resp := &rmpb.TokenBucketsResponse{}
	for _, r := range req.GetRequests() {
		group := s.groups.get(r.GetResourceGroupName())
		if group == nil {
			continue
		}
		one := &rmpb.TokenBucketResponse{ResourceGroupName: r.GetResourceGroupName()}
		settings := &rmpb.TokenLimitSettings{BurstLimit: -1}
		if have := group.GetRUSettings().GetRU().GetSettings(); have != nil {
			c := *have
			settings = &c
		}
		for _, item := range r.GetRuItems().GetRequestRU() {
			one.GrantedRUTokens = append(one.GrantedRUTokens, &rmpb.GrantedRUTokenBucket{
				Type:          item.GetType(),
				GrantedTokens: &rmpb.TokenBucket{Settings: settings, Tokens: item.GetValue()},
			})
		}
		resp.Responses = append(resp.Responses, one)
	}
	return resp
}
