package logical

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// outcome is what a try of a batch has come to, if it is committed.
type outcome struct {
	counts  Counts
	rejects []reject
	samples []string
}

// flush commits the batch, whose rows end before the block's row next, and begins another one.
func (l *lane) flush(ctx context.Context, block fedBlock, next int32) error {
	b := &l.batch
	b.next = next
	if len(b.ends) == 0 && len(b.rejects) == 0 {
		b.reset(b.form, next)
		return nil
	}
	before := l.row.state.Counts
	var out outcome
	unsure := false
	err := l.target.patiently(ctx, func() error {
		out = outcome{}
		var now *laneRow
		err := l.target.pool.Transact(ctx, func(s *sqlconn.Session) (err error) {
			now, err = l.try(ctx, s, block, unsure, &out)
			return err
		})
		if errors.Is(err, errIsIn) {
			err = nil
		}
		if err == nil {
			l.row = *now
		}
		unsure = true
		return err
	})
	if err != nil {
		return err
	}
	l.keep(before, out)
	b.reset(b.form, next)
	return nil
}

// errIsIn ends a transaction in which there is nothing to do any more: the one before has been committed.
var errIsIn = errors.New("the batch is in the table")

// try brings the batch in, in the transaction of s. It returns the lane's row as it is when that is committed, or, with
// errIsIn, as it is since an earlier try was.
func (l *lane) try(ctx context.Context, s *sqlconn.Session, block fedBlock, unsure bool, out *outcome) (*laneRow, error) {
	if unsure {
		now, err := l.ledger.look(s, l.row)
		if err != nil {
			return nil, err
		}
		if now != nil {
			return now, errIsIn
		}
	}
	b := &l.batch
	out.rejects = append(out.rejects, b.rejects...)
	if err := l.allowed(out); err != nil {
		return nil, err
	}
	if err := l.insert(s, block, 0, len(b.ends), out); err != nil {
		return nil, err
	}
	if err := l.ledger.addRejects(s, out.rejects); err != nil {
		return nil, err
	}
	out.counts.Rejected = int64(len(out.rejects))
	out.counts.Bytes = block.Size() * int64(b.next-b.first) / max(block.Rows, 1)
	next := laneRow{lane: l.row.lane, term: l.row.term, seq: l.row.seq + 1}
	next.state = l.row.state.with(span{File: block.FileIndex, From: block.FirstRow + int64(b.first), To: block.FirstRow + int64(b.next)},
		l.feeder.floor(), out.counts)
	return &next, l.ledger.advance(s, l.row, next.state.encode())
}

// allowed counts the rows that a try of the batch leaves out, as far as an earlier try hasn't, and ends the import when there are too many.
func (l *lane) allowed(out *outcome) error {
	for len(l.counted) < len(out.rejects) {
		most := l.task.ErrorLimit.Most()
		all := l.leftOut(1)
		if all <= most+1 { // or another one has the one too many
			l.counted = append(l.counted, out.rejects[len(l.counted)])
		}
		if all > most {
			return &tooMany{}
		}
	}
	return nil
}

// keep takes what a committed batch has come to.
func (l *lane) keep(before Counts, out outcome) {
	did := l.row.state.Counts // and not out's: an earlier try may have been the one
	did.Rows, did.Bytes, did.Ignored, did.Replaced = did.Rows-before.Rows, did.Bytes-before.Bytes, did.Ignored-before.Ignored, did.Replaced-before.Replaced
	did.Rejected, did.Warnings = did.Rejected-before.Rejected, did.Warnings-before.Warnings
	l.leftOut(did.Rejected - int64(len(l.counted))) // an earlier try may have met others
	l.counted = nil
	l.samples.Lock()
	if room := maxSamples - len(l.samples.texts); room > 0 {
		l.samples.texts = append(l.samples.texts, out.samples[:min(room, len(out.samples))]...)
	}
	l.samples.Unlock()
	if l.task.Committed != nil {
		l.task.Committed(did)
	}
}

