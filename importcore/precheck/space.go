package precheck

import (
	"fmt"
	"strings"

	"github.com/docker/go-units"

	"github.com/sluicedb/sluice/importcore/cluster"
)

// bestCompression is how many times smaller TiKV's files are than the pairs in
// them, at best, with the compression that it has by default.
const bestCompression = 4

// SpaceNeed is what an import adds to a cluster, in bytes before compression.
type SpaceNeed struct {
	// Pairs is the size of all pairs, Rows that of the records among them.
	Pairs, Rows int64
	// Replicas is how many TiKV stores keep each pair, TiFlashReplicas how many TiFlash stores each row.
	Replicas, TiFlashReplicas int64
}

// Space compares what an import adds with what the stores have free. Before
// compression is what counts for a warning; it is critical if the best compression
// would not help.
func Space(need SpaceNeed, stores []cluster.StoreUsage) Finding {
	var tikv, tiflash int64
	for _, s := range stores {
		switch {
		case !s.Up:
		case s.TiFlash:
			tiflash += s.Available
		default:
			tikv += s.Available
		}
	}
	worst := Pass("")
	var told []string
	look := func(kind string, size, replicas, free int64) {
		if replicas == 0 {
			return
		}
		wanted := size * replicas
		told = append(told, fmt.Sprintf("%s gets about %s (%s, before compression) and has %s free",
			kind, units.BytesSize(float64(wanted)), Counted(replicas, "replica"), units.BytesSize(float64(free))))
		switch {
		case wanted/bestCompression > free:
			worst = Fail("")
		case wanted > free && worst.Passed:
			worst = Warn("")
		}
	}
	look("TiKV", need.Pairs, need.Replicas, tikv)
	look("TiFlash", need.Rows, need.TiFlashReplicas, tiflash)
	worst.Message = strings.Join(told, "; ")
	return worst
}
