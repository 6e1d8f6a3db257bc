package importcore

import (
	"context"
	"errors"
	"sync"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// Inspection is what all prechecks of a task have found.
type Inspection struct {
	// Findings in the order of package precheck's names.
	Findings []precheck.Finding
	// TableID is the target's, 0 if there is none.
	TableID int64
	// Plan is the task's; nil if a finding says that there can't be one. The caller closes it.
	Plan *Plan
	// Estimate is nil without a plan.
	Estimate *Estimate
}

// Inspect makes all prechecks of a task that begins, and changes nothing. What they
// find is in the findings; the error is that of an invalid task, or of a context that has ended.
//
// A full inspection looks at a sample of rows in any case and completes the estimate. The other
// one is for an import that begins if nothing stands against it: bad rows are left to the job, which names the
// first of all, and what costs time is only done if the answer can matter.
func (c *Core) Inspect(ctx context.Context, task ImportTask, full bool) (_ *Inspection, err error) {
	if err := c.completeTask(&task); err != nil {
		return nil, err
	}
	in := newInspector(ctx, c, task, full)
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	findings, err := precheck.Run(ctx, in.checks(), task.SkipPrechecks)
	if err != nil {
		return nil, err
	}
	out := &Inspection{Findings: findings, TableID: in.plan.TableID}
	if in.source() != nil || in.mapped() != nil || in.empty() != nil {
		return out, in.close()
	}
	out.Plan = in.plan
	estimate := in.estimate()
	if full {
		in.complete(ctx, &estimate)
	}
	out.Estimate = &estimate
	return out, nil
}

// inspector is an Inspect under way. What several checks need is found by the first
// that asks; the others wait for it. A plan's parts are written by these functions only.
type inspector struct {
	core *Core
	plan *Plan
	full bool

	source    func() error // files are listed
	table     func() error // the target is known
	mapped    func() error // so is where the fields go
	empty     func() error // the target has no rows, or may have some
	sample    func() (*sample, error)
	usage     func() ([]cluster.StoreUsage, error)
	followers func() (cluster.Followers, error)
	replicas  func() (int, error)
}

func newInspector(ctx context.Context, c *Core, task ImportTask, full bool) *inspector {
	p := &Plan{Task: task}
	in := &inspector{core: c, plan: p, full: full}
	in.source = once(func() error { return p.openSource(ctx, c.SourceConfig()) })
	in.table = once(func() error { return c.loadTarget(ctx, p) })
	in.mapped = once(func() error {
		// Without headers, and statements that list columns, the mapping has nothing to do with the files.
		err := in.source()
		if tableErr := in.table(); tableErr != nil {
			return tableErr
		}
		if err != nil && task.readsHeads() {
			return err
		}
		return c.layOut(ctx, p)
	})
	in.empty = once(func() error {
		if err := in.table(); err != nil {
			return err
		}
		return c.checkEmpty(ctx, p)
	})
	in.sample = onceValue(func() (*sample, error) {
		_ = in.empty() // how much memory there is depends on it
		if !full && !p.sampleMatters() {
			return nil, nil
		}
		select {
		case c.sampling <- struct{}{}:
			defer func() { <-c.sampling }()
			return p.takeSample(ctx)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	})
	// An import can do without the answers to these.
	limited := func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, precheck.Patience) }
	in.usage = onceValue(func() ([]cluster.StoreUsage, error) {
		ctx, cancel := limited()
		defer cancel()
		return c.cluster.Usage(ctx)
	})
	in.followers = onceValue(func() (cluster.Followers, error) {
		ctx, cancel := limited()
		defer cancel()
		return c.cluster.Followers(ctx)
	})
	in.replicas = onceValue(func() (int, error) {
		ctx, cancel := limited()
		defer cancel()
		return c.cluster.MaxReplicas(ctx)
	})
	return in
}

// once makes a function that does its work when it is first called. A panic is its error.
func once(f func() error) func() error { return sync.OnceValue(fault.Contain(f)) }

// onceValue is once for functions that return a value.
func onceValue[T any](f func() (T, error)) func() (T, error) {
	return sync.OnceValues(func() (value T, err error) {
		err = fault.Contain(func() (err error) {
			value, err = f()
			return err
		})()
		return value, err
	})
}

// close ends the use of the files, unless there are none.
func (in *inspector) close() error {
	if in.plan.store == nil {
		return nil
	}
	return in.plan.Close()
}

// estimate is for plans that nothing blocks.
func (in *inspector) estimate() Estimate {
	s, _ := in.sample() // its error is a finding, and then there is only the rule of thumb
	return in.plan.estimate(s)
}

// complete adds to an estimate what the cluster has to be asked for; what isn't
// to be had stays 0.
func (in *inspector) complete(ctx context.Context, e *Estimate) {
	limits, err := in.core.cluster.RegionLimits(ctx)
	stores, usageErr := in.usage()
	replicas, replicasErr := in.replicas()
	if errors.Join(err, usageErr, replicasErr) != nil {
		return
	}
	e.inCluster(limits, storesOf(stores), replicas, in.plan.Task.MaxWriteSpeed)
}

// storesOf counts the TiKV stores that are up.
func storesOf(stores []cluster.StoreUsage) (tikv int) {
	for _, s := range stores {
		if s.Up && !s.TiFlash {
			tikv++
		}
	}
	return tikv
}
