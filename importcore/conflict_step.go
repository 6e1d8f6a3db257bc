package importcore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// resolve decides which rows stay, and makes room in a table that has rows.
// Pairs without numbers are known to hold no key twice and to go into an empty table.
func (r *run) resolve(ctx context.Context, sorted *sortkv.Sorted, memory memorySplit) (*content, error) {
	c := &content{sorted: sorted, sum: sorted.Checksum()}
	if !r.numbered {
		return c, nil
	}
	if r.saved.Ingest != nil && r.plan.filled {
		return r.restoreResolved(ctx, c, memory)
	}
	r.enter(StepConflicts)
	cfg := r.decision(sorted, memory)
	rows, done, err := r.openTable(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { done() }()
	if rows != nil {
		cfg.Table = rows
	}
	capture := r.capture()
	defer capture.rows.drop()
	if cfg.Strategy == conflict.Capture {
		if r.bad == nil {
			return nil, fault.New(fault.Sluice, 0, "rows that collide are to be recorded, but there is no sink for them")
		}
		cfg.OnLost = func(found conflict.Collision) error { return capture.record(ctx, found) }
	}
	if c.resolved, err = conflict.Decide(ctx, cfg); err != nil {
		return nil, err
	}
	r.resolved = c.resolved
	if cfg.Strategy == conflict.Find && len(c.resolved.First) > 0 {
		return nil, r.duplicateError(ctx, c.resolved.First[0])
	}
	if err := capture.end(ctx); err != nil {
		return nil, err
	}
	r.plan.progress.looked.Store(lookedDecided)
	if c.sum, err = c.resolved.Checksum(ctx, r.plan.Task.Threads); err != nil {
		return nil, err
	}
	if rows != nil {
		if err = rows.deleteStale(ctx, c.resolved); err != nil {
			return nil, err
		}
		if err = r.sumBefore(ctx); err != nil {
			return nil, err
		}
	}
	r.tellConflicts(ctx, c.resolved)
	return c, context.Cause(ctx)
}

// restoreResolved takes up what a run before this one has decided.
func (r *run) restoreResolved(ctx context.Context, c *content, memory memorySplit) (*content, error) {
	lost, err := conflict.ReadBits(r.lostFile(), r.dir.path, memory.conflicts/16)
	if err != nil {
		return nil, err
	}
	r.resolved = conflict.Restore(c.sorted, lost)
	c.resolved = r.resolved
	r.summary.LostRows, r.summary.Warnings = r.saved.Ingest.LostRows, r.saved.Ingest.Warnings
	c.sum, err = c.resolved.Checksum(ctx, r.plan.Task.Threads)
	return c, err
}

// sumBefore asks for the checksum of the rows that the table has and that stay.
func (r *run) sumBefore(ctx context.Context) (err error) {
	if r.plan.Task.Checksum == ChecksumOff {
		return nil
	}
	r.before, err = r.remoteChecksum(ctx)
	r.plan.progress.tableBytes.Store(int64(r.before.Bytes))
	if err != nil && r.plan.Task.Checksum == ChecksumOptional && ctx.Err() == nil {
		r.warn("the cluster's checksum of the rows that are there is not to be had, so the import will not be verified", err)
		r.unverified = true
		return nil
	}
	return err
}

// leftNone is what the table holds of the job when rows of it were deleted for
// others that aren't there yet.
const leftNone = "no row of this job"

// sayDeleted completes what is left in a table after an error.
func (r *run) sayDeleted() {
	if n := r.summary.DeletedRows; n > 0 || r.moreDeleted {
		r.left += fmt.Sprintf("; %s of the rows that were there before have been deleted, because rows of the source replace them", r.deleted())
	}
}

// deleted is the number of rows of the table that were deleted.
func (r *run) deleted() string {
	if r.moreDeleted {
		return fmt.Sprintf("%d or more", r.summary.DeletedRows)
	}
	return strconv.FormatInt(r.summary.DeletedRows, 10)
}

// strategies are the same ones in both packages.
var strategies = map[OnDuplicate]conflict.Strategy{
	DuplicateError: conflict.Find, DuplicateReplace: conflict.Replace,
	DuplicateIgnore: conflict.Ignore, DuplicateCapture: conflict.Capture,
}

func (r *run) decision(sorted *sortkv.Sorted, memory memorySplit) conflict.Config {
	return conflict.Config{
		Sorted: sorted, Keys: r.uniqueKeys(), Strategy: strategies[r.plan.Task.OnDuplicate],
		Dir: r.dir.path, FS: r.sortFS, MemoryBudget: memory.conflicts, Threads: r.plan.Task.Threads, Logger: r.log,
		Scanned: func(done, parts int) { raise(&r.plan.progress.looked, int64(lookedScanned*done/parts)) },
	}
}

// What is done, in permille, of the step conflicts when all keys have been scanned, and when it is decided
// about all rows; the rest is the sum of those that stay and the deletion of others.
const (
	lookedScanned = 700
	lookedDecided = 800
)

// raise sets a number that several goroutines only raise.
func raise(n *atomic.Int64, to int64) {
	for {
		was := n.Load()
		if was >= to || n.CompareAndSwap(was, to) {
			return
		}
	}
}

// uniqueKeys returns the ranges of keys that two rows can't share: records and
// entries of unique indexes, under every id that the table's keys may lie under.
func (r *run) uniqueKeys() []conflict.KeyRange {
	var keys []conflict.KeyRange
	add := func(prefix []byte, index int) {
		keys = append(keys, conflict.KeyRange{Start: prefix, End: prefixEnd(prefix), Index: index})
	}
	for _, id := range r.plan.encoding.Tables() {
		// Row ids are all different; only somebody else's can be in the way.
		if !r.plan.target.HasRowID() || r.plan.filled {
			add(tablecodec.GenTableRecordPrefix(id), 0)
		}
		for i, idx := range r.plan.target.Indexes() {
			if idx.Unique {
				add(tablecodec.EncodeTableIndexPrefix(id, idx.ID), i+1)
			}
		}
	}
	slices.SortFunc(keys, func(x, y conflict.KeyRange) int { return bytes.Compare(x.Start, y.Start) })
	return keys
}

// prefixEnd returns the first key behind all that start with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, 8)...)
}

