package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Change is a change to the cluster as it was noted. It is not a job's property: it
// has to be undone whatever becomes of the job's row.
type Change struct {
	cluster.Change
	// JobID is 0 for one that belongs to no job.
	JobID int64
	// Instance and Process hold it, as their store was opened.
	Instance, Process string
	// Taken is when it was first noted, Expires when it ends unless it is prolonged.
	Taken, Expires time.Time
	// Expired tells that it should have been prolonged, Running that its process runs its job now.
	Expired, Running bool
}

// NoteChange records a change to the cluster that this process makes or prolongs.
func (s *Store) NoteChange(ctx context.Context, c cluster.Change) error {
	ranges, err := json.Marshal(c.Ranges)
	if err != nil {
		return fmt.Errorf("key ranges of a change: %w", err)
	}
	expires := fmt.Sprintf("%s + INTERVAL %d MICROSECOND", now, c.TTL.Microseconds())
	return wrap("note a change to the cluster", s.pool.Use(ctx, func(conn *sqlconn.Session) error {
		_, err := conn.Exec("INSERT INTO "+s.schema+".cluster_changes (kind, owner, job_id, name, key_ranges, instance, process, "+
			"taken_time, expires_time) VALUES (?, ?, ?, ?, ?, ?, ?, "+now+", "+expires+") ON DUPLICATE KEY UPDATE "+
			"expires_time = VALUES(expires_time)",
			c.Kind, c.Owner, cluster.OwnersJob(c.Owner), c.ID, string(ranges), s.owner, s.process)
		return err
	}))
}

// ForgetChange removes the record of a change that has been undone.
func (s *Store) ForgetChange(ctx context.Context, c cluster.Change) error {
	return wrap("forget a change to the cluster", s.pool.Use(ctx, func(conn *sqlconn.Session) error {
		_, err := conn.Exec("DELETE FROM "+s.schema+".cluster_changes WHERE kind = ? AND owner = ?", c.Kind, c.Owner)
		return err
	}))
}

// Changes returns all that is noted, by kind and owner.
func (s *Store) Changes(ctx context.Context) (changes []Change, err error) {
	err = s.pool.Use(ctx, func(conn *sqlconn.Session) error {
		r, err := conn.Exec("SELECT c.kind, c.owner, c.job_id, c.name, c.key_ranges, c.instance, c.process, c.taken_time, c.expires_time, " +
			"c.expires_time < " + now + ", EXISTS (SELECT 1 FROM " + s.schema + ".jobs j WHERE j.id = c.job_id AND j.status = 'running' " +
			"AND j.owner = c.instance AND j.process = c.process) FROM " + s.schema + ".cluster_changes c ORDER BY c.kind, c.owner")
		if err != nil {
			return err
		}
		changes = make([]Change, r.RowNumber())
		for i := range changes {
			sc := rowScanner{r: r, row: i}
			if sc.change(&changes[i]); sc.err != nil {
				return sc.err
			}
		}
		return nil
	})
	return changes, wrap("list changes to the cluster", err)
}

func (s *rowScanner) change(c *Change) {
	var ranges string
	s.string(&c.Kind)
	s.string(&c.Owner)
	s.int(&c.JobID)
	s.string(&c.ID)
	s.string(&ranges)
	s.string(&c.Instance)
	s.string(&c.Process)
	s.time(&c.Taken)
	s.time(&c.Expires)
	s.bool(&c.Expired)
	s.bool(&c.Running)
	if s.err == nil {
		s.err = json.Unmarshal([]byte(ranges), &c.Ranges)
	}
}
