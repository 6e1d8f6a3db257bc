package executor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/cluster"
)

// # Changes to the cluster
//
// While it imports, a job changes how the cluster works: stores are in import mode, schedulers
// leave its key ranges alone, garbage collection waits. Each change is noted in the
// cluster before it is made, and forgotten after it has been undone. What is noted and
// not held by the process that runs the job was left behind: by a process that died, or that
// lost its job. It ends by itself after some minutes; every Sluice looks for such
// changes and undoes them sooner.

// tidyInterval is how often changes are looked for that somebody has left behind.
const tidyInterval = 10 * time.Second

// ledger notes the engine's changes in the job store. Where there is none there are no jobs.
type ledger struct{ services *services }

// Note implements cluster.Ledger.
func (l ledger) Note(ctx context.Context, c cluster.Change) error {
	store := l.services.openStore()
	if store == nil {
		return nil
	}
	return store.NoteChange(ctx, c)
}

// Forget implements cluster.Ledger.
func (l ledger) Forget(ctx context.Context, c cluster.Change) error {
	store := l.services.openStore()
	if store == nil {
		return nil
	}
	return store.ForgetChange(ctx, c)
}

// held tells whether a change's owner still looks after it.
func held(c *jobstore.Change) bool {
	switch {
	case processEnded(c.Process):
		return false
	case c.JobID != 0:
		return c.Running
	}
	return !c.Expired
}

// Values of the column State of SHOW and REPAIR IMPORT CLUSTER STATE.
const (
	stateHeld     = "held"
	stateLeft     = "left behind"
	stateRepaired = "put right"
)

// stateColumns are those of SHOW IMPORT CLUSTER STATE and REPAIR IMPORT CLUSTER STATE.
var stateColumns = []Column{
	textColumn("Kind"), textColumn("State"), intColumn("Job_ID"), textColumn("Held_By"), textColumn("Name"), textColumn("Key_Ranges"),
	timeColumn("Taken_Time"), timeColumn("Expires_Time"),
}

// stateRow writes a change as a row of stateColumns.
func stateRow(c *jobstore.Change, state string, zone *time.Location) []Value {
	ranges := make([]string, len(c.Ranges))
	for i, r := range c.Ranges {
		ranges[i] = "[" + hex.EncodeToString(r.Start) + ", " + hex.EncodeToString(r.End) + ")"
	}
	var job *int64
	if c.JobID != 0 {
		job = &c.JobID
	}
	return []Value{
		Value(c.Kind), Value(state), nullableInt(job), textOrNull(c.Instance), textOrNull(c.ID), textOrNull(strings.Join(ranges, " ")),
		timeValue(c.Taken, zone), timeValue(c.Expires, zone),
	}
}

// showClusterState is SHOW IMPORT CLUSTER STATE: all that Sluice has changed in
// the cluster at the moment, for whom, and until when.
func (e *Executor) showClusterState(ctx context.Context, s Session) (*Result, error) {
	in, err := e.clusterState(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: stateColumns}
	for i := range in.changes {
		is := stateLeft
		if held(&in.changes[i]) {
			is = stateHeld
		}
		r.Rows = append(r.Rows, stateRow(&in.changes[i], is, in.zone))
	}
	return r, nil
}

// repairClusterState is REPAIR IMPORT CLUSTER STATE: it undoes what was left
// behind, and shows that. Changes that a running job needs stay.
func (e *Executor) repairClusterState(ctx context.Context, s Session) (*Result, error) {
	in, err := e.clusterState(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: stateColumns}
	for _, c := range left(in.changes) {
		is := stateRepaired
		if err := undo(ctx, in.store, in.engine, in.changes, c); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			is = messageText("failed: " + err.Error())
		}
		r.Rows = append(r.Rows, stateRow(c, is, in.zone))
	}
	return r, nil
}

// clusterState is what the statements about it work on.
type clusterState struct {
	store   *jobstore.Store
	engine  Engine
	changes []jobstore.Change
	zone    *time.Location // of the session
}

