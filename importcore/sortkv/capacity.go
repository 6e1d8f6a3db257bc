package sortkv

// Capacity returns about how many bytes of run files a sorter with a memory
// budget of so many bytes can serve. Each page of a run takes an entry in the
// index, and an iterator a page of each run; past the capacity these alone
// outgrow the budget.
func Capacity(memoryBudget int64) int64 {
	budget := float64(memoryBudget)
	page := float64(Options{MemoryBudget: memoryBudget}.pageBytes())
	const entry = entryBytes + 64 // with a key of usual length
	perByte := entry/page + page/(budget*0.7)
	return int64(0.8 * budget / perByte)
}
