package format

import "context"

// BlockPool hands out the buffers that files are read into. It holds a fixed
// number of blocks: Get waits while all of them are in flight, so that
// reading never runs ahead of encoding by more than Blocks*BlockBytes bytes.
// It is safe for concurrent use, by several splitters as well.
//
// A block may be grown by its splitter for a row longer than BlockBytes;
// such a buffer is dropped on Release instead of kept.
type BlockPool struct {
	blockBytes int
	free       chan []byte // nil entries stand for buffers not yet made
}

// NewBlockPool returns a pool of blocks (at least 2) of blockBytes bytes each
// (at least 1 KiB). Buffers are made on first use.
func NewBlockPool(blockBytes, blocks int) *BlockPool {
	p := &BlockPool{blockBytes: max(blockBytes, 1<<10), free: make(chan []byte, max(blocks, 2))}
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
	if cap(buf) != p.blockBytes {
		buf = nil
	}
	p.free <- buf
}

// Grow gives the block a buffer of at least size bytes and copies Data into
// it. It is for splitters that meet a row longer than a block.
func (b *Block) Grow(size int) {
	if size <= cap(b.buf) {
		return
	}
	buf := make([]byte, len(b.Data), size)
	copy(buf, b.Data)
	b.buf, b.Data = buf[:0], buf
}
