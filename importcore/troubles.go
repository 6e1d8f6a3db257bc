package importcore

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

// inspectPatience is how long a user waits for a store that fails before he hears of
// it. For a job that runs it is source.Config's.
const inspectPatience = 10 * time.Second

// SourceConfig is how a source is looked at for somebody who waits for the answer.
func (c *Core) SourceConfig() source.Config {
	cfg := c.cfg.Source
	cfg.Patience, cfg.Stall = inspectPatience, inspectPatience
	return cfg
}

// PatientSourceConfig is how a source is read by a job that runs.
func (c *Core) PatientSourceConfig() source.Config { return c.cfg.Source }

// sourceConfig is how a plan's source is reached while its job runs.
func (c *Core) sourceConfig(p *Plan) source.Config {
	cfg := c.cfg.Source
	log := c.cfg.Logger.With(zap.Int64("job", p.Task.JobID), zap.String("table", p.Task.DB+"."+p.Task.Table))
	cfg.Trouble = func(t source.Trouble) {
		lasted := time.Since(t.Since)
		if !t.Over {
			log.Warn("the source's store fails and is tried again", zap.String("location", t.Location), zap.String("why", t.Reason))
			return
		}
		log.Info("the source's store is no longer tried again", zap.String("location", t.Location), zap.Duration("after", lasted))
		p.troubles.add(lasted, t.Reason)
	}
	return cfg
}

// troubles are the times at which a source's store failed. The zero value is none.
type troubles struct {
	mu    sync.Mutex
	times int
	total time.Duration
	last  string
}

func (t *troubles) add(lasted time.Duration, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times++
	t.total += lasted
	t.last = reason
}

// told is what a user should hear of them.
func (t *troubles) told() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.times {
	case 0:
		return nil
	case 1:
		return []string{fmt.Sprintf("the source's store failed for %v: %s", t.total.Round(time.Millisecond), t.last)}
	default:
		return []string{fmt.Sprintf("the source's store failed %d times, for %v altogether, the last time: %s", t.times, t.total.Round(time.Millisecond), t.last)}
	}
}

// orLater adds to the error of a source that is away how the job goes on.
func (p *Plan) orLater(err error) error {
	f := fault.As(err)
	if f == nil || !errors.Is(err, source.ErrAway) || p.Task.Checkpoints == nil {
		return err
	}
	told := *f
	told.Message += fmt.Sprintf("; the job is paused: RESUME IMPORT JOB %d goes on with it, CANCEL IMPORT JOB %d gives it up", p.Task.JobID, p.Task.JobID)
	return &explained{told: &told, cause: err}
}
