package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/log"

	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/playground/control"
	"github.com/sluicedb/sluice/tests/playground/door"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/pd"
	"github.com/sluicedb/sluice/tests/playground/tidb"
	"github.com/sluicedb/sluice/tests/playground/tikv"
)

// cluster is the running parts. Each needs those that were started before it,
// so they stop in the opposite order.
type cluster struct {
	dir     string
	pd      *pd.Server
	tikv    *tikv.Cluster
	tidb    *tidb.Server
	control *control.Server
	// stops are the parts' stop functions in the order of their start.
	stops []func() error
}

// startCluster starts PD, the stores, TiDB and the control port. Every
// temporary file of any part goes below the data directory.
func startCluster(ctx context.Context, s settings) (_ *cluster, err error) {
	tmp := filepath.Join(s.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o750); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := os.Setenv("TMPDIR", tmp); err != nil {
		return nil, err
	}
	db := tidb.Options{Dir: s.dir, LogFile: s.logFile, LogLevel: s.logLevel, TxnTotalSizeLimit: s.txnTotalSizeLimit, ServerVersion: s.serverVersion}
	if err := tidb.SetupLog(db); err != nil {
		return nil, err
	}
	c := &cluster{dir: s.dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	if c.pd, err = pd.Start(ctx, pd.Options{DataDir: filepath.Join(s.dir, "pd"), Logger: log.L(), MaxReplicas: s.stores}); err != nil {
		return nil, err
	}
	c.stops = append(c.stops, c.pd.Close)
	faults := new(fault.Set)
	if c.tikv, err = tikv.Start(ctx, c.storeOptions(s, faults)); err != nil {
		return nil, err
	}
	c.stops = append(c.stops, c.tikv.Close)
	c.pd.SetView(c.tikv.View())
	db.PDAddr = c.pd.Addr()
	if c.tidb, err = tidb.Start(ctx, db); err != nil {
		return nil, err
	}
	c.stops = append(c.stops, c.tidb.Close)
	c.control, err = control.Start(ctx, control.Parts{
		Faults: faults, View: c.tikv.View(), LeaderAway: c.pd.SetLeaderAway, State: c.state,
		SetDoor: c.setDoor,
	})
	if err != nil {
		return nil, err
	}
	c.stops = append(c.stops, c.openDoors, c.control.Close)
	return c, nil
}

func (c *cluster) storeOptions(s settings, faults *fault.Set) tikv.Options {
	opts := tikv.Options{
		Stores:          s.stores,
		RegionSplitSize: s.regionSplitSize,
		RegionSplitKeys: s.regionSplitKeys,
		ClusterID:       c.pd.ClusterID(),
		IDs:             c.pd,
		TSO:             c.pd.TSO,
		Faults:          faults,
		Logger:          log.L(),
	}
	if !s.removeDir {
		opts.DataDir = filepath.Join(s.dir, "tikv")
	}
	return opts
}

// setDoor makes a part away, hang, or be back.
func (c *cluster) setDoor(part playground.Part, store uint64, to door.State) error {
	switch part {
	case playground.PartPD:
		return c.pd.SetDoor(to)
	case playground.PartTiDB, playground.PartTiDB2:
		return c.tidb.SetDoor(part == playground.PartTiDB2, to)
	case playground.PartStore:
		var errs []error
		for _, s := range c.tikv.Stores() {
			if store == 0 || store == s.ID {
				errs = append(errs, c.tikv.SetDoor(s.ID, to))
			}
		}
		if len(errs) == 0 {
			return fmt.Errorf("no store %d", store)
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("no part %q", part)
}

// openDoors brings everything back that is away: nothing ends without the rest.
func (c *cluster) openDoors() error {
	var errs []error
	for _, part := range []playground.Part{playground.PartPD, playground.PartStore, playground.PartTiDB, playground.PartTiDB2} {
		errs = append(errs, c.setDoor(part, 0, door.Open))
	}
	return errors.Join(errs...)
}

// stop stops what runs, the last started part first, and goes on after a part
// that fails.
func (c *cluster) stop() error {
	var errs []error
	for i := len(c.stops) - 1; i >= 0; i-- {
		errs = append(errs, c.stops[i]())
	}
	c.stops = nil
	return errors.Join(errs...)
}

func (c *cluster) ready() playground.Ready {
	r := playground.Ready{
		PD:         c.pd.Addr(),
		TiDB:       c.tidb.Addr(),
		TiDBStatus: c.tidb.StatusAddr(),
		TiDB2:      c.tidb.SecondAddr(),
		Control:    c.control.Addr(),
		PID:        os.Getpid(),
		Dir:        c.dir,
	}
	for _, store := range c.tikv.Stores() {
		r.Stores = append(r.Stores, playground.Store{ID: store.ID, Addr: store.Addr, Status: store.StatusAddr})
	}
	return r
}

func (c *cluster) state() (playground.State, error) {
	view := c.tikv.View()
	state := playground.State{
		Violations: append([]string{}, c.tikv.Violations()...),
		Regions:    len(view.ScanRegions(nil, nil, 0)),
	}
	for _, store := range c.tikv.Stores() {
		mode, err := c.tikv.Mode(store.ID)
		if err != nil {
			return playground.State{}, err
		}
		limit, err := c.tikv.SpeedLimit(store.ID)
		if err != nil {
			return playground.State{}, err
		}
		written, ingested, err := c.tikv.Imported(store.ID)
		if err != nil {
			return playground.State{}, err
		}
		compacted, err := c.tikv.Compacted(store.ID)
		if err != nil {
			return playground.State{}, err
		}
		status, _ := view.StoreStatus(store.ID)
		state.Stores = append(state.Stores, playground.StoreState{
			ID: store.ID, ImportMode: mode == import_sstpb.SwitchMode_Import, SpeedLimit: limit, Leaders: status.LeaderCount,
			Written: written, Ingested: ingested, Compacted: compacted,
		})
	}
	return state, nil
}
