package tikv

import (
	"errors"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	unistore "github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv"
)

// storeView is the region map as one store sees it. It implements unistore's
// RegionManager.
type storeView struct {
	*regions
	storeID uint64
	addr    string
}

var _ unistore.RegionManager = (*storeView)(nil)

var errUnknownStore = errors.New("tikv: unknown store")

// GetRegionFromCtx implements unistore.RegionManager.
func (v *storeView) GetRegionFromCtx(ctx *kvrpcpb.Context) (unistore.RegionCtx, *errorpb.Error) {
	r, regErr := v.checkRequest(v.storeID, ctx)
	if regErr != nil {
		return nil, regErr
	}
	return r, nil
}

// GetStoreInfoFromCtx implements unistore.RegionManager.
func (v *storeView) GetStoreInfoFromCtx(*kvrpcpb.Context) (string, uint64, *errorpb.Error) {
	return v.addr, v.storeID, nil
}

// SplitRegion implements unistore.RegionManager.
func (v *storeView) SplitRegion(req *kvrpcpb.SplitRegionRequest) *kvrpcpb.SplitRegionResponse {
	return v.splitRequest(v.storeID, req)
}

// GetStoreIDByAddr implements unistore.RegionManager.
func (v *storeView) GetStoreIDByAddr(addr string) (uint64, error) {
	if addr != v.addr {
		return 0, errUnknownStore
	}
	return v.storeID, nil
}

// GetStoreAddrByStoreID implements unistore.RegionManager.
func (v *storeView) GetStoreAddrByStoreID(storeID uint64) (string, error) {
	if storeID != v.storeID {
		return "", errUnknownStore
	}
	return v.addr, nil
}

// Close implements unistore.RegionManager. The regions belong to the cluster.
func (v *storeView) Close() error { return nil }
