package blocktable

// ReadBlock reads all entries of a block, once as pairs and once as an index, as if its checksum were right.
func ReadBlock(block []byte, how byte) {
	content, err := decompress(compression(how), block, nil, 2)
	if err != nil {
		return
	}
	for _, handles := range []bool{false, true} {
		it, err := newBlockIter(content)
		if err != nil {
			return
		}
		it.handles = handles
		for it.next() {
		}
	}
}
