package precheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/cluster"
)

// tidb-lightning's limits for the empty regions of one store. Empty regions cost
// heartbeats, and are merged only while schedulers run.
const (
	manyEmptyRegions    = 500
	tooManyEmptyRegions = 1000
)

// Empty judges how many empty regions each store has, by its id. Like
// tidb-lightning it never keeps an import from beginning, and doesn't mind them in a cluster of one store.
func Empty(perStore map[uint64]int, stores []cluster.StoreUsage) Finding {
	up := tikvUp(stores)
	most := 0
	var many []string
	for _, s := range up {
		n := perStore[s.ID]
		most = max(most, n)
		if n > manyEmptyRegions {
			many = append(many, fmt.Sprintf("store %d has %d", s.ID, n))
		}
	}
	if len(up) <= 1 || len(many) == 0 {
		return Pass("no store has more than %d empty regions (many are %d)", most, manyEmptyRegions)
	}
	effect := "slows an import down"
	if most > tooManyEmptyRegions {
		effect = "slows an import down very much and may make it fail"
	}
	return Warn("more than %d empty regions on a store %s: %s; PD's enable-cross-table-merge and region merge remove them",
		manyEmptyRegions, effect, strings.Join(many, ", "))
}

// tikvUp returns the TiKV stores that take part, ordered by their number of regions.
func tikvUp(stores []cluster.StoreUsage) []cluster.StoreUsage {
	var up []cluster.StoreUsage
	for _, s := range stores {
		if s.Up && !s.TiFlash {
			up = append(up, s)
		}
	}
	slices.SortStableFunc(up, func(a, b cluster.StoreUsage) int { return int(a.Regions - b.Regions) })
	return up
}
