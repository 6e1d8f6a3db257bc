package source

import (
	"path"
	"strings"
)

// Compression is how the bytes of a file are packed. Stores give them as they are; package
// format/compress unpacks them.
type Compression uint8

// The compressions that files may have, as TiDB knows them.
const (
	Plain  Compression = iota
	Gzip               // RFC 1952
	Zstd               // RFC 8878
	Snappy             // the framing format of Snappy
)

// String returns the name that error texts have; "plain" for none.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	case Snappy:
		return "snappy"
	default:
		return "plain"
	}
}

// CompressionOf goes by the last suffix of a name, in any case, as TiDB does: .gz and .gzip, .zst and .zstd, .snappy.
// bare is the name without it.
func CompressionOf(name string) (c Compression, bare string) {
	suffix := path.Ext(name)
	switch strings.ToLower(suffix) {
	case ".gz", ".gzip":
		c = Gzip
	case ".zst", ".zstd":
		c = Zstd
	case ".snappy":
		c = Snappy
	default:
		return Plain, name
	}
	return c, strings.TrimSuffix(name, suffix)
}