// indexName is the name of what conflict.KeyRange.Index numbers.
func (r *run) indexName(index int) string {
	if index == 0 {
		return "PRIMARY"
	}
	return r.plan.target.Indexes()[index-1].Name.O
}

// duplicateError is the error for a row that INSERT would refuse.
func (r *run) duplicateError(ctx context.Context, found conflict.Collision) error {
	rows := r.newRowReader()
	defer rows.drop()
	if err := rows.read(ctx, found.Row); err != nil {
		index, values := r.plan.describeKey(found.Key, nil)
		return fault.Wrap(err, fault.Source, mysql.ErrDupEntry,
			"Duplicate entry '%s' for key '%s.%s': two rows have it, whose places are not to be had", values, r.plan.target.Info.Name.O, index)
	}
	at := rows.position()
	index, values := r.describeConflict(found.Key, rows)
	err := fault.New(fault.Source, mysql.ErrDupEntry, "Duplicate entry '%s' for key '%s.%s'", values, r.plan.target.Info.Name.O, index)
	_ = err.Place(at)
	if found.Other == conflict.TableRow {
		err.Message += ": the table has a row with it, and so does the source"
		return err
	}
	if readErr := rows.read(ctx, found.Other); readErr != nil {
		return readErr
	}
	err.Message += fmt.Sprintf(": the source holds more than one row with it, the first two at %s and at %s", rows.position(), at)
	return err
}

