package executor

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
)

// runAccepted runs a job of either kind whose row exists, and returns that as it is in the end. A detached one is not waited for.
func (e *Executor) runAccepted(ctx context.Context, store *jobstore.Store, engine Engine, created job.Job, spec *Spec, warnings []string) (job.Job, error) {
	if spec.Keeper != (Keeper{}) {
		e.locations.keep(created.ID, spec.Location)
	}
	r := e.newRunner(ctx, store, engine, created, spec)
	r.warnings = append(r.warnings, warnings...)
	if err := r.start(); err != nil {
		return job.Job{}, &jobError{id: created.ID, cause: err, kind: created.Kind}
	}
	if spec.Options.Detached {
		return created, nil
	}
	if err := r.wait(ctx); err != nil {
		return job.Job{}, &jobError{id: created.ID, cause: err, kind: created.Kind}
	}
	ended, err := store.Get(ctx, created.ID)
	if err != nil {
		return job.Job{}, fmt.Errorf("%s job %d finished, but its row can't be read: %w", created.Kind, created.ID, err)
	}
	return ended, nil
}
