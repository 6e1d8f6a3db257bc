package logical_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/tests/playground/door"
	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// noKeys is a table in which nothing but the ledger keeps doubles out.
const noKeys = "CREATE TABLE t (id INT, v VARCHAR(100))"

// exactly requires the rows of numbered(1, n, …) in t, each once.
func (s *server) exactly(n int) {
	s.t.Helper()
	require.Equal(s.t, []string{fmt.Sprintf("%d|%d|1|%d", n, n, n)}, s.rows("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM t"))
}

// verb is a command's first word.
func verb(c sqlrelay.Command) string {
	if c.Op != mysql.COM_QUERY {
		return ""
	}
	word, _, _ := strings.Cut(c.Text, " ")
	return word
}

// TestCutAtEachStatement: the connection breaks before a statement has reached the server, or when it has been run and its
// answer is under way, at each batch in turn.
func TestCutAtEachStatement(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		src := newSource(t, []string{"id", "v"}, numbered(1, 240, 30))
		for _, at := range []string{"COMMIT", "INSERT", "UPDATE", "BEGIN"} {
			for _, answered := range []bool{false, true} {
				for _, lanes := range []int{1, 3} {
					if lanes > 1 && at != "COMMIT" {
						continue
					}
					s.exec("DROP TABLE IF EXISTS t", noKeys)
					var mu sync.Mutex
					cut, hits := map[int]bool{}, 0
					// Every other one: the next try must come to an end.
					due := func(c sqlrelay.Command) bool {
						if verb(c) != at || at == "INSERT" && !strings.Contains(c.Text, "`t`") { // a claim makes several ledger rows
							return false
						}
						mu.Lock()
						defer mu.Unlock()
						hits++
						cut[hits] = hits%2 == 0
						return cut[hits]
					}
					relay := sqlrelay.Start(t, s.addr, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
						if !due(c) {
							return true, nil
						}
						return answered, func() bool { return false }
					})
					target := s.open(relay.Addr().String(), atonce)
					task := s.task(target, "t", src)
					task.BatchRows, task.Lanes, task.BatchBytes = 20, lanes, 4000
					sum, err := target.Import(t.Context(), task)
					require.NoError(t, err)
					require.EqualValues(t, 240, sum.Rows)
					require.Greater(t, hits, 12)
					s.exactly(240)
					require.NoError(t, relay.Close())
				}
			}
		}
	})
}

// TestInterrupted: an import is cut off at random moments, again and again, and gone on with, as a process that was killed is.
func TestInterrupted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(noKeys)
		const rows = 3000
		var texts []string
		for i := range 6 {
			texts = append(texts, numbered(i*rows/6+1, (i+1)*rows/6, 30))
		}
		src := newSource(t, []string{"id", "v"}, texts...)
		name := job()
		random := rand.New(rand.NewPCG(1, 2))
		for run := 0; ; run++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			killed := errors.New("killed")
			left := atomic.Int64{}
			left.Store(int64(random.IntN(60) + 10))
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
				var table *logical.Table
				if table, err = target.Table(ctx, s.name, "t"); err == nil {
					_, err = target.Import(ctx, logical.Task{Job: name, Table: table, Source: src, BatchRows: 50, BatchBytes: 20 << 10, Lanes: 1 + run%4})
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
		s.exactly(rows)
	})
}

// TestZombie: a process that stood still with a COMMIT in its hands, while another one took its job over, changes nothing.
func TestZombie(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(noKeys)
		src := newSource(t, []string{"id", "v"}, numbered(1, 300, 30))
		commits := atomic.Int64{}
		held, release := make(chan struct{}), make(chan struct{})
		relay := sqlrelay.Start(t, s.addr, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
			if verb(c) == "INSERT" && strings.Contains(c.Text, "`t`") && commits.Add(1) == 3 {
				close(held)
				<-release
			}
			return true, nil
		})
		first := s.open(relay.Addr().String(), atonce)
		task := s.task(first, "t", src)
		task.BatchRows, task.Lanes = 50, 1
		ended := make(chan error, 1)
		go func() {
			_, err := first.Import(t.Context(), task)
			ended <- err
		}()
		<-held
		second := s.open("", atonce)
		_, err := second.Import(t.Context(), task)
		require.NoError(t, err)
		s.exactly(300)
		close(release)
		require.ErrorIs(t, <-ended, logical.ErrFenced)
		s.exactly(300)
	})
}

