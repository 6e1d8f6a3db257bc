package pd

import (
	"errors"

	"github.com/pingcap/kvproto/pkg/metapb"

	"github.com/sluicedb/sluice/tests/playground/topology"
)

// emptyView is the cluster before SetView: nothing there.
type emptyView struct{}

func (emptyView) Stores() []*metapb.Store { return nil }

func (emptyView) StoreStatus(uint64) (topology.StoreStatus, bool) {
	return topology.StoreStatus{}, false
}

func (emptyView) ScanRegions(_, _ []byte, _ int) []topology.Region { return nil }

func (emptyView) RegionByKey([]byte) (topology.Region, bool) { return topology.Region{}, false }

func (emptyView) PrevRegion([]byte) (topology.Region, bool) { return topology.Region{}, false }

func (emptyView) RegionByID(uint64) (topology.Region, bool) { return topology.Region{}, false }

func (emptyView) TransferLeader(_, _ uint64) bool { return false }

func (emptyView) Split([][]byte) ([]uint64, error) { return nil, errors.New("no regions yet") }