// clusterState gathers all changes, for a user with SUPER.
func (e *Executor) clusterState(ctx context.Context, s Session) (in clusterState, err error) {
	state, _, super, err := e.askForJobs(ctx, s)
	if err != nil {
		return in, err
	}
	if !super {
		return in, errNeedsSuper()
	}
	in.zone = state.timeZone
	if in.store, in.engine, err = e.services.get(ctx); err != nil {
		return in, err
	}
	in.changes, err = allChanges(ctx, in.store, in.engine)
	return in, err
}

// allChanges returns what is noted, and behind it what only the cluster knows of.
// What is taken or undone just now is in one of two lists: only what the cluster names before
// and after the notes are read was not noted.
func allChanges(ctx context.Context, store *jobstore.Store, engine Engine) ([]jobstore.Change, error) {
	before, err := engine.Named(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := store.Changes(ctx)
	if err != nil {
		return nil, err
	}
	type key struct{ kind, owner string }
	noted := make(map[key]bool, len(changes))
	for i := range changes {
		noted[key{changes[i].Kind, changes[i].Owner}] = true
	}
	unknown := map[key]bool{}
	for _, c := range before {
		if k := (key{c.Kind, c.Owner}); !noted[k] {
			unknown[k] = true
		}
	}
	if len(unknown) == 0 {
		return changes, nil
	}
	after, err := engine.Named(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range after {
		if unknown[key{c.Kind, c.Owner}] {
			changes = append(changes, jobstore.Change{Change: c, JobID: cluster.OwnersJob(c.Owner), Expired: true})
		}
	}
	return changes, nil
}

// left returns the changes that were left behind.
func left(changes []jobstore.Change) (out []*jobstore.Change) {
	for i := range changes {
		if !held(&changes[i]) {
			out = append(out, &changes[i])
		}
	}
	return out
}

// undo undoes one of the changes, which was left behind, and forgets it.
func undo(ctx context.Context, store *jobstore.Store, engine Engine, changes []jobstore.Change, c *jobstore.Change) error {
	// Stores know import mode and partition ranges without a holder's name. A job that takes
	// them in this moment gets them back with its next renewal.
	if !needed(changes, c) {
		if err := engine.Undo(ctx, c.Change); err != nil {
			return err
		}
	}
	return store.ForgetChange(ctx, c.Change)
}

// needed tells whether a change that was left behind is another one's as well, because the
// cluster doesn't tell them apart.
func needed(changes []jobstore.Change, left *jobstore.Change) bool {
	for i := range changes {
		c := &changes[i]
		if c.Kind != left.Kind || !held(c) {
			continue
		}
		if c.Kind == cluster.LeaseImportMode || c.Kind == cluster.LeasePartitionRange && overlap(c.Ranges, left.Ranges) {
			return true
		}
	}
	return false
}

// overlap tells whether ranges of two lists share keys.
func overlap(a, b []cluster.KeyRange) bool {
	for _, x := range a {
		for _, y := range b {
			if bytes.Compare(x.Start, y.End) < 0 && bytes.Compare(y.Start, x.End) < 0 {
				return true
			}
		}
	}
	return false
}

// tidy undoes what was left behind. All Sluices of a cluster do it; that two do the same
// at a time changes nothing.
func (w *watcher) tidy(ctx context.Context, store *jobstore.Store) {
	if time.Since(w.tidied) < tidyInterval {
		return
	}
	w.tidied = time.Now()
	err := w.undoLeft(ctx, store)
	if err != nil && ctx.Err() == nil {
		w.e.log.Warn("what was left behind in the cluster can't be undone; it ends by itself", zap.Error(err))
	}
}

func (w *watcher) undoLeft(ctx context.Context, store *jobstore.Store) error {
	changes, err := store.Changes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range left(changes) {
		_, engine, err := w.e.services.get(ctx)
		if err != nil {
			return err
		}
		if err = undo(ctx, store, engine, changes, c); err != nil {
			errs = append(errs, err)
			continue
		}
		w.e.log.Info("a change to the cluster that was left behind is undone", zap.String("kind", c.Kind), zap.String("owner", c.Owner),
			zap.Int64("job", c.JobID), zap.String("instance", c.Instance))
	}
	return errors.Join(errs...)
}
