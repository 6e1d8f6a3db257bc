package sortkv

// prefetchPair asks the processor for the cache line behind that of key and
// for the first three of value, without waiting for them.
//
//go:noescape
func prefetchPair(key, value *byte)
