package pd

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
)

const (
	keyAllocID = "alloc_id"
	// idWindow ids are reserved in etcd at a time; those unused at a restart
	// are lost, as with PD.
	idWindow = 1000
)

// idAllocator hands out ids that no earlier run on the same data has given.
type idAllocator struct {
	kv *kvStore

	// mu is held over the write to etcd: nobody may get an id beyond the
	// reserved window.
	mu struct {
		sync.Mutex
		last uint64 // given out
		end  uint64 // reserved, inclusive
	}
}

func newIDAllocator(ctx context.Context, kv *kvStore) (*idAllocator, error) {
	a := &idAllocator{kv: kv}
	data, err := kv.get(ctx, keyAllocID)
	if err != nil {
		return nil, err
	}
	if data != nil {
		if len(data) != 8 {
			return nil, fmt.Errorf("%s holds %d bytes, want 8", keyAllocID, len(data))
		}
		a.mu.end = binary.BigEndian.Uint64(data)
		a.mu.last = a.mu.end
	}
	return a, nil
}

func (a *idAllocator) alloc(ctx context.Context) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.last == a.mu.end {
		end := a.mu.end + idWindow
		if err := a.kv.put(ctx, keyAllocID, binary.BigEndian.AppendUint64(nil, end)); err != nil {
			return 0, err
		}
		a.mu.end = end
	}
	a.mu.last++
	return a.mu.last, nil
}
