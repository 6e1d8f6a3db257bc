package table

import (
	"sync"

	"github.com/pingcap/tidb/pkg/util/collate"

	"github.com/sluicedb/sluice/importcore/fault"
)

// collation remembers how the process-wide switch of TiDB's collation library
// was set. Encoders read the switch without a lock, so it never changes after
// the first Target.
var collation struct {
	mu      sync.Mutex
	decided bool
	enabled bool
}

// useCollation sets the switch on the first call and fails when a later call
// wants the other setting.
func useCollation(enabled bool) error {
	collation.mu.Lock()
	defer collation.mu.Unlock()
	if !collation.decided {
		if collate.NewCollationEnabled() != enabled {
			// The only setter that the library exports; TiDB's own bootstrap calls it too.
			collate.SetNewCollationEnabledForTest(enabled)
		}
		collation.decided, collation.enabled = true, enabled
		return nil
	}
	if collation.enabled != enabled || collate.NewCollationEnabled() != enabled {
		return fault.New(fault.Cluster, 0,
			"the cluster has new_collation_enabled=%v, but this process works with %v; use one process per cluster",
			enabled, collation.enabled)
	}
	return nil
}
