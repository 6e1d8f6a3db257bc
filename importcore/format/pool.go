package format

import (
	"context"
	"fmt"
)

// Room is the memory for rows that are longer than a pool's blocks.
type Room interface {
	// Take waits until a block that holds have bytes, or none beyond the pool's, may hold
	// size. Only one block of a job grows at a time; others may be in flight. A block that will never have
	// room is a *NoRoomError; other errors are the context's, or end the job.
	Take(ctx context.Context, have, size int) error
	// Give gives back all that was taken for a block of size bytes.
	Give(size int)
}

// NoRoomError says that there will never be memory for a row.
type NoRoomError struct {
	// Size is how many bytes there is memory for.
	Size int
	// Advice says what is enough for a row of so many bytes.
	Advice func(row int64) string
}

// Error says what is known of the row's length.
func (e *NoRoomError) Error() string {
	return fmt.Sprintf("it has more than the %d bytes that there is memory for", e.Size)
}

// limitedRoom has room for blocks of so many bytes.
type limitedRoom int

// LimitedRoom returns room for any number of blocks that have limit bytes at most.
func LimitedRoom(limit int) Room { return limitedRoom(limit) }

func (l limitedRoom) Take(_ context.Context, have, size int) error {
	if size > int(l) {
		return &NoRoomError{Size: have, Advice: func(row int64) string { return fmt.Sprintf("room for %d bytes", row) }}
	}
	return nil
}

func (l limitedRoom) Give(int) {}

// BlockPool hands out the buffers that files are read into. It holds a fixed
// number of blocks: Get waits while all of them are in flight, so that
// reading never runs ahead of encoding by more than Blocks*BlockBytes bytes.
// It is safe for concurrent use, by several splitters as well.
//
// A block may be grown by its splitter for a row longer than BlockBytes, if there is Room;
// such a buffer is dropped on Release instead of kept.
type BlockPool struct {
	blockBytes int
	room       Room
	free       chan []byte // nil entries stand for buffers not yet made
}

// NewBlockPool returns a pool of blocks (at least 2) of blockBytes bytes each
// (at least 1 KiB), which may grow as room has it. Buffers are made on first use.
func NewBlockPool(blockBytes, blocks int, room Room) *BlockPool {
	p := &BlockPool{blockBytes: max(blockBytes, 1<<10), room: room, free: make(chan []byte, max(blocks, 2))}
	for range cap(p.free) {
		p.free <- nil
	}
	return p
}

// BlockBytes returns the size of a block's buffer in bytes.
func (p *BlockPool) BlockBytes() int { return p.blockBytes }

// Blocks returns how many blocks can be in flight.
func (p *BlockPool) Blocks() int { return cap(p.free) }

// Get returns an empty block (Data has length 0 and capacity BlockBytes),
// waiting for one to be released; the error is the context's.
func (p *BlockPool) Get(ctx context.Context) (*Block, error) {
	select {
	case buf := <-p.free:
		return p.block(buf), nil
	default:
	}
	select {
	case buf := <-p.free:
		return p.block(buf), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (p *BlockPool) block(buf []byte) *Block {
	if buf == nil {
		buf = make([]byte, 0, p.blockBytes)
	}
	return &Block{pool: p, buf: buf, Data: buf}
}

func (p *BlockPool) put(b *Block) {
	buf := b.buf
	b.pool, b.buf, b.Data = nil, nil, nil
	if b.grown > 0 {
		p.room.Give(b.grown)
		b.grown = 0
	}
	if cap(buf) != p.blockBytes {
		buf = nil
	}
	p.free <- buf
}

// Grow gives the block a buffer of at least size bytes and copies Data into
// it. It is for splitters that meet a row longer than a block, and waits for the
// Room for it; errors are those of Room.Take.
func (b *Block) Grow(ctx context.Context, size int) error {
	if size <= cap(b.buf) {
		return nil
	}
	if err := b.pool.room.Take(ctx, b.grown, size); err != nil {
		return err
	}
	b.grown = size
	buf := make([]byte, len(b.Data), size)
	copy(buf, b.Data)
	b.buf, b.Data = buf[:0], buf
	return nil
}
