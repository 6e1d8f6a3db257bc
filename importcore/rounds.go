package importcore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// # Rounds
//
// A job with a disk quota is made in rounds, as many as it takes: the source is encoded until what is sorted
// would take more disk, what is encoded is brought into the table, its runs go, and the rest of the
// source is the next round's. A round begins and ends between two rows. Whoever goes on after an interruption
// finds in the checkpoint where the present one begins; and, once the first of its pairs may have been sent, where it
// ends: it is then encoded up to there, never further, because its pairs are known by their sum. What is
// over is never encoded again.
//
// All rounds commit at the timestamp that was chosen for the first one. So the job's pairs are told from
// others' by one timestamp, however many rounds there were (cleanup.go), and what others may have
// written since then is not hidden by a later round.
//
// Rows that share a key are found within a round, as without rounds. Of rows in two rounds the later one overwrites the
// earlier one's pair. That can't stay unseen: every round's pairs are counted, and the table then holds
// fewer. So the comparison with the cluster's checksum is not left out, whatever the task says, unless the table has no
// key that two rows could share; and rows that stay or go by their keys (OnDuplicate), or are
// compared with rows that were there before, exclude rounds. So do partitions that the task names: automatic ids
// are reserved there when all are known. Such a job has its quota as well, and finds the disk full beyond it (diskquota.go), as
// one with rounds does if a part of the source that is not divided needs more.

// MinDiskQuota is the least that users may ask for, in bytes: blocks of the source, which are not divided
// among rounds, have as much.
const MinDiskQuota = 1 << 20

// divisible tells whether the source may be imported in rounds.
func (t *ImportTask) divisible() bool {
	return t.OnDuplicate == DuplicateError && !t.AllowNonEmpty && len(t.Partitions) == 0
}

// meter tells how much disk the pairs of a round may take. Its methods do nothing on nil.
type meter struct {
	limit int64   // with something left for what is not pairs
	thumb float64 // bytes of pairs for a byte of source, as long as nothing better is known
	// given and encoded are bytes of the source, in this process; made is what became of the encoded
	// ones. held of it lies in the workers' arenas.
	given, encoded, made, held atomic.Int64
}

// give notes a block that goes to the workers.
func (m *meter) give(source int) {
	if m != nil {
		m.given.Add(int64(source))
	}
}

// expect is what the pairs of so many bytes of source may take, and of those that are under way.
func (m *meter) expect(next int) int64 {
	const margin = 1.25
	encoded, made := m.encoded.Load(), m.made.Load()
	ratio := 2 * m.thumb
	if encoded > 0 {
		ratio = margin * float64(made) / float64(encoded)
	}
	return int64(ratio * float64(max(m.given.Load()-encoded, 0)+int64(next)))
}

// weigh notes what a worker has made of a block.
func (w *worker) weigh(source int) {
	if w.meter == nil {
		return
	}
	w.weighArena()
	w.meter.encoded.Add(int64(source))
}

func (w *worker) weighArena() {
	if w.arena == nil {
		return
	}
	more := int64(len(w.arena.Buf) - w.weighed)
	w.weighed = len(w.arena.Buf)
	w.meter.made.Add(more)
	w.meter.held.Add(more)
}

// weighOff notes that the worker has no arena any more.
func (w *worker) weighOff() {
	w.meter.held.Add(-int64(w.weighed))
	w.weighed = 0
}

// beginRound is called where a round begins or is gone on with.
func (r *run) beginRound() {
	r.end = nil
	if in := r.saved.Ingest; in != nil {
		r.end = in.End
	}
	r.meter = nil
	if quota := r.plan.Task.DiskQuota; quota > 0 && r.saved.Ingest == nil && r.plan.Task.divisible() {
		r.meter = &meter{limit: quota - quota/16, thumb: thumb(r.plan.encoding.PairsPerRow() - 1)}
	}
}

