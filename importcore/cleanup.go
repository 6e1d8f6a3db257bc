package importcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/kv"
)

// # Emptying the table after a failed job
//
// A job that is cancelled or fails puts a table that it found empty back to
// empty. The means is TRUNCATE TABLE, with the service account:
//
//   - It takes one change of the schema, whatever the number of rows, where
//     DELETE would take longer than the import did.
//   - Afterwards the table has another id. An ingest that a store still has
//     under way when the job has stopped comes too late to be seen. Deleting key
//     ranges of the living table would lose that race, and its locks and caches
//     know nothing of it (UnsafeDestroyRange is for dropped tables).
//   - TiDB knows how to do it for every kind of table: partitions (for a job into
//     some of them ALTER TABLE ... TRUNCATE PARTITION), global indexes,
//     placement, TTL, TiFlash.
//
// Its price: the service account needs DROP on the table, the table gets a new
// id, its (empty) statistics are forgotten, and TiCDC repeats the TRUNCATE. The
// next AUTO_INCREMENT, AUTO_RANDOM and row ids are put back to what they were.
//
// What others have written meanwhile must not go with it. TiDB has no lock that
// keeps writers away (LOCK TABLES does nothing unless the servers are configured
// for it), so it is proven, before and after: all pairs of the job have one
// commit timestamp that nobody else commits at (cluster.CommitTSO), and the
// records hold no version with another one (cluster.WrittenByOthers). If there
// is one before, the table is left alone and the error says so. TRUNCATE waits
// for the transactions that use the table; one that commits in that moment is
// found afterwards, in the keys of the old id, and the error says how to get its
// rows back (FLASHBACK TABLE, until the garbage collection takes them). The
// second look only asks whether the first one's sum has changed.
//
// Nothing of this is needed, and nothing is read or truncated, when the job ends
// before its first ingest was sent.
//
// The row of the job keeps the table reserved meanwhile; Task.Owned is asked
// right before the TRUNCATE. All of it is bounded by cleanUpLimit and repeating
// it is harmless: a table whose id has changed is not touched.

// cleanUpLimit bounds the clean-up, which goes on after the job's context has ended.
const cleanUpLimit = 10 * time.Minute

// ErrNotOwner says that the job may belong to somebody else by now: neither its
// row nor its table may be written any more. A cause of the task's context and
// the answer of ImportTask.Owned wrap it.
var ErrNotOwner = errors.New("the job is no longer this process's")

// ErrPaused says that the job is to stop here and to be continued later, by this
// process or another. A cause of the task's context wraps it.
var ErrPaused = errors.New("the job is paused")

// Errors of a task with Checkpoints that keep what is done, so that the job can go on when it is over.
var (
	// ErrAway says that a part of the cluster didn't answer for longer than this package waits for it.
	ErrAway = errors.New("a part of the cluster is away")
	// ErrDiskFull says that the disk of the sort directory is full, or that of a store.
	ErrDiskFull = errors.New("there is no room")
)

// awayPause is how long the clean-up waits for a cluster that is away before it asks again.
const awayPause = time.Second

// What the clean-up says of the table, after its name.
const (
	fateEmptied    = "was emptied again"
	fatePartitions = "is as before: its partitions %s were emptied again"
	fateReplaced   = "was truncated, dropped or replaced meanwhile and holds no row of this job"
	adviceEmpty    = ": TRUNCATE it before it is used or imported again"
)

// commitTS decides which timestamp the pairs of the job get, and notes what
// the clean-up has to know if the job fails from now on.
func (r *run) commitTS(ctx context.Context) error {
	task := r.plan.Task
	used, err := r.core.cluster.UsedIDs(ctx, task.DB, task.Table)
	if err != nil {
		return err
	}
	ts, alone, err := r.core.cluster.CommitTSO(ctx)
	r.committed = commit{ts: ts, alone: alone, used: used}
	return err
}

// commit is what is known of the ingest's commit.
type commit struct {
	ts    uint64
	alone bool // nobody else commits at ts
	used  cluster.AutoIDs
}

// cleanUp empties the table after an error, if it may, and sets r.fate.
func (r *run) cleanUp(ctx context.Context) {
	task := r.plan.Task
	switch {
	case r.left == "":
		r.plan.progress.rows.Store(0) // encoded, but nowhere
		r.settled = true
		return
	case r.plan.filled:
		r.fate = "holds, beside the rows that were there before, " + r.left
		if r.sent.Load() {
			r.fate += fmt.Sprintf("; those of this job have the commit timestamp %d", r.committed.ts)
		}
		return
	case task.KeepPartial:
		r.fate = "holds " + r.left + " (keep_partial)"
		if r.left != leftAll {
			r.fate += adviceEmpty
		}
		return
	}
	if errors.Is(context.Cause(ctx), ErrNotOwner) {
		r.fate = r.notEmptied("whoever has taken the job over decides about it")
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), cleanUpLimit, fmt.Errorf("not done within %v", cleanUpLimit))
	defer cancel()
	began := time.Now()
	fate, err := r.empty(ctx)
	for IsAway(ctx, err) {
		r.log.Warn("the table can't be emptied yet", zap.Error(err))
		wait := time.NewTimer(awayPause)
		select {
		case <-wait.C:
			fate, err = r.empty(ctx)
		case <-ctx.Done():
			wait.Stop()
		}
	}
	if err != nil {
		r.log.Error("the table could not be emptied", zap.Error(err))
		r.fate = "holds " + r.left + " and could not be emptied: " + brief(err)
		return
	}
	r.fate = fate
	r.log.Info("the table was cleaned up", zap.String("now", "it "+fate), zap.Duration("took", time.Since(began)))
}

