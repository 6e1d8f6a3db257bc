//go:build !amd64

package csv

// fastMarks tells that marking costs less than searching.
const fastMarks = false

// markWords sets bit i%64 of word i/64 for every byte of data that is a
// marker, in all for each and in quotes for quotes and escape bytes. data is 64 bytes per word.
func markWords(data []byte, all, quotes []uint64, m *markers) { markWordsGo(data, all, quotes, m) }
