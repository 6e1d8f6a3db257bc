package tikv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/sluicedb/sluice/tests/playground/door"
	"github.com/sluicedb/sluice/tests/playground/topology"
)

// Cluster is a running set of stores. Its methods are safe for concurrent use.
type Cluster struct {
	opts    Options
	engine  *engine
	regions *regions
	stores  []*store

	closeOnce sync.Once
	closeErr  error

	mu struct {
		sync.Mutex
		violations []string
		silent     map[uint64]bool // stores whose door is not open
	}
}

// StoreInfo is where a store listens.
type StoreInfo struct {
	ID         uint64
	Addr       string // gRPC, host:port
	StatusAddr string // HTTP, host:port
}

// Start opens the data and starts the stores on ports of 127.0.0.1 that the
// system chooses. The caller must Close the cluster. ctx bounds the start only.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("tikv: options: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, keep := opts.DataDir, opts.DataDir != ""
	if !keep {
		if dir, err = os.MkdirTemp("", "sluice-playground-tikv-"); err != nil {
			return nil, err
		}
	}
	c := &Cluster{opts: opts}
	c.mu.silent = make(map[uint64]bool)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("tikv: start: %w", err), c.stop())
			if !keep {
				err = errors.Join(err, os.RemoveAll(dir))
			}
		}
	}()
	if c.engine, err = openEngine(dir, keep, opts); err != nil {
		return nil, err
	}
	if err := c.loadRegions(); err != nil {
		return nil, err
	}
	for _, id := range c.regions.stores {
		s, err := startStore(ctx, c, id)
		if err != nil {
			return nil, err
		}
		c.stores = append(c.stores, s)
	}
	return c, nil
}

// loadRegions takes stores and regions from a kept directory, or makes new ones.
func (c *Cluster) loadRegions() error {
	st, err := loadState(c.engine.dir)
	if err != nil {
		return err
	}
	if st != nil {
		if len(st.Stores) != c.opts.Stores {
			return fmt.Errorf("the kept data is that of %d stores, not of %d", len(st.Stores), c.opts.Stores)
		}
		c.regions = newRegions(c.opts.IDs, st.Stores)
		c.regions.restore(st)
		return nil
	}
	ids := make([]uint64, c.opts.Stores)
	for i := range ids {
		ids[i] = c.opts.IDs.AllocID()
	}
	c.regions = newRegions(c.opts.IDs, ids)
	c.regions.bootstrap()
	return nil
}

// Close stops the stores, waits for what they are doing and closes the engine.
// Without Options.DataDir it removes the data. Later calls return the same.
func (c *Cluster) Close() error {
	c.closeOnce.Do(func() {
		c.closeErr = c.stop()
		if !c.engine.keep {
			c.closeErr = errors.Join(c.closeErr, os.RemoveAll(c.engine.dir))
		}
	})
	return c.closeErr
}

func (c *Cluster) stop() error {
	var errs []error
	for _, s := range c.stores {
		errs = append(errs, s.stop())
	}
	if c.engine == nil {
		return errors.Join(errs...)
	}
	if c.engine.keep && c.regions != nil {
		errs = append(errs, saveState(c.engine.dir, c.regions))
	}
	return errors.Join(append(errs, c.engine.close())...)
}

// View returns the cluster as PD sees and steers it.
func (c *Cluster) View() topology.View { return view{c} }

// Stores returns the stores ordered by id.
func (c *Cluster) Stores() []StoreInfo {
	out := make([]StoreInfo, len(c.stores))
	for i, s := range c.stores {
		out[i] = StoreInfo{ID: s.id, Addr: s.addr, StatusAddr: s.statusAddr}
	}
	return out
}

// store returns nil for an unknown id.
func (c *Cluster) store(id uint64) *store {
	for _, s := range c.stores {
		if s.id == id {
			return s
		}
	}
	return nil
}

// Violations returns, in order, every request so far that would have crashed a
// TiKV process or put data where it does not belong. An honest client leaves
// none.
func (c *Cluster) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.mu.violations...)
}

// violate records a violation and returns it as an error.
func (c *Cluster) violate(format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	c.opts.Logger.Error("tikv: violation: " + msg)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.violations = append(c.mu.violations, msg)
	return errors.New("playground violation: " + msg)
}

// SetDoor makes a store away, hang, or be back. While it does not answer, other
// stores lead its regions, as raft would have them after a while; data and
// leaders stay where they are when it is back.
func (c *Cluster) SetDoor(storeID uint64, to door.State) error {
	s := c.store(storeID)
	if s == nil {
		return fmt.Errorf("tikv: no store %d", storeID)
	}
	var errs []error
	for _, d := range s.doors {
		errs = append(errs, d.Set(to))
	}
	c.mu.Lock()
	c.mu.silent[storeID] = to != door.Open
	var live []uint64
	for _, s := range c.stores {
		if !c.mu.silent[s.id] {
			live = append(live, s.id)
		}
	}
	c.mu.Unlock()
	if to != door.Open {
		c.regions.leadElsewhere(storeID, live)
	}
	return errors.Join(errs...)
}
