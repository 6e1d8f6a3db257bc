package restore

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
)

// tableBySQL puts one table right whose rows went in by SQL: rows of the job can't be told from others' there. So a table that
// the job has made is dropped if it holds no more rows than went in, and any other keeps them.
func (a *abandoning) tableBySQL(ctx context.Context, i int, o *object) error {
	job := a.state.SQL.Job
	in, known, err := a.sql.target.Brought(ctx, job, o.DB, o.Name)
	if err != nil {
		return err
	}
	if is, exists := a.exists[lower(o.name())]; !exists || is.Kind != cluster.KindTable {
		return a.forgotten(ctx, o)
	}
	if !o.Own {
		a.keepsRows(o, in, known)
		return a.tellLeftOut(ctx, i, o, &in)
	}
	id, exists, err := a.server.TableID(ctx, o.DB, o.Name)
	if err != nil || !exists {
		return err
	}
	mine, err := a.mine(ctx, o, id)
	switch {
	case err != nil:
		return err
	case !mine && a.r.core == nil:
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("table %s, which others have made", o.name()))
		})
		return nil
	case !mine:
		a.spare(o)
		return nil
	}
	dropped, err := a.dropUnlessMore(ctx, o, in.Rows)
	if err != nil || !dropped {
		return err
	}
	return a.forgotten(ctx, o)
}

// keepsRows notes the rows that stay in a table which was there before.
func (a *abandoning) keepsRows(o *object, in logical.Counts, known bool) {
	rows := in.Rows - in.Ignored
	if o.Done && !known {
		rows = o.Rows
	}
	if rows == 0 && in.Replaced == 0 {
		return
	}
	a.did(func() {
		a.kept = true
		a.left = append(a.left, fmt.Sprintf("table %s with %d rows that the job has brought in", o.name(), rows))
	})
}

// tellLeftOut records the rows that were left out of a table which keeps the others, should an earlier owner of the job not have come to it.
func (a *abandoning) tellLeftOut(ctx context.Context, i int, o *object, in *logical.Counts) error {
	if in.Rejected == 0 || a.task.BadRows == nil {
		return nil
	}
	return a.sql.target.HandOver(ctx, a.state.SQL.Job, o.DB, o.Name, a.task.BadRows(i+1, o.name()))
}

// dropUnlessMore drops a table that the job has made, unless it holds more rows than went in. Where the server can, nobody else writes meanwhile.
func (a *abandoning) dropUnlessMore(ctx context.Context, o *object, in int64) (dropped bool, err error) {
	err = a.sql.target.Use(ctx, func(s *sqlconn.Session) error {
		s.Discard() // perhaps with a lock
		if a.r.core == nil {
			if _, err := s.Exec("LOCK TABLES " + o.name().String() + " WRITE"); err != nil {
				return err
			}
		}
		triggers, err := a.foreignTriggers(s, o)
		if err != nil {
			return err
		}
		if triggers > 0 { // they would go with it
			a.did(func() {
				a.kept = true
				a.left = append(a.left, fmt.Sprintf("table %s, with %d triggers that are not the job's", o.name(), triggers))
			})
			return nil
		}
		n, err := countIn(s, o.name())
		if err != nil {
			return err
		}
		if n > in {
			a.did(func() {
				a.kept = true
				a.left = append(a.left, fmt.Sprintf("table %s, which holds %d rows, %d of them not the job's", o.name(), n, n-in))
			})
			return nil
		}
		_, err = s.Exec("DROP TABLE IF EXISTS " + o.name().String())
		dropped = err == nil
		return err
	})
	if sqlconn.Code(err) != 0 && !fault.IsRetryable(err) {
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("table %s, which could not be dropped (%v)", o.name(), err))
		})
		return false, nil
	}
	if dropped {
		a.did(func() { a.dropped++ })
	}
	return dropped, err
}

// foreignTriggers counts the triggers of a table that the job has made: it makes none itself. TiDB has none.
func (a *abandoning) foreignTriggers(s *sqlconn.Session, o *object) (n int64, err error) {
	if a.r.core != nil {
		return 0, nil
	}
	res, err := s.Exec("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ?", o.DB, o.Name)
	if err != nil {
		return 0, err
	}
	return res.GetInt(0, 0)
}

// holdsPrograms tells whether a database of a server that isn't TiDB holds routines or events, which aren't among its objects: the job makes none.
func (a *abandoning) holdsPrograms(ctx context.Context, db string) (holds bool, err error) {
	if a.r.core != nil {
		return false, nil
	}
	err = a.sql.target.Use(ctx, func(s *sqlconn.Session) error {
		res, err := s.Exec("SELECT (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?) + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?)", db, db)
		if err != nil {
			return err
		}
		n, err := res.GetInt(0, 0)
		holds = n > 0
		return err
	})
	return holds, asked(err, "look for routines and events")
}

// forgotten notes that a table of the job's isn't there any more: should the job be tried again, it is made anew.
func (a *abandoning) forgotten(ctx context.Context, o *object) error {
	if err := a.sql.target.ForgetTable(ctx, a.state.SQL.Job, o.DB, o.Name); err != nil {
		return err
	}
	a.did(func() { o.Made, o.ID, o.Done, o.Rows, o.BadRows = false, 0, false, 0, 0 })
	return nil
}

// Forget removes what the ledger holds of a job that nobody goes on with any more: checkpointed is what it has saved last. What it has restored stays. A job whose
// rows don't go in by SQL has nothing there, and one whose checkpoint is damaged can't be found; that of a newer Sluice is an error.
func (r *Restorer) Forget(ctx context.Context, checkpointed []byte) error {
	s, err := unpack(checkpointed)
	switch {
	case errors.Is(err, checkpoint.ErrVersion):
		return err
	case err != nil:
		r.log.Warn("a job's checkpoint can't be read: the ledger may hold rows of it for ever", zap.Error(err))
		return nil
	case s.SQL == nil:
		return nil
	}
	params := r.account
	params.Connections, params.Patience = 1, inspectPatience
	target, err := logical.Open(ctx, params)
	if err != nil {
		return err
	}
	defer target.Close()
	return target.Forget(ctx, s.SQL.Job)
}

// endBySQL keeps the checkpoint if rows of the job stay behind: tried again, it goes on behind them. Otherwise nothing knows of the job any more.
func (a *abandoning) endBySQL(ctx context.Context) error {
	if a.kept {
		for _, o := range a.state.Objects {
			if o.Own && o.Kind != cluster.KindTable {
				o.Made, o.ID = false, 0
			}
		}
		data, err := a.state.pack()
		if err != nil {
			return err
		}
		return a.task.Checkpoints.Save(ctx, data)
	}
	if err := a.task.Checkpoints.Save(ctx, nil); err != nil {
		return err
	}
	if err := a.sql.target.Forget(ctx, a.state.SQL.Job); err != nil {
		a.r.log.Warn("the ledger still holds a job that was given up", zap.Int64("job", a.task.JobID), zap.Error(err))
	}
	return nil
}
