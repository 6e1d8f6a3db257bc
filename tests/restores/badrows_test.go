package restores_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/restore"
)

// recorded are the records of a job's tables, by their numbers. They outlive a process as the job's table of them does.
type recorded struct {
	mu     sync.Mutex
	tables map[int][]badrows.Record
	names  map[int]restore.Name
}

// of is restore.Task.BadRows.
func (r *recorded) of(number int, name restore.Name) badrows.Sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		r.tables, r.names = map[int][]badrows.Record{}, map[int]restore.Name{}
	}
	r.names[number] = name
	return &recordedOf{r, number}
}

type recordedOf struct {
	*recorded
	number int
}

// Put implements badrows.Sink.
func (r *recordedOf) Put(ctx context.Context, first int64, records []badrows.Record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.tables[r.number]; first != int64(len(have))+1 {
		return fmt.Errorf("record %d behind %d of table %d", first, len(have), r.number)
	}
	r.tables[r.number] = append(r.tables[r.number], records...)
	return nil
}

// Rewind implements badrows.Sink.
func (r *recordedOf) Rewind(_ context.Context, keep int64, _ badrows.Counts) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if keep > int64(len(r.tables[r.number])) {
		return errors.New("records are lost")
	}
	r.tables[r.number] = r.tables[r.number][:keep]
	return nil
}

// lines are all records, table by table.
func (r *recorded) lines(b *bench) (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, records := range r.tables {
		for _, one := range records {
			list = append(list, fmt.Sprintf("%s %s:%d %s %q", r.names[number].Table, strings.TrimPrefix(one.File, b.dir+"/"), one.Line, one.Column, one.Value))
		}
	}
	slices.Sort(list)
	return list
}

// badTables writes tables with bad rows of all kinds: small ones, some of a job that goes on, and one from SQL.
func (b *bench) badTables() (want []string) {
	b.file("$.good-schema.sql", "CREATE TABLE good (a INT PRIMARY KEY)")
	b.file("$.good.csv", "a\n1\n2\n")
	b.file("$.t-schema.sql", "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(3) NOT NULL)")
	var text strings.Builder
	for i := range 300 { // more than a checkpoint's bytes
		if i%100 == 50 {
			fmt.Fprintf(&text, "%d,too long %d\n", i, i)
			want = append(want, fmt.Sprintf("t $.t.1.csv:%d b %q", i+2, fmt.Sprintf("too long %d", i)))
			continue
		}
		fmt.Fprintf(&text, "%d,\"x\"\n", i)
	}
	b.file("$.t.1.csv", "a,b\n"+text.String())
	b.file("$.t.2.csv", "a,b\n1000,x\nnone,y\n1001\n")
	b.file("$.u-schema.sql", "CREATE TABLE u (a INT UNSIGNED, KEY (a))")
	b.file("$.u.sql", "INSERT INTO `u` VALUES (1),\n(-1),\n(2),('x');\n")
	want = append(want, `t $.t.2.csv:3 a "none"`, `t $.t.2.csv:4  "1001"`, `u $.u.sql:2 a "-1"`, `u $.u.sql:3 a "x"`)
	for i := range want {
		want[i] = b.own(want[i])
	}
	slices.Sort(want)
	return want
}

// badTask restores badTables' tables with a limit.
func (b *bench) badTask(limit int64) (restore.Task, *recorded) {
	r := &recorded{}
	task := b.task()
	task.Options.MaxErrors, task.BadRows = limit, r.of
	task.Selection = restore.Selection{Databases: []string{b.name}}
	task.Session.SQLMode = mysql.ModeStrictTransTables
	return task, r
}

// step is from which save of a job to which one tests go on to interrupt it.
func step() int {
	if long() {
		return 1
	}
	return 3
}

// checkGood looks for all good rows.
func (b *bench) checkGood() {
	b.t.Helper()
	require.Equal(b.t, []string{"298|45400"}, b.rows("SELECT COUNT(*), SUM(a) FROM t"))
	require.Equal(b.t, []string{"1", "2"}, b.rows("SELECT a FROM u ORDER BY a"))
	require.Equal(b.t, []string{"2"}, b.rows("SELECT COUNT(*) FROM good"))
	b.exec("ADMIN CHECK TABLE t, u, good")
}