// notEmptied is a reason not to empty the table, which advice may follow.
func (r *run) notEmptied(format string, args ...any) string {
	return "holds " + r.left + " and was not emptied: " + fmt.Sprintf(format, args...)
}

// empty does it and returns what the table is now.
func (r *run) empty(ctx context.Context) (fate string, err error) {
	task, c := r.plan.Task, r.core.cluster
	ctx = r.fenced(ctx)
	if err := r.owned(ctx); err != nil {
		return "", err
	}
	if !r.committed.alone {
		return r.notEmptied("the cluster's timestamps do not tell its rows from others'") + adviceEmpty, nil
	}
	id, ok, err := c.TableID(ctx, task.DB, task.Table)
	if err != nil {
		return "", err
	}
	if !ok || id != r.plan.TableID {
		r.plan.progress.rows.Store(0)
		r.settled = true
		return fateReplaced, nil
	}
	physical, err := r.physicalIDs(ctx)
	if err != nil {
		return "", err
	}
	others, seen, err := c.WrittenByOthers(ctx, physical, r.committed.ts)
	if err != nil {
		return "", err
	}
	if others != "" {
		return r.notEmptied("it also holds or held %s; those of this job have the commit timestamp %d", others, r.committed.ts), nil
	}
	if err := r.owned(ctx); err != nil {
		return "", err
	}
	if len(task.Partitions) > 0 {
		err = c.TruncatePartitions(ctx, task.DB, task.Table, physical)
	} else {
		err = c.Truncate(ctx, task.DB, task.Table, id)
	}
	if err != nil {
		return "", err
	}
	return r.emptied(ctx, physical, seen), nil
}

// emptied looks, after the TRUNCATE, for what went with it beside what was seen
// before, and puts the ids back: those of a table, since the rows of other
// partitions go on using theirs.
func (r *run) emptied(ctx context.Context, physical []int64, seen kv.Checksum) (fate string) {
	task, c := r.plan.Task, r.core.cluster
	r.plan.progress.rows.Store(0)
	r.settled = true
	fate = fateEmptied
	back := fmt.Sprintf("FLASHBACK TABLE %s TO another name brings the old rows back while tikv_gc_life_time lasts", r.plan.target)
	if len(task.Partitions) > 0 {
		fate = fmt.Sprintf(fatePartitions, strings.Join(task.Partitions, ", "))
		back = "SELECT ... AS OF TIMESTAMP shows the old rows while tikv_gc_life_time lasts"
	}
	others, err := c.WrittenSince(ctx, physical, r.committed.ts, seen)
	switch {
	case err != nil:
		fate += fmt.Sprintf("; it is not known whether others wrote to it in that moment (%s); %s", brief(err), back)
	case others != "":
		fate += "; with it went " + others + " in that moment; " + back
	}
	if len(task.Partitions) > 0 {
		return fate
	}
	if err := c.RebaseAutoIDs(ctx, task.DB, task.Table, r.committed.used); err != nil {
		fate += "; its next automatic ids could not be put back: " + brief(err)
	}
	return fate
}

// physicalIDs are the ids under which the records are that the job may have
// written: those of its partitions, or of the table as it is now and as it was
// when the job began.
func (r *run) physicalIDs(ctx context.Context) ([]int64, error) {
	task, was := r.plan.Task, r.plan.target
	if len(task.Partitions) > 0 {
		places, err := was.FindPartitions(task.Partitions)
		if err != nil {
			return nil, err
		}
		var ids []int64
		for _, at := range places {
			ids = append(ids, was.Partitioning().Definitions[at].ID)
		}
		return ids, nil
	}
	now, _, err := r.core.cluster.LoadTable(ctx, task.DB, task.Table)
	if err != nil {
		return nil, err
	}
	ids := append(RecordIDs(was.Info), RecordIDs(now)...)
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// RecordIDs are the ids that the keys of a table's records begin with: its own, or those of its partitions.
func RecordIDs(info *model.TableInfo) []int64 {
	pi := info.GetPartitionInfo()
	if pi == nil {
		return []int64{info.ID}
	}
	var ids []int64
	for _, parts := range [][]model.PartitionDefinition{pi.Definitions, pi.AddingDefinitions, pi.DroppingDefinitions} {
		for i := range parts {
			ids = append(ids, parts[i].ID)
		}
	}
	return ids
}

// owned returns an error unless the job's row is certainly still ours.
func (r *run) owned(ctx context.Context) error {
	if r.plan.Task.Owned == nil {
		return nil
	}
	return r.plan.Task.Owned(ctx)
}

// maxBrief bounds the text of an error inside another one's, in bytes: the
// whole is in the log.
const maxBrief = 400

func brief(err error) string {
	text := err.Error()
	if len(text) > maxBrief {
		text = strings.ToValidUTF8(text[:maxBrief], "") + " ..."
	}
	return text
}
