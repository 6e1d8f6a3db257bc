package precheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Check is one check. Run looks and changes nothing; it may be called from any
// goroutine, beside those of other checks.
type Check struct {
	Name Name
	Run  func(ctx context.Context) Finding
}

// Patience is how long a check may take that an import can do without.
const Patience = 20 * time.Second

// errPatience is what became of a check that took longer.
var errPatience = fmt.Errorf("no answer within %v", Patience)

// Run makes all checks but those to skip, beside each other, and returns their
// findings in the order of checks. The error is the cause of a ctx that has ended.
func Run(ctx context.Context, checks []Check, skip []Name) ([]Finding, error) {
	findings := make([]Finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() {
			findings[i] = check.find(ctx, skip)
			findings[i].Check = check.Name
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return findings, nil
}

// find makes the check. A panic in it is a finding, too.
func (c *Check) find(ctx context.Context, skip []Name) (f Finding) {
	if slices.Contains(skip, c.Name) {
		return Finding{Skipped: true, Message: "skipped by skip_prechecks or disable_precheck"}
	}
	if slices.Contains(needed, c.Name) {
		return c.contain(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, Patience, errPatience)
	defer cancel()
	f = c.contain(limited)
	if !f.Passed && ctx.Err() == nil && errors.Is(context.Cause(limited), errPatience) {
		return Unknown(errPatience)
	}
	return f
}

func (c *Check) contain(ctx context.Context) (f Finding) {
	err := fault.Contain(func() error {
		f = c.Run(ctx)
		return nil
	})()
	if err != nil {
		return Unknown(err)
	}
	return f
}
