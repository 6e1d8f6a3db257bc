package jobstore

import (
	"context"
	"time"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Held is what has to be known of a pending or running job to see whether it
// needs another owner.
type Held struct {
	Lease         job.Lease
	Kind          job.Kind
	Status        job.Status
	Step          string
	FormatVersion int
	job.Control
	// Process is that of the owner, as the owner's store was opened with it.
	Process string
	// Expired tells that the owner has let its lease expire, Abandoned that one
	// more lease has passed since then: an owner that can't renew sends nothing
	// more to the stores before its lease runs out, but its last requests may
	// take a moment to arrive.
	Expired, Abandoned bool
	// Waiting is for how long a job has had no owner.
	Waiting time.Duration
	// Checkpoint tells whether there is one.
	Checkpoint bool
}

// Held returns all pending and running jobs. It is one cheap query.
func (s *Store) Held(ctx context.Context) ([]Held, error) {
	var held []Held
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT j.id, j.kind, j.owner, j.term, j.status, j.step, j.format_version, j.cancel_requested, j.pause_requested, " +
			"j.settings, j.process, j.lease_until < " + now + ", j.lease_until < " + now + " - " + s.interval() +
			", TIMESTAMPDIFF(MICROSECOND, j.lease_until, " + now + "), EXISTS (SELECT 1 FROM " + s.schema + ".checkpoints c " +
			"WHERE c.job_id = j.id) FROM " + s.schema + ".jobs j WHERE j.status IN ('pending', 'running') ORDER BY j.id")
		if err != nil {
			return err
		}
		held = make([]Held, r.RowNumber())
		for i := range held {
			sc := rowScanner{r: r, row: i}
			if sc.held(&held[i]); sc.err != nil {
				return sc.err
			}
		}
		return nil
	})
	return held, wrap("look for jobs without an owner", err)
}

func (s *rowScanner) held(h *Held) {
	var status, kind string
	var format, waiting int64
	s.int(&h.Lease.JobID)
	s.string(&kind)
	s.string(&h.Lease.Owner)
	s.int(&h.Lease.Term)
	s.string(&status)
	s.string(&h.Step)
	s.int(&format)
	s.control(&h.Control)
	s.string(&h.Process)
	s.bool(&h.Expired)
	s.bool(&h.Abandoned)
	s.int(&waiting)
	s.bool(&h.Checkpoint)
	h.Kind, h.Status, h.FormatVersion, h.Waiting = job.Kind(kind), job.Status(status), int(format), time.Duration(waiting)*time.Microsecond
}

// Adopt makes this instance the owner of a pending job that has none, and
// returns the lease, of the next term. ErrLost when somebody else was faster.
func (s *Store) Adopt(ctx context.Context, l job.Lease) (job.Lease, error) {
	mine := job.Lease{JobID: l.JobID, Owner: s.owner, Term: l.Term + 1}
	l.Owner = ""
	err := s.change(ctx, "adopt job", "owner = ?, process = ?, term = ?, lease_until = "+s.until(),
		[]any{s.owner, s.process, mine.Term}, l, event{kind: job.EventAdopted}, job.Pending)
	return mine, err
}