// TestLedgerGone: an import whose ledger was removed ends instead of beginning again.
func TestLedgerGone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec(noKeys)
		target := s.open("", atonce)
		task := s.task(target, "t", newSource(t, []string{"id", "v"}, numbered(1, 300, 30)))
		task.BatchRows, task.Lanes = 50, 1
		once := sync.Once{}
		task.Committed = func(logical.Counts) {
			once.Do(func() { require.NoError(t, target.Forget(t.Context(), task.Job)) })
		}
		_, err := target.Import(t.Context(), task)
		require.ErrorContains(t, err, "are gone")
		require.Equal(t, []string{"50"}, s.rows("SELECT COUNT(*) FROM t"))
		task.Begun = true
		_, err = target.Import(t.Context(), task)
		require.ErrorContains(t, err, "are gone")
		task.Begun, task.Basis = false, "other"
		_, err = target.Import(t.Context(), task)
		require.NoError(t, err)
		task.Basis = "changed"
		_, err = target.Import(t.Context(), task)
		require.ErrorIs(t, err, logical.ErrBasis)
	})
}

// TestServerGoesBack: a server that fails over to a replica without its last transactions gets their rows again, and no others.
func TestServerGoesBack(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	s.exec(noKeys)
	target := s.open("", atonce)
	task := s.task(target, "t", newSource(t, []string{"id", "v"}, numbered(1, 500, 30)))
	task.BatchRows, task.Lanes = 50, 1
	n := 0
	var was []string
	task.Committed = func(logical.Counts) {
		switch n++; n {
		case 3: // the state that the replica has
			was = s.rows("SELECT seq, state FROM sluice.logical_ledger WHERE job = '" + task.Job + "'")
		case 6:
			seq, state, _ := strings.Cut(was[0], "|")
			_, err := s.db.ExecContext(t.Context(), "UPDATE sluice.logical_ledger SET seq = ?, state = ? WHERE job = ?", seq, state, task.Job)
			require.NoError(t, err)
			s.exec("DELETE FROM t WHERE id > 150")
		}
	}
	sum, err := target.Import(t.Context(), task)
	require.NoError(t, err)
	require.EqualValues(t, 500, sum.Rows)
	require.Equal(t, 6+7, n)
	s.exactly(500)
}

// TestCancelIsQuick: a cancelled import returns although its batch waits for a lock, and leaves nothing of it.
func TestCancelIsQuick(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100))")
		tx, err := s.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "INSERT INTO t VALUES (7, 'mine')")
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("cancelled")
		relay := sqlrelay.Start(t, s.addr, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
			if verb(c) == "INSERT" && strings.Contains(c.Text, "`t`") {
				cancel(stop)
			}
			return true, nil
		})
		target := s.open(relay.Addr().String(), atonce)
		_, err = target.Import(ctx, s.task(target, "t", newSource(t, []string{"id", "v"}, numbered(1, 10, 3))))
		require.ErrorIs(t, err, stop)
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"7|mine"}, s.rows("SELECT * FROM t"))
	})
}

// TestServerAway: a server that is away for longer than the patience is an error that may pass, and the job goes on from there.
func TestServerAway(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	s.exec(noKeys)
	d, err := door.Listen(t.Context())
	require.NoError(t, err)
	relay := door.Serve(d, s.addr)
	t.Cleanup(func() { require.NoError(t, relay.Close()) })
	p := atonce
	p.Patience = 1
	target := s.open(d.Addr().String(), p)
	task := s.task(target, "t", newSource(t, []string{"id", "v"}, numbered(1, 500, 30)))
	task.BatchRows, task.Lanes = 50, 2
	once := sync.Once{}
	task.Committed = func(logical.Counts) { once.Do(func() { require.NoError(t, relay.Close()) }) }
	_, err = target.Import(t.Context(), task)
	require.ErrorContains(t, err, "could not be written to")
	task.Committed, task.Begun = nil, true
	_, err = s.open("", atonce).Import(t.Context(), task)
	require.NoError(t, err)
	s.exactly(500)
}