// insert brings the batch's rows from lo to hi in. If the server refuses them because of a row, they are divided until
// it is found, before or behind which the others come in their order.
func (l *lane) insert(s *sqlconn.Session, block fedBlock, lo, hi int, out *outcome) error {
	if lo == hi {
		return nil
	}
	res, err := s.Exec(l.batch.sql(lo, hi))
	if err == nil {
		return l.count(s, block, lo, hi, res.AffectedRows, res.Warnings, out)
	}
	switch {
	case isPassing(err) || fault.As(err) != nil || sqlconn.Code(err) == 0:
		return err
	case !isAboutRow(err):
		return fault.Wrap(errors.New(serverText(err)), fault.Cluster, sqlconn.Code(err), "the server refuses rows of table %s", l.task.Table).
			Place(fault.Position{File: block.File.Path, Line: block.FirstLine, Offset: block.Offset})
	case hi-lo == 1:
		return l.badRow(block, lo, err, out)
	}
	parts := [][2]int{{lo, (lo + hi) / 2}, {(lo + hi) / 2, hi}}
	if n := rowNamed(serverText(err)); n > 0 && n <= hi-lo {
		// Of many bad rows each would cost the text of all behind it, if these weren't divided too.
		from, to := lo+n-1, lo+n
		parts = [][2]int{{lo, from}, {from, to}, {to, (to + hi) / 2}, {(to + hi) / 2, hi}}
	}
	for _, part := range parts {
		if err := l.insert(s, block, part[0], part[1], out); err != nil {
			return err
		}
	}
	return nil
}

// count takes the answer to a statement that brought rows in.
func (l *lane) count(s *sqlconn.Session, block fedBlock, lo, hi int, affected uint64, warnings uint16, out *outcome) error {
	n := int64(hi - lo)
	out.counts.Rows += n
	switch l.task.OnDuplicate {
	case DuplicateReplace:
		out.counts.Replaced += max(int64(affected)-n, 0)
	case DuplicateIgnore:
		out.counts.Ignored += max(n-int64(affected), 0)
	default:
		if int64(affected) != n {
			return fault.New(fault.Cluster, 0, "the server says that it has inserted %d rows of %d into table %s", affected, n, l.task.Table)
		}
	}
	if warnings == 0 {
		return nil
	}
	out.counts.Warnings += int64(warnings)
	return l.warned(s, block, lo, hi, out)
}

// warned keeps some of a statement's warnings, with their places. Notes count too: servers have no more to say of decimals that they round.
func (l *lane) warned(s *sqlconn.Session, block fedBlock, lo, hi int, out *outcome) error {
	res, err := s.Exec("SHOW WARNINGS")
	if err != nil {
		return err
	}
	for i := range res.RowNumber() {
		var level, code, message string
		if err := scan(res, i, &level, &code, &message); err != nil {
			return err
		}
		if code == codeUnsafeStatement {
			out.counts.Warnings--
			continue
		}
		if len(out.samples) >= maxSamples {
			continue
		}
		at := fault.Position{File: block.File.Path}
		if n := rowNamed(message); n > 0 && n <= hi-lo {
			found, _, _, err := l.find(block, l.batch.rows[lo+n-1])
			if err != nil {
				return err
			}
			at.Line, at.Offset = found.Line, found.Offset
		}
		out.samples = append(out.samples, fmt.Sprintf("%s (%s)", message, at))
	}
	return nil
}

// badRow takes the server's error about one row. It returns nil if that is left out.
func (l *lane) badRow(block fedBlock, at int, serverErr error, out *outcome) error {
	row := l.batch.rows[at]
	place, fields, text, err := l.find(block, row)
	if err != nil {
		return err
	}
	message, code := serverText(serverErr), sqlconn.Code(serverErr)
	f := fault.New(fault.Source, code, "%s", message).
		Place(fault.Position{File: block.File.Path, Line: place.Line, Offset: place.Offset})
	value := text
	c := l.task.Table.columnNamed(message)
	if c != nil {
		f.At.Column = c.name
		for i, name := range l.batch.form.names {
			if name == c.name && i < len(fields) && !fields[i].Null {
				value = fields[i].Bytes
				f.At.Value = fault.ShortValue(value)
			}
		}
	}
	if !l.task.leavesOut() || isDuplicate(code) {
		return &rowFault{f}
	}
	out.rejects = append(out.rejects, reject{
		file: block.FileIndex, row: block.FirstRow + int64(row), record: badrows.New(c.badClass(code), f, value),
	})
	return l.allowed(out)
}
