package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sluicedb/sluice/sqlext"
)

// Credentials in a job's location are in no row, log or file: only the process that
// took the statement has them, in memory. Any other Sluice goes on with such a job if
// it can read the same files with credentials of its own: those of its environment, its machine or
// its configuration.

// Keeper names who has the credentials of a job's location, which the Spec in
// the job's row lacks. The zero value says that nothing is missing.
type Keeper struct {
	// Instance is the Sluice's, Process its processID.
	Instance, Process string
}

// gone tells whether the keeper is known to have ended.
func (k Keeper) gone(here string) bool {
	return k.Instance == here && k.Process != processID() || processEnded(k.Process)
}

// locations remembers those with credentials of the jobs that this process has accepted.
type locations struct {
	mu   sync.Mutex
	jobs map[int64]string
}

// maxLocations bounds what is remembered of jobs that failed or were cancelled,
// for RETRY; the oldest go first.
const maxLocations = 1000

func newLocations() *locations { return &locations{jobs: map[int64]string{}} }

func (l *locations) keep(job int64, location string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs[job] = location
	if len(l.jobs) <= maxLocations {
		return
	}
	oldest := job
	for id := range l.jobs {
		oldest = min(oldest, id)
	}
	delete(l.jobs, oldest)
}

func (l *locations) forget(job int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.jobs, job)
}

func (l *locations) find(job int64) (location string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	location, ok = l.jobs[job]
	return location, ok
}

// decode reads the Spec of a job's row, and completes it if this process has its
// credentials. missing tells that it hasn't, and that there are some.
func (e *Executor) decode(job int64, task string) (spec *Spec, missing bool, err error) {
	spec, err = decodeSpec(task)
	if err != nil || spec.Keeper == (Keeper{}) {
		return spec, false, err
	}
	location, ok := e.locations.find(job)
	if !ok {
		return spec, true, nil
	}
	spec.Location = location
	return spec, false, nil
}

// errKept completes the error of a source that can't be read without the credentials that were in the statement.
func errKept(job int64, k Keeper, err error) error {
	code, _, text := MySQLError(err)
	return &sqlext.Error{Code: code, Message: fmt.Sprintf("%s; the credentials in the location of job %d are known only to the Sluice that "+
		"accepted it (%s), for as long as it runs: give another one credentials of its own for these files, in its environment or its configuration ([storage.s3]), "+
		"and RESUME or RETRY IMPORT JOB %d there, or CANCEL it and import again", text, job, k.Instance, job)}
}

// checkReadable is for jobs that a user wants to go on. It fails if credentials are lost for certain, and the source
// can't be read here without them: the job would wait in vain.
func (e *Executor) checkReadable(ctx context.Context, job int64, task string) error {
	spec, missing, err := e.decode(job, task)
	if err != nil || !missing || !spec.Keeper.gone(e.cfg.Instance) {
		return nil // whoever takes the job looks at its row
	}
	_, engine, err := e.services.get(ctx)
	if err != nil {
		return err
	}
	if err := engine.Readable(ctx, spec); err != nil && !errors.Is(err, errSourceChanged) {
		return errKept(job, spec.Keeper, err)
	}
	return nil
}

// withoutCredentials is the Spec as a job's row may hold it. There is no CLOUD_STORAGE_URI yet that a job would use.
func (s Spec) withoutCredentials() Spec {
	s.Location = sqlext.StripCredentials(s.Location)
	if uri := s.Options.CloudStorageURI; uri != nil {
		stripped := sqlext.StripCredentials(*uri)
		s.Options.CloudStorageURI = &stripped
	}
	return s
}