// full tells whether a block is for the next round. When that may be so the workers rest, so that it is
// certain. A round has one block at least.
func (f *feeder) full(ctx context.Context, next int) (bool, error) {
	m := f.meter
	switch {
	case m == nil, f.next.Row == f.saved.Begin().Next.Row:
		return false, nil
	case !f.due.never && closed(f.pausing): // the block is behind a checkpoint, with which the job ends
		return false, nil
	case f.sorter.Held()+m.held.Load()+m.expect(next) <= m.limit:
		return false, nil
	}
	over, err := f.rest(ctx)
	defer over()
	if err != nil || f.bad.found() || f.sorter.Checksum().Pairs == 0 {
		return false, err
	}
	return f.sorter.Held()+m.expect(next) > m.limit, nil
}

// ended tells whether nothing of a file is to be read.
func (f *feeder) ended(file int) bool {
	return f.over || f.until != nil && (f.next == *f.until || file > f.until.File)
}

// cut takes from a block what lies behind the place where the round ended before. It
// returns false if that is all of it.
func (f *feeder) cut(block *format.Block) bool {
	if f.until == nil || block.FileIndex < f.until.File {
		return true
	}
	end := f.until.At
	if block.FileIndex > f.until.File || block.Offset >= end.Offset {
		return false
	}
	if n := end.Offset - block.Offset; n < int64(len(block.Data)) {
		block.Data, block.Rows = block.Data[:n], end.Row-block.FirstRow
	}
	return true
}

// reached notes where the encoding has ended.
func (r *run) reached(f *feeder) error {
	switch {
	case f.over:
		at := f.next
		r.end = &at
	case f.until != nil && f.next.Row != f.until.Row:
		return fault.New(fault.Source, 0, "the source does not give the rows any more that it gave before the job was interrupted "+
			"(%d, now %d)", f.until.Row, f.next.Row)
	case f.until != nil:
		f.next = *f.until
	}
	if r.end != nil {
		r.plan.progress.round.Store(r.roundsBefore() + 1)
	}
	return nil
}

// tallied takes what the encoders know, at the end of a round.
func (r *run) tallied(t *tally) {
	r.counted = t
	r.ids = cluster.AutoIDs(t.maxIDs())
	if r.end == nil {
		t.tell(r)
	}
}

// nextRound makes what the present round has brought in part of what is over, and begins another one.
func (r *run) nextRound(ctx context.Context, memory memorySplit) error {
	begin := checkpoint.Encoded{
		Next: *r.end, IDs: encode.MaxIDs(r.ids), Rows: r.plan.progress.rows.Load(), SourceBytes: r.plan.progress.sourceBytes.Load(),
	}
	begin.Warnings, begin.Warned = r.counted.warningsSoFar()
	var err error
	if r.bad != nil {
		if begin.Bad, err = r.bad.Progress(ctx); err != nil {
			return err
		}
	}
	if r.durable() {
		if err := r.dir.keep(r.core.cluster.ID()); err != nil {
			return err
		}
		begin.Dir = r.dir.path
	}
	rounds := checkpoint.Rounds{
		Count: int(r.roundsBefore()) + 1, Begin: begin, Sum: r.summary.Local, Spilled: r.summary.SpilledBytes, Warnings: slices.Clone(r.summary.Warnings),
		CommitTS: r.committed.ts, Alone: r.committed.alone, Used: encode.MaxIDs(r.committed.used),
	}
	before := r.saved
	r.saved.Rounds, r.saved.Encoded, r.saved.Ingest = &rounds, begin, nil
	r.plan.progress.round.Store(int64(rounds.Count) + 1)
	r.plan.progress.roundsBytes.Store(int64(rounds.Sum.Bytes))
	r.log.Info("checkpoint", zap.Int64("rows", begin.Rows), zap.Int64("source_bytes", begin.SourceBytes), zap.Int("rounds", rounds.Count))
	if r.durable() {
		if err := r.save(ctx); err != nil {
			r.saved = before // it may be what the job goes on from, and needs its runs
			return err
		}
	}
	return r.sortAnew(memory)
}

