package format

import (
	"context"
	"errors"

	"github.com/sluicedb/sluice/importcore/fault"
)

// MaxRowBytes is the longest row, in bytes of the file. It bounds the memory
// that a missing closing quote can take.
const MaxRowBytes = 64 << 20

// WideBytes is the least size of a block for a long row, if that is larger than the pool's.
const WideBytes = 2 << 20

// wideSizes are the sizes of blocks for long rows, in MiB: not much more than what is
// in it, and 17 for a value of 16, which is the most of a MEDIUMTEXT or MEDIUMBLOB.
var wideSizes = [...]int{WideBytes >> 20, 4, 6, 9, 12, 17, 24, 34, 48}

// BlockBytesFor returns the size of the block for a long row of so many bytes, MaxRowBytes at most.
func BlockBytesFor(row int64) int {
	for _, mib := range wideSizes {
		if size := mib << 20; int64(size) >= row {
			return size
		}
	}
	return MaxRowBytes
}

// GrowFor makes room in b for size bytes or more of a row that is longer than a block; rest is how many bytes of its file there are from the
// block's start on, at most, or MaxRowBytes. A row that there will never be memory for is an error of the user
// with its place.
func GrowFor(ctx context.Context, b *Block, size int, rest int64, at fault.Position) error {
	block := b.pool.BlockBytes()
	for block < size && block <= WideBytes/2 {
		block *= 2
	}
	if block < size {
		block = BlockBytesFor(int64(size))
	}
	// One byte more than the file has, to see its end.
	if rest+1 >= int64(size) {
		block = int(min(int64(block), rest+1))
	}
	err := b.Grow(ctx, min(block, MaxRowBytes))
	if none := (*NoRoomError)(nil); errors.As(err, &none) {
		most := min(rest, MaxRowBytes)
		return fault.Wrap(err, fault.User, 0, "the row does not fit into the memory of its job; %s is enough for %d bytes, the most that the row can have",
			none.Advice(most), most).Place(at)
	}
	return err
}
