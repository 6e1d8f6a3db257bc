package precheck

import "github.com/sluicedb/sluice/importcore/cluster"

// tidb-lightning's limits: from how many regions on a store it looks at the
// ratio of the least to the most, and which ratios it minds.
const (
	fewRegions       = 1000
	unbalancedRatio  = 0.75
	veryUnevenRatio  = 0.5
	distributionText = "store %d has %d regions and store %d has %d, a ratio of %.2f where %.2f or more is expected: "
)

// Distribution judges how evenly regions are spread over the stores. A store with
// few of them is new or coming back, and moving regions there competes with an import.
func Distribution(stores []cluster.StoreUsage) Finding {
	up := tikvUp(stores)
	if len(up) <= 1 {
		return Pass("there is one TiKV store")
	}
	least, most := up[0], up[len(up)-1]
	if most.Regions <= fewRegions {
		return Pass("no store has more than %d regions", fewRegions)
	}
	ratio := float64(least.Regions) / float64(most.Regions)
	switch {
	case ratio < veryUnevenRatio:
		return Warn(distributionText+"PD is probably still moving regions, which an import slows down and suffers from",
			least.ID, least.Regions, most.ID, most.Regions, ratio, veryUnevenRatio)
	case ratio < unbalancedRatio:
		return Warn(distributionText+"the stores will not be used evenly",
			least.ID, least.Regions, most.ID, most.Regions, ratio, unbalancedRatio)
	}
	return Pass("the ratio of the least to the most regions of a store is %.2f", ratio)
}
