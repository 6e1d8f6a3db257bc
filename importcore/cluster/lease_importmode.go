package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	switchModeMethod = "/import_sstpb.ImportSST/SwitchMode"
	// importModeTTL is TiKV's import.import-mode-timeout.
	importModeTTL   = 10 * time.Minute
	importModeEvery = 3 * time.Minute
	switchTimeout   = 10 * time.Second
)

// importMode counts who needs it in this process, because the stores don't.
type importMode struct {
	turn    chan struct{} // held while stores are being switched
	holders int           // guarded by turn
}

// AcquireImportMode puts all stores into import mode, in which they compact
// more and don't hold back ingests. A store that can't be reached is left out
// and asked again with every renewal. owner is as in AcquireSafePoint.
func (c *Cluster) AcquireImportMode(ctx context.Context, owner string) (*Lease, error) {
	counted := false // guarded by the turn
	return c.keeper.take(ctx, leaseSpec{
		kind: LeaseImportMode, owner: owner,
		ttl: importModeTTL, every: importModeEvery,
		renew: func(ctx context.Context) error {
			return c.withMode(ctx, func() error {
				if !counted {
					counted = true
					c.mode.holders++
				}
				return c.switchAll(ctx, import_sstpb.SwitchMode_Import, false)
			})
		},
		undo: func(ctx context.Context) error {
			return c.withMode(ctx, func() error {
				if counted {
					counted = false
					c.mode.holders--
				}
				if c.mode.holders > 0 {
					return nil
				}
				return c.switchAll(ctx, import_sstpb.SwitchMode_Normal, true)
			})
		},
		leave: func(ctx context.Context) error {
			return c.withMode(ctx, func() error {
				if counted {
					counted = false
					c.mode.holders--
				}
				return nil
			})
		},
	})
}

// withMode runs f while nobody else of this process switches stores.
func (c *Cluster) withMode(ctx context.Context, f func() error) error {
	select {
	case c.mode.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-c.mode.turn }()
	return f()
}

// switchAll switches every store. With all, one store that can't be switched
// is an error; without, only if none can.
func (c *Cluster) switchAll(ctx context.Context, mode import_sstpb.SwitchMode, all bool) error {
	stores, err := c.Stores(ctx)
	if err != nil {
		return err
	}
	// All at once: one that doesn't answer keeps no other waiting.
	errs := make([]error, len(stores))
	var switching sync.WaitGroup
	var switched atomic.Int64
	for i, s := range stores {
		switching.Go(func() {
			err := c.switchStore(ctx, s, mode)
			if err == nil {
				switched.Add(1)
				return
			}
			c.log.Warn("cluster: a store could not be switched",
				zap.Uint64("store", s.ID), zap.Stringer("mode", mode), zap.Error(err))
			errs[i] = fmt.Errorf("switch store %d to %s mode: %w", s.ID, mode, err)
		})
	}
	switching.Wait()
	if switched.Load() > 0 && !all {
		return nil
	}
	return errors.Join(errs...)
}

// switchStore switches one store. TiFlash has nothing to switch in most
// releases, and then says so or fails.
func (c *Cluster) switchStore(ctx context.Context, s Store, mode import_sstpb.SwitchMode) error {
	ctx, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	conn, err := c.StoreConn(ctx, s.ID)
	if err == nil {
		err = conn.Invoke(ctx, switchModeMethod,
			&import_sstpb.SwitchModeRequest{Mode: mode}, &import_sstpb.SwitchModeResponse{})
	}
	if err == nil || s.TiFlash || status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}
