package sortkv

// Capacity returns how many bytes of run files a sorter with a memory budget of
// so many bytes can serve. Each page of a run takes an entry in the index, and
// an iterator a page of each run; soon past the capacity these alone outgrow
// the budget, which is a *FullError. Half of the budget may be in the hands of encoders.
func Capacity(memoryBudget int64) int64 {
	budget := float64(memoryBudget)
	page := float64(Options{MemoryBudget: memoryBudget}.pageBytes())
	const entry = entryBytes + 64 // with a key of usual length
	perByte := entry/page + page/(budget*0.3)
	return int64(0.75 * budget / perByte)
}
