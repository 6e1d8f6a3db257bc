package main

import (
	"os"
	"runtime/debug"

	"github.com/sluicedb/sluice/server/config"
)

// runtimeReserve is what the process takes beside the import core's budget:
// TiDB's libraries, connections, gRPC's buffers and the runtime itself.
const runtimeReserve = 64 << 20

// limitMemory makes the garbage collector work harder when the heap gets near
// the budget, instead of letting it grow to twice what is in use. It is a soft
// limit: reaching it costs time, never a job. GOMEMLIMIT in the environment wins.
func limitMemory(cfg config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.Import.MemoryBudget) + runtimeReserve)
	}
}
