package main

import (
	"os"
	"runtime/debug"

	"github.com/sluicedb/sluice/server/config"
)

// limitMemory makes the garbage collector work harder when the process gets near
// its budget, instead of letting the heap grow to twice what is in use. It is a soft
// limit: reaching it costs time, never a job. GOMEMLIMIT in the environment wins.
func limitMemory(cfg config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.RuntimeMemory()))
	}
}
