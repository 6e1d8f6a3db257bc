//go:build !amd64

package sortkv

// prefetchPair does nothing where it is not known to help.
func prefetchPair(key, value *byte) {}
