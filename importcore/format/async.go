package format

import (
	"context"
	"errors"
	"io"
	"sync"
)

// ahead is a Splitter that runs in a goroutine of its own, so that reading and scanning the next block overlap with
// encoding.
type ahead struct {
	cancel   context.CancelFunc
	done     sync.WaitGroup
	blocks   chan *Block
	err      error // why blocks was closed, nil at the end of the file; set before
	splitter Splitter
}

// Ahead starts a goroutine that asks a splitter for blocks, one ahead of the receiver, and returns without waiting. The goroutine
// ends with the file, with ctx or with Close, which closes s too.
func Ahead(ctx context.Context, s Splitter) Splitter {
	a := &ahead{blocks: make(chan *Block, 1), splitter: s}
	ctx, a.cancel = context.WithCancel(ctx)
	a.done.Go(func() {
		a.err = a.run(ctx)
		close(a.blocks)
	})
	return a
}

func (a *ahead) run(ctx context.Context) error {
	for {
		b, err := a.splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case a.blocks <- b:
		case <-ctx.Done():
			b.Release()
			return context.Cause(ctx)
		}
	}
}

// Next implements Splitter.
func (a *ahead) Next(ctx context.Context) (*Block, error) {
	select {
	case b, ok := <-a.blocks:
		if ok {
			return b, nil
		}
		if a.err != nil {
			return nil, a.err
		}
		return nil, io.EOF
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close implements Splitter. Blocks given out stay valid.
func (a *ahead) Close() error {
	a.cancel()
	a.done.Wait()
	for b := range a.blocks {
		b.Release()
	}
	return a.splitter.Close()
}
