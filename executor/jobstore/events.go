package jobstore

import (
	"context"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// What happened to jobs. An event is written in the transaction that makes it happen.

// event is what is to be written of one.
type event struct {
	kind    job.EventKind
	account string
	message string
}

// note adds an event to a job whose row the transaction has locked.
func (s *Store) note(c *sqlconn.Session, id int64, e event) error {
	r, err := c.Exec("SELECT 1 FROM (SELECT event, term, account, instance, message FROM "+s.schema+".job_events WHERE job_id = ? "+
		"ORDER BY seq DESC LIMIT 1) e JOIN "+s.schema+".jobs j ON j.id = ? AND j.term = e.term "+
		"WHERE e.event = ? AND e.account = ? AND e.instance = ? AND e.message = ?", id, id, string(e.kind), e.account, s.owner, e.message)
	if err != nil || r.RowNumber() > 0 { // it is there: only the answer was lost
		return err
	}
	if _, err := c.Exec("UPDATE "+s.schema+".jobs SET events = events + 1 WHERE id = ?", id); err != nil {
		return err
	}
	_, err = c.Exec("INSERT INTO "+s.schema+".job_events (job_id, seq, event, account, instance, term, status, message, event_time) "+
		"SELECT id, events, ?, ?, ?, term, status, ?, "+now+" FROM "+s.schema+".jobs WHERE id = ?", string(e.kind), e.account, s.owner, e.message, id)
	return err
}

// Waits notes that a job can't go on for a while, and why. ErrLost means that it is no longer the caller's.
func (s *Store) Waits(ctx context.Context, l job.Lease, why string) error {
	return s.change(ctx, "note that the job waits", "message = message", nil, l, event{job.EventWaiting, "", why}, job.Running)
}

// Events returns what has happened to a job, in order.
func (s *Store) Events(ctx context.Context, id int64) ([]job.Event, error) {
	var events []job.Event
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		r, err := c.Exec("SELECT seq, event, account, instance, status, message, term, event_time FROM "+s.schema+
			".job_events WHERE job_id = ? ORDER BY seq", id)
		if err != nil {
			return err
		}
		events = make([]job.Event, r.RowNumber())
		for i := range events {
			sc, e := rowScanner{r: r, row: i}, &events[i]
			var kind, status string
			sc.int(&e.Seq)
			for _, text := range []*string{&kind, &e.Account, &e.Instance, &status, &e.Message} {
				sc.string(text)
			}
			sc.int(&e.Term)
			sc.time(&e.Time)
			if sc.err != nil {
				return sc.err
			}
			e.Kind, e.Status = job.EventKind(kind), job.Status(status)
		}
		return nil
	})
	return events, wrap("read the job's events", err)
}
