package blocktable

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// FooterLen is the length of a footer in bytes, and so that of the smallest table's end.
	FooterLen = 1 + maxHandles + 4 + 8
	// maxHandles is the space of the footer's two handles.
	maxHandles = 40

	magic = 0x88e241b785f4cff7
	// checksumCRC32C is the checksum type of all tables of TiKV.
	checksumCRC32C = 1
	// newestVersion is the last format version whose blocks look as described; later ones sum differently.
	newestVersion = 5
)

var errNotTable = errors.New("this is no RocksDB table: its last bytes aren't those of one")

// handle is the place of a block in the file, without its trailer.
type handle struct{ offset, size uint64 }

// readHandle returns the handle at the beginning of b and how long it is.
func readHandle(b []byte) (h handle, n int, err error) {
	offset, n := binary.Uvarint(b)
	if n <= 0 {
		return h, 0, errors.New("a block's place can't be read")
	}
	size, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return h, 0, errors.New("a block's size can't be read")
	}
	return handle{offset, size}, n + m, nil
}

// end is where the next block can begin: behind the trailer.
func (h handle) end() uint64 { return h.offset + h.size + trailerLen }

// within tells whether the block and its trailer lie in front of a place of the file.
func (h handle) within(limit int64) error {
	if l := uint64(limit); h.offset > l || h.size > l || h.end() > l {
		return fmt.Errorf("a block of %d bytes at %d doesn't fit into the table", h.size, h.offset)
	}
	return nil
}

type footer struct {
	metaindex, index handle
	version          uint32
}

func readFooter(b []byte) (f footer, err error) {
	if len(b) != FooterLen || binary.LittleEndian.Uint64(b[FooterLen-8:]) != magic {
		return f, errNotTable
	}
	f.version = binary.LittleEndian.Uint32(b[FooterLen-12:])
	if f.version < 1 || f.version > newestVersion {
		return f, fmt.Errorf("tables of format version %d are not supported", f.version)
	}
	if b[0] != checksumCRC32C {
		return f, fmt.Errorf("tables with checksums of type %d are not supported", b[0])
	}
	handles := b[1 : 1+maxHandles]
	var n int
	if f.metaindex, n, err = readHandle(handles); err != nil {
		return f, err
	}
	f.index, _, err = readHandle(handles[n:])
	return f, err
}