// sortAnew frees what the round that is over has sorted.
func (r *run) sortAnew(budget memorySplit) (err error) {
	memory, disk := r.sorter.Waits()
	r.plan.progress.sorter.Store(nil)
	r.plan.progress.memoryWait.Add(int64(memory))
	r.plan.progress.sorterWait.Add(int64(disk))
	r.cleaned(r.sorter.Close())
	if r.plan.Task.MaxErrors > 0 { // blocks are numbered from the beginning again
		r.bad = r.bad.Again()
	}
	if r.sorter, err = sortkv.New(r.sortOptions(budget)); err == nil {
		r.plan.progress.sorter.Store(r.sorter)
	}
	return err
}

// dropRounds removes from the job's sort directory what rounds before the present one have left there.
func (r *run) dropRounds(present string) error {
	entries, err := os.ReadDir(r.dir.path)
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), sortkv.DirPrefix) && e.Name() != present {
			err = errors.Join(err, os.RemoveAll(filepath.Join(r.dir.path, e.Name())))
		}
	}
	return err
}

// restoreRounds takes up the rounds that a run before this one has ended.
func (r *run) restoreRounds() {
	over := r.saved.Rounds
	if over == nil {
		return
	}
	r.committed = commit{ts: over.CommitTS, alone: over.Alone, used: cluster.AutoIDs(over.Used)}
	r.ids = cluster.AutoIDs(over.Begin.IDs)
	r.left = leftPart
	r.sent.Store(true)
	r.summary.Warnings = slices.Clone(over.Warnings)
	r.plan.progress.round.Store(int64(over.Count) + 1)
	r.plan.progress.roundsBytes.Store(int64(over.Sum.Bytes))
	r.plan.progress.sent.Store(int64(over.Sum.Bytes))
	r.plan.progress.ingested.Store(int64(over.Sum.Bytes))
}

// countFrom makes the progress that of a checkpoint.
func (r *run) countFrom(e *checkpoint.Encoded) {
	r.plan.progress.resume(e.Rows, e.SourceBytes, int64(e.Next.File), r.total(e.Runs.Checksum), r.spilledBefore()+e.Runs.Spilled())
}

// settle notes in the progress that pairs with this sum are ingested next, and whether these are the last ones.
func (r *run) settle(sum kv.Checksum, last bool) {
	all := r.total(sum)
	r.plan.progress.settle(int64(all.Pairs), int64(all.Bytes), last)
}

// total adds the pairs of the rounds that are over to a sum.
func (r *run) total(sum kv.Checksum) kv.Checksum {
	if r.saved.Rounds != nil {
		sum.Merge(r.saved.Rounds.Sum)
	}
	return sum
}

// roundsBefore is the number of rounds that are over.
func (r *run) roundsBefore() int64 {
	if r.saved.Rounds == nil {
		return 0
	}
	return int64(r.saved.Rounds.Count)
}

// spilledBefore is what the rounds that are over have written to the disk, in bytes.
func (r *run) spilledBefore() int64 {
	if r.saved.Rounds == nil {
		return 0
	}
	return r.saved.Rounds.Spilled
}

// mayCollide tells whether rows of different rounds may share a key, which only the table's checksum would show.
func (r *run) mayCollide() bool { return r.saved.Rounds != nil && len(r.uniqueKeys()) > 0 }

// collided is the error for a table that holds fewer pairs than the rounds have brought in.
func (r *run) collided(local, remote kv.Checksum) error {
	return fault.New(fault.Source, mysql.ErrDupEntry, "rows in different parts of the source share a key: the table holds %d pairs, the source has made %d; "+
		"because of disk_quota it was imported in %d parts, and only rows of one part that share a key are named: a larger disk_quota, or none, "+
		"names these", remote.Pairs, local.Pairs, r.saved.Rounds.Count+1)
}