// TestMaxErrors: bad rows of all tables together are left out and recorded up to the limit, and one more ends the job, which leaves nothing.
func TestMaxErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := b.badTables()
	task, r := b.badTask(int64(len(want)) - 1)
	b.fails(task, "more than 6 rows can't be imported (max_errors = 6); the first: ")
	require.Len(t, r.lines(b), len(want), "each that was counted, and the one too many")
	require.Empty(t, b.rows("SHOW TABLES"))

	task, r = b.badTask(int64(len(want)))
	sum := b.restore(task)
	b.checkGood()
	require.Equal(t, want, r.lines(b))
	bad := map[string]int64{}
	for _, table := range sum.PerTable {
		bad[table.To.Table] = table.BadRows
	}
	require.Equal(t, map[string]int64{"good": 0, "t": 5, "u": 2}, bad)
	require.EqualValues(t, 302, sum.Rows)
	b.exec("DROP TABLE good, t, u")

	task, _ = b.badTask(0)
	b.fails(task, "for column")
	require.Empty(t, b.rows("SHOW TABLES"))
}

// TestMaxErrorsInterrupted: wherever a job is killed, or paused, it goes on, its limit counts what was left out before, and each row is
// recorded once.
func TestMaxErrorsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := b.badTables()
	for at, done := 1, false; !done; at += step() {
		task, r := b.badTask(int64(len(want)))
		w := &world{cause: errDied, behind: at%2 == 0, dieAt: at}
		if at%5 == 2 {
			w.cause = importcore.ErrPaused
		}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := b.run(ctx, task)
		kill(nil)
		if done = err == nil; !done {
			require.ErrorIs(t, err, w.cause)
			w.dieAt = 0
			if at%4 == 0 { // another process looks at fewer rows than were left out
				few := task
				few.Options.MaxErrors--
				_, err := b.run(t.Context(), few)
				require.ErrorIs(t, err, importcore.ErrCantGoOn)
			}
			b.restore(task)
		}
		b.checkGood()
		require.Equal(t, want, r.lines(b), at)
		b.exec("DROP TABLE good, t, u")
		require.False(t, done && at < 8)
	}
}

// TestMaxErrorsCountedOn: the limit counts what a run before this one has left out, also of tables that were done then.
func TestMaxErrorsCountedOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := b.badTables()
	for at, done := 2, false; !done; at += step() {
		task, r := b.badTask(int64(len(want)) - 1)
		w := &world{cause: errDied, behind: true, dieAt: at}
		task.Checkpoints = w
		ctx, kill := context.WithCancelCause(t.Context())
		w.kill = kill
		_, err := b.run(ctx, task)
		kill(nil)
		limit := (*badrows.LimitError)(nil)
		if done = errors.As(err, &limit); !done {
			require.ErrorIs(t, err, errDied)
			w.dieAt = 0
			_, err = b.run(t.Context(), task)
			require.ErrorAs(t, err, &limit, at)
		}
		require.Len(t, r.lines(b), len(want))
		require.Empty(t, b.rows("SHOW TABLES"))
		require.False(t, done && at < 4)
	}
}

// TestCaptureInRestore: rows with equal keys are recorded, by table, and don't count towards the limit.
func TestCaptureInRestore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.file("$.a-schema.sql", "CREATE TABLE a (i INT PRIMARY KEY)")
	b.file("$.a.csv", "i\n1\n2\n1\n")
	b.file("$.b-schema.sql", "CREATE TABLE b (i INT PRIMARY KEY)")
	b.file("$.b.csv", "i\n7\n7\n8\n")
	task, r := b.badTask(0)
	task.Options.OnDuplicate = importcore.DuplicateCapture
	b.restore(task)
	require.Equal(t, []string{"2"}, b.rows("SELECT * FROM a"))
	require.Equal(t, []string{"8"}, b.rows("SELECT * FROM b"))
	var want []string
	for _, one := range []string{`a $.a.csv:2 PRIMARY "1"`, `a $.a.csv:4 PRIMARY "1"`, `b $.b.csv:2 PRIMARY "7"`, `b $.b.csv:3 PRIMARY "7"`} {
		want = append(want, b.own(one))
	}
	require.Equal(t, want, r.lines(b))
}
