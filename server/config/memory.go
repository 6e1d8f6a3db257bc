package config

// What becomes of import.memory-budget, which bounds the whole process, in bytes.
//
//	memory-budget = ProcessReserve + jobs.concurrency equal parts, one for each job
//
// The reserve is what the process takes whatever the jobs do. About 55 MiB of it are the
// program itself, as far as the system has loaded it, and what the runtime of Go does not count; about 40
// MiB are TiDB's libraries, the connections to the cluster, gRPC's buffers and the plans of
// the jobs; the rest is for the sessions that are forwarded, and for garbage that waits to be collected.
const (
	// ProcessReserve is the part of the budget that no job gets.
	ProcessReserve Size = 128 << 20
	// outsideGo is the part of the reserve that the runtime's limit leaves out.
	outsideGo Size = 64 << 20
	// minJobMemory is the least that a job can do with.
	minJobMemory Size = 32 << 20
)

// JobMemory returns what all jobs together get of the memory budget.
func (c *Config) JobMemory() Size { return c.Import.MemoryBudget - ProcessReserve }

// RuntimeMemory returns the soft limit of Go's runtime.
func (c *Config) RuntimeMemory() Size { return c.Import.MemoryBudget - outsideGo }

// BudgetFor returns a memory budget, in whole units of 16 MiB, that leaves each job so many bytes.
func (c *Config) BudgetFor(job int64) Size {
	const unit = 16 << 20
	return (ProcessReserve + Size(job)*Size(c.jobs()) + unit - 1) / unit * unit
}

// leastBudget returns the least memory budget that the process can run its jobs with.
func (c *Config) leastBudget() Size { return ProcessReserve + minJobMemory*Size(c.jobs()) }

// jobs is how many jobs share the budget.
func (c *Config) jobs() int { return max(1, c.Jobs.Concurrency) }
