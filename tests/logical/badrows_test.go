package logical_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// spoiled is rows from from to to, each twentieth of which the server refuses, and each fiftieth of which has no end. bad are the lines of these.
func spoiled(from, to int) (text string, bad []int64) {
	var b strings.Builder
	for n := from; n <= to; n++ {
		switch {
		case n%50 == 49:
			fmt.Fprintf(&b, "%d\n", n)
		case n%20 == 3:
			fmt.Fprintf(&b, "%d,%s\n", n, strings.Repeat("long", 5))
		default:
			fmt.Fprintf(&b, "%d,fine\n", n)
			continue
		}
		bad = append(bad, int64(n-from+1))
	}
	return b.String(), bad
}

// lines are where a sink's records stand, and of which file.
func (s *sink) lines(file string) (lines []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if strings.HasSuffix(r.File, file) {
			lines = append(lines, r.Line)
		}
	}
	return lines
}

const spoiledTable = "CREATE TABLE t (id INT, v VARCHAR(10))"

// TestBadRowsInterrupted: wherever an import with bad rows is cut off, each of these is recorded once, in the order of the files, and each other row is there once.
func TestBadRowsInterrupted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(spoiledTable)
		first, bad0 := spoiled(1, 400)
		second, bad1 := spoiled(401, 700)
		src := newSource(t, []string{"id", "v"}, first, second)
		src.recover = true
		kept := &sink{}
		task := logical.Task{Job: job(), Source: src, MaxErrors: int64(len(bad0) + len(bad1)), BadRows: kept, BatchRows: 60, BatchBytes: 4 << 10}
		killed := errors.New("killed")
		for run := 0; ; run++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			left := atomic.Int64{}
			left.Store(int64(60 + 25*(run%6)))
			relay := sqlrelay.Start(t, s.addr, func(sqlrelay.Command) (bool, sqlrelay.Answered) {
				if left.Add(-1) == 0 {
					cancel(killed)
				}
				return left.Load() >= 0, func() bool { return left.Load() >= 0 }
			})
			p := atonce
			p.Addrs, p.User, p.Password = []string{relay.Addr().String()}, s.user, s.password
			target, err := logical.Open(ctx, p)
			if err == nil {
				if task.Table, err = target.Table(ctx, s.name, "t"); err == nil {
					task.Lanes = 1 + run%3
					_, err = target.Import(ctx, task)
				}
				target.Close()
			}
			cancel(nil)
			require.NoError(t, relay.Close())
			if err == nil {
				require.Greater(t, run, 2)
				break
			}
			require.ErrorIs(t, err, killed)
		}
		require.Equal(t, bad0, kept.lines("f000.csv"))
		require.Equal(t, bad1, kept.lines("f001.csv"))
		require.Len(t, kept.records, len(bad0)+len(bad1))
		require.Equal(t, []string{fmt.Sprint(700 - len(kept.records))}, s.rows("SELECT COUNT(*) FROM t WHERE v = 'fine'"))
		require.Empty(t, s.rows("SELECT id FROM t GROUP BY id HAVING COUNT(*) > 1"))
	})
}

// TestBadRowsShared: the limit is one for several imports, it knows what an earlier run has left out, and what is left out is told also when an import stops.
func TestBadRowsShared(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(spoiledTable, "CREATE TABLE u LIKE t")
		text, bad := spoiled(1, 300)
		src := newSource(t, []string{"id", "v"}, text)
		src.recover = true
		target := s.open("", atonce)
		most := int64(2*len(bad) - 1)
		first, second := &sink{}, &sink{}
		limit := badrows.NewLimit(most)
		task, other := s.task(target, "t", src), s.task(target, "u", src)
		other.Job = task.Job
		task.ErrorLimit, task.BadRows, task.BatchRows, task.Lanes = limit, first, 40, 1
		other.ErrorLimit, other.BadRows, other.BatchRows, other.Lanes = limit, second, 40, 1

		// One that stops in the middle tells what it has left out.
		ctx, stop := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		n := 0
		task.Committed = func(logical.Counts) {
			if n++; n == 4 {
				stop(stopped)
			}
		}
		_, err := target.Import(ctx, task)
		require.ErrorIs(t, err, stopped)
		told := first.lines("f000.csv")
		require.Equal(t, bad[:len(told)], told)
		require.GreaterOrEqual(t, len(told), 5)

		// Gone on with, by a process that doesn't know of it, both have one row too many.
		limit = badrows.NewLimit(most)
		task.ErrorLimit, other.ErrorLimit, task.Committed = limit, limit, nil
		sum, err := target.Import(t.Context(), task)
		require.NoError(t, err)
		require.EqualValues(t, len(bad), sum.Rejected)
		require.Equal(t, bad, first.lines("f000.csv"))
		_, err = target.Import(t.Context(), other)
		var many *badrows.LimitError
		require.ErrorAs(t, err, &many)
		require.EqualValues(t, most, many.Limit)
		require.Len(t, many.First, 5)
		require.Equal(t, bad, second.lines("f000.csv"), "the one too many is recorded")
		require.Equal(t, bad[0], many.First[0].Line)

		// Both again: the ledger knows how many there were.
		limit = badrows.NewLimit(most)
		task.ErrorLimit, other.ErrorLimit = limit, limit
		for _, again := range []logical.Task{task, other} {
			if _, err = target.Import(t.Context(), again); err != nil {
				break
			}
		}
		require.ErrorAs(t, err, &many)
		require.Equal(t, bad, second.lines("f000.csv"))
		other.ErrorLimit = badrows.NewLimit(most + 1)
		_, err = target.Import(t.Context(), other)
		require.NoError(t, err)
		want := []string{fmt.Sprintf("%d|%d", 300-len(bad), 300-len(bad))}
		require.Equal(t, want, s.rows("SELECT (SELECT COUNT(*) FROM t), (SELECT COUNT(DISTINCT id) FROM u)"))
		slices.Sort(told)
		handed := &sink{}
		require.NoError(t, target.HandOver(t.Context(), task.Job, s.name, "u", handed))
		require.Equal(t, bad, handed.lines("f000.csv"))
	})
}

// TestAllBad: a batch of bad rows alone costs less than its square.
func TestAllBad(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(spoiledTable)
		const rows = 300
		src := newSource(t, []string{"id", "v"}, strings.Repeat("1,"+strings.Repeat("long", 5)+"\n", rows))
		sent := atomic.Int64{}
		relay := sqlrelay.Start(t, s.addr, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
			if verb(c) == "INSERT" && strings.Contains(c.Text, "`t`") {
				sent.Add(int64(len(c.Text)))
			}
			return true, nil
		})
		t.Cleanup(func() { require.NoError(t, relay.Close()) })
		target := s.open(relay.Addr().String(), atonce)
		task := s.task(target, "t", src)
		kept := &sink{}
		task.MaxErrors, task.BadRows, task.Lanes = rows, kept, 1
		sum, err := target.Import(t.Context(), task)
		require.NoError(t, err)
		require.EqualValues(t, rows, sum.Rejected)
		require.Len(t, kept.records, rows)
		require.Less(t, sent.Load(), int64(20*rows*100), "about the logarithm of the rows times their text")
	})
}