// tellConflicts warns of what was decided, with places for the first few rows
// unless the source can't be read any more, which is no reason to fail now.
func (r *run) tellConflicts(ctx context.Context, result *conflict.Result) {
	var parts []string
	var rows int64
	for i, n := range result.Counts {
		if n.Rows == 0 {
			continue
		}
		rows += n.Rows
		part := fmt.Sprintf("%d rows by %s", n.Rows, r.indexName(i))
		if n.TableRows > 0 {
			part += fmt.Sprintf(" (%d values are the table's)", n.TableRows)
		}
		parts = append(parts, part)
	}
	r.summary.LostRows = result.Lost.Count()
	r.plan.progress.lostRows.Store(r.summary.LostRows)
	if rows == 0 {
		return
	}
	text := fmt.Sprintf("%d conflicted rows were left out (on_duplicate = %s): %s share a value with another row",
		result.Lost.Count(), r.plan.Task.OnDuplicate, strings.Join(parts, ", "))
	if r.summary.DeletedRows > 0 || r.moreDeleted {
		text += fmt.Sprintf("; %s rows of the table were replaced", r.deleted())
	}
	reader := r.newRowReader()
	defer reader.drop()
	for _, c := range result.First {
		told, err := r.tellCollision(ctx, reader, c)
		if err != nil {
			told = "places are not to be had: " + brief(err)
		}
		text += "; " + told
	}
	r.warn(text, nil)
}

// tellCollision says where two rows are and what they share.
func (r *run) tellCollision(ctx context.Context, rows *rowReader, c conflict.Collision) (string, error) {
	if err := rows.read(ctx, c.Row); err != nil {
		return "", err
	}
	index, values := r.describeConflict(c.Key, rows)
	text := fmt.Sprintf("left out %s: %s for key '%s.%s'", rows.position(), fault.ShortValue([]byte(values)), r.plan.target.Info.Name.O, index)
	if c.Other == conflict.TableRow {
		return text + " is in the table", nil
	}
	if err := rows.read(ctx, c.Other); err != nil {
		return "", err
	}
	return text + " is also in " + rows.position().String(), nil
}

// capturer records rows that are left out with Capture.
type capturer struct {
	run  *run
	rows *rowReader
}

func (r *run) capture() *capturer { return &capturer{run: r, rows: r.newRowReader()} }

// record takes lost rows in ascending order.
func (c *capturer) record(ctx context.Context, found conflict.Collision) error {
	if err := c.rows.read(ctx, found.Row); err != nil {
		return err
	}
	index, values := c.run.describeConflict(found.Key, c.rows)
	err := fault.New(fault.Source, mysql.ErrDupEntry, "Duplicate entry '%s' for key '%s.%s'", values, c.run.plan.target.Info.Name.O, index)
	at := c.rows.position()
	at.Column = index
	text := bytes.TrimRight(c.rows.reader.Row(), "\r\n")
	return c.run.bad.Note(ctx, badrows.New(badrows.Conflict, err.Place(at), text))
}

func (c *capturer) end(ctx context.Context) error {
	if c.run.bad == nil {
		return nil
	}
	return c.run.bad.Flush(ctx)
}

// checkStillEmpty makes sure that nobody has written to a table that was empty
// when the job was planned. What is written to one that wasn't shows in the checksum.
func (r *run) checkStillEmpty(ctx context.Context) error {
	if r.plan.filled {
		return nil
	}
	if err := r.core.checkEmpty(ctx, r.plan); err != nil {
		return err
	}
	if r.plan.filled {
		return fault.New(fault.User, codePrecheckFailed, "rows were written to table %s while the source was read: they could not be looked at for conflicts",
			r.plan.target)
	}
	return nil
}

// closeConflicts frees what resolve has left for the ingest.
func (r *run) closeConflicts() error {
	var err error
	if r.resolved != nil {
		err = r.resolved.Close()
	}
	return errors.Join(err, r.blocks.Close())
}
