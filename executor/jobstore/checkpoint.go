package jobstore

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// MaxCheckpoint is the number of bytes that a checkpoint may have: TiDB takes no
// more than 6 MiB for a row unless configured otherwise.
const MaxCheckpoint = 4 << 20

// SaveCheckpoint replaces the checkpoint of a running job; no data removes it. ErrLost means that
// the job is no longer the caller's, and that nothing was written.
func (s *Store) SaveCheckpoint(ctx context.Context, l job.Lease, data []byte) error {
	if len(data) > MaxCheckpoint {
		return fmt.Errorf("save checkpoint: it has %d bytes, at most %d are possible", len(data), MaxCheckpoint)
	}
	return wrap("save checkpoint", s.pool.Transact(ctx, func(c *sqlconn.Session) error {
		if err := s.lock(c, l); err != nil {
			return err
		}
		if len(data) == 0 {
			_, err := c.Exec("DELETE FROM "+s.schema+".checkpoints WHERE job_id = ?", l.JobID)
			return err
		}
		_, err := c.Exec("INSERT INTO "+s.schema+".checkpoints (job_id, term, version, data, update_time) VALUES (?, ?, 1, ?, "+now+
			") ON DUPLICATE KEY UPDATE term = VALUES(term), version = version + 1, data = VALUES(data), update_time = VALUES(update_time)",
			l.JobID, l.Term, data)
		return err
	}))
}

// lock keeps everybody else from the row of a running job until the transaction
// ends, if it is the caller's.
func (s *Store) lock(c *sqlconn.Session, l job.Lease) error {
	r, err := c.Exec("SELECT id FROM "+s.schema+".jobs WHERE id = ? AND owner = ? AND term = ? AND status = 'running' FOR UPDATE",
		l.JobID, l.Owner, l.Term)
	if err == nil && r.RowNumber() == 0 {
		err = ErrLost
	}
	return err
}

// LoadCheckpoint returns a job's checkpoint, nil if there is none.
func (s *Store) LoadCheckpoint(ctx context.Context, jobID int64) ([]byte, error) {
	var data []byte
	err := s.pool.Use(ctx, func(c *sqlconn.Session) (err error) {
		data, err = s.checkpoint(c, jobID)
		return err
	})
	return data, wrap("load checkpoint", err)
}

func (s *Store) checkpoint(c *sqlconn.Session, jobID int64) ([]byte, error) {
	r, err := c.Exec("SELECT data FROM "+s.schema+".checkpoints WHERE job_id = ?", jobID)
	if err != nil || r.RowNumber() == 0 {
		return nil, err
	}
	var text string
	sc := rowScanner{r: r}
	sc.string(&text)
	return []byte(text), sc.err
}
