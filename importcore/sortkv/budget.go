package sortkv

import "sync"

// budget counts bytes of memory in use. Waiting is left to the callers, who
// may have something better to do: they take the channel of freed, try, and
// wait on the channel, which closes at the next release or wake.
type budget struct {
	total int64

	mu struct {
		sync.Mutex
		used    int64
		changed chan struct{}
	}
}

func newBudget(total int64) *budget {
	b := &budget{total: total}
	b.mu.changed = make(chan struct{})
	return b
}

// tryAcquire takes n bytes if they are there.
func (b *budget) tryAcquire(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.used+n > b.total {
		return false
	}
	b.mu.used += n
	return true
}

// left returns how many bytes are there to be taken; negative after force.
func (b *budget) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.mu.used
}

// force takes n bytes (or gives back -n) even past the total: for memory that
// is in use already.
func (b *budget) force(n int64) {
	b.mu.Lock()
	b.mu.used += n
	b.mu.Unlock()
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	b.mu.Lock()
	b.mu.used -= n
	b.wakeLocked()
	b.mu.Unlock()
}

// wake makes waiters look again.
func (b *budget) wake() {
	b.mu.Lock()
	b.wakeLocked()
	b.mu.Unlock()
}

func (b *budget) wakeLocked() {
	close(b.mu.changed)
	b.mu.changed = make(chan struct{})
}

// freed returns a channel that closes at the next release or wake.
func (b *budget) freed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.changed
}
