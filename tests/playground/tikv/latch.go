package tikv

import "sync"

const latchSlots = 256

// latches serialise the writers of one key; unistore takes them by key hash
// around every command that writes. They belong to the whole cluster and not to
// a region, so that they hold across a split.
type latches struct {
	slots [latchSlots]struct {
		sync.Mutex
		held map[uint64]chan struct{} // closed when the latch is given back
	}
}

func newLatches() *latches {
	l := &latches{}
	for i := range l.slots {
		l.slots[i].held = make(map[uint64]chan struct{})
	}
	return l
}

// acquire takes the latches of all hashes, which must be sorted and distinct:
// the common order is what keeps two callers from waiting for each other.
func (l *latches) acquire(hashes []uint64) {
	released := make(chan struct{})
	for _, h := range hashes {
		slot := &l.slots[h>>56]
		for {
			slot.Lock()
			other, busy := slot.held[h]
			if !busy {
				slot.held[h] = released
			}
			slot.Unlock()
			if !busy {
				break
			}
			<-other
		}
	}
}

// release gives back what one acquire with the same hashes took.
func (l *latches) release(hashes []uint64) {
	var released chan struct{}
	for _, h := range hashes {
		slot := &l.slots[h>>56]
		slot.Lock()
		released = slot.held[h]
		delete(slot.held, h)
		slot.Unlock()
	}
	if released != nil {
		close(released)
	}
}
