package csv

import "golang.org/x/sys/cpu"

var hasAVX2 = cpu.X86.HasAVX2

// fastMarks tells that marking costs less than searching.
var fastMarks = hasAVX2

// markWords sets bit i%64 of word i/64 for every byte of data that is a
// marker, in all for each and in quotes for quotes and escape bytes. data is 64 bytes per word, at least one.
func markWords(data []byte, all, quotes []uint64, m *markers) {
	if !hasAVX2 {
		markWordsGo(data, all, quotes, m)
		return
	}
	_, _ = data[word*len(all)-1], quotes[len(all)-1]
	markAVX2(&data[0], len(all), &all[0], &quotes[0], m)
}

// markAVX2 is markWords for words*64 bytes at data: 32 bytes are compared with
// each marker at once, and the high bits of the results collected.
//
//go:noescape
func markAVX2(data *byte, words int, all, quotes *uint64, m *markers)
