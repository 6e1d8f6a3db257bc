package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/sqlext"
)

// precheck makes the prechecks of a job that has no row yet, or begins anew. warnings
// are for the job's message; those that would be the same for each job are only logged. If something critical is found, that is the error.
func (e *Executor) precheck(ctx context.Context, engine Engine, spec *Spec) (facts Facts, warnings []string, err error) {
	found, err := engine.Inspect(ctx, e.task(0, spec), false)
	if err != nil {
		return Facts{}, nil, err
	}
	if found.Plan != nil {
		facts = found.Plan.Facts()
		defer func() { err = errors.Join(err, found.Plan.Close()) }()
	}
	if err := precheck.Failure(found.Findings); err != nil {
		return Facts{}, nil, err
	}
	for _, f := range precheck.Warnings(found.Findings) {
		e.log.Warn("precheck", zap.String("check", string(f.Check)), zap.String("finding", redactText(f.Message)))
		if !f.Check.OfSurroundings() {
			warnings = append(warnings, fmt.Sprintf("precheck %s: %s", f.Check, f.Message))
		}
	}
	return facts, warnings, nil
}

// checkPrechecks refuses names of checks that can't be skipped.
func checkPrechecks(o *sqlext.Options) error {
	known := precheck.Skippable()
	for _, name := range o.SkipPrechecks {
		if !slices.Contains(known, precheck.Name(name)) {
			return codedError(errno.ErrInvalidOptionVal, fmt.Sprintf("skip_prechecks, %q is none of the checks that can be skipped: %s",
				name, strings.Trim(fmt.Sprint(known), "[]")))
		}
	}
	return nil
}

// skippedPrechecks are those that the statement's options leave out.
func skippedPrechecks(o *sqlext.Options) []precheck.Name {
	var names []precheck.Name
	for _, name := range o.SkipPrechecks {
		names = append(names, precheck.Name(name))
	}
	if o.DisablePrecheck {
		names = append(names, precheck.LogBackup, precheck.Changefeed)
	}
	return names
}

// accessFindings are those of the checks that need no look at the source. That the
// user may do what he asks for has been found when the task was made.
func accessFindings(ctx context.Context, store *jobstore.Store, tableID int64, spec *Spec) ([]precheck.Finding, error) {
	access := precheck.Pass("the user may import into the table")
	active := precheck.Blocked(precheck.Schema)
	switch {
	case store == nil:
		active = precheck.Pass("there are no jobs yet")
	case tableID != 0:
		id, err := store.ActiveOn(ctx, tableID, spec.DB, spec.Table)
		if err != nil {
			return nil, err
		}
		active = precheck.Pass("no other job works on the table")
		if id != 0 {
			active = precheck.Fail("there is active job on the target table already: job %d", id)
		}
	}
	access.Check, active.Check = precheck.Privileges, precheck.ActiveJob
	return []precheck.Finding{access, active}, nil
}
