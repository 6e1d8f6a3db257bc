package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/tests/playground/door"
)

// TestSQLConn holds the pool of connections against both kinds of server.
func TestSQLConn(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]database{"TiDB": onTiDB, "MariaDB": onMariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := db(t)
			cfg := sqlconn.Config{Addrs: p.Backends, User: p.User, Password: p.Password, Setup: []string{"SET @x = 'new'"}}
			t.Run("Cut", func(t *testing.T) { t.Parallel(); testCut(t, cfg) })
			t.Run("Reuse", func(t *testing.T) { t.Parallel(); testReuse(t, cfg) })
			t.Run("GivenUp", func(t *testing.T) { t.Parallel(); testGivenUp(t, cfg) })
			wrong := sqlconn.Config{Addrs: p.Backends, User: p.User, Password: "not-this-one"}
			err := sqlconn.New(wrong).Use(t.Context(), func(*sqlconn.Session) error { return nil })
			require.EqualValues(t, 1045, sqlconn.Code(err))
			require.NotContains(t, err.Error(), wrong.Password)
		})
	}
}

// TestAServerThatHangs: a statement without a limit ends when its server hangs, and the next one goes to another server,
// also if there were idle sessions. A server that only takes its time is waited for.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	p := onTiDB(t)
	d, err := door.Listen(t.Context())
	require.NoError(t, err)
	relay := door.Serve(d, p.Backends[0])
	defer func() { require.NoError(t, relay.Close()) }()
	pool := sqlconn.New(sqlconn.Config{Addrs: []string{d.Addr().String(), p.Backends[0]}, User: p.User, Password: p.Password, Silence: 50 * time.Millisecond})
	defer func() { require.NoError(t, pool.Close()) }()
	use := func(sql string) error {
		return pool.Use(t.Context(), func(s *sqlconn.Session) error {
			_, err := s.Exec(sql)
			return err
		})
	}
	require.NoError(t, use("SELECT SLEEP(1)"))
	require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error { // a second idle session
		return use("SELECT 1")
	}))
	started := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- pool.Use(t.Context(), func(s *sqlconn.Session) error {
			close(started)
			_, err := s.Exec("SELECT SLEEP(600)")
			return err
		})
	}()
	<-started
	require.NoError(t, relay.Set(door.Hanging))
	err = <-ended
	require.ErrorContains(t, err, "takes no connections")
	require.True(t, fault.IsRetryable(err))
	require.NoError(t, use("SELECT 1"))
	require.NoError(t, relay.Set(door.Open))
}

// TestDefinitionsWhileOthersChangeTheSchema: a definition that fails says why. TiDB itself says only that the schema has changed when that was done
// by others at that moment, which is seen on other connections meanwhile.
func TestDefinitionsWhileOthersChangeTheSchema(t *testing.T) {
	t.Parallel()
	p, schema := onTiDB(t), sqlconn.QuoteName(newSchema())
	pool := sqlconn.New(sqlconn.Config{Addrs: p.Backends, User: p.User, Password: p.Password, Sessions: 8})
	defer func() { require.NoError(t, pool.Close()) }()
	exec := func(sql string) error {
		return pool.Use(t.Context(), func(s *sqlconn.Session) error {
			_, err := s.Exec(strings.ReplaceAll(sql, "$", schema))
			return err
		})
	}
	require.NoError(t, exec("CREATE DATABASE $"))
	require.NoError(t, exec("CREATE TABLE $.t (a INT)"))
	stop, others := make(chan struct{}), errgroup.Group{}
	for i := range 3 {
		others.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return nil
				default:
				}
				if err := exec(fmt.Sprintf("CREATE TABLE $.other_%d_%d (a INT)", i, n)); err != nil {
					return err
				}
			}
		})
	}
	defer func() {
		close(stop)
		require.NoError(t, others.Wait())
	}()
	plain, err := client.Connect(p.Backends[0], p.User, p.Password, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, plain.Close()) }()
	hidden, tries := 0, 0
	for ; hidden < 2; tries++ {
		_, err := plain.Execute("CREATE TABLE " + schema + ".t (a INT)")
		if sqlconn.Code(err) == 8028 {
			hidden++
		} else {
			require.EqualValues(t, 1050, sqlconn.Code(err), "%v", err)
		}
		err = exec("CREATE TABLE $.t (a INT)")
		require.EqualValues(t, 1050, sqlconn.Code(err), "%v", err)
	}
	t.Logf("%d tries", tries)
}

func ask(t *testing.T, s *sqlconn.Session, sql string, args ...any) string {
	r, err := s.Exec(sql, args...)
	require.NoError(t, err)
	text, err := r.GetString(0, 0)
	require.NoError(t, err)
	return string([]byte(text))
}

// testCut: the end of a context, or the limit, ends a statement also in the server.
func testCut(t *testing.T, cfg sqlconn.Config) {
	pool, sleep := sqlconn.New(cfg), "SELECT SLEEP(600) /* "+newSchema()+" */"
	run := func(s *sqlconn.Session) error {
		_, err := s.Exec(sleep)
		return err
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, stopped)
	defer cancel()
	require.Equal(t, stopped, pool.Use(ctx, run))
	err := pool.UseFor(t.Context(), 100*time.Millisecond, run)
	require.ErrorContains(t, err, "no answer in time")
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has not ended")
	require.NoError(t, pool.Close())
	require.ErrorIs(t, pool.Use(t.Context(), run), net.ErrClosed)
	other := sqlconn.New(cfg)
	defer func() { require.NoError(t, other.Close()) }()
	require.Eventually(t, func() (gone bool) {
		err := other.Use(t.Context(), func(s *sqlconn.Session) error {
			gone = ask(t, s, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = ?", sleep) == "0"
			return nil
		})
		return err == nil && gone
	}, 5*time.Minute, 20*time.Millisecond)
}

// testGivenUp: transactions that are given up at any moment, within statements and between two of them, leave nothing,
// and do the server no harm.
func testGivenUp(t *testing.T, cfg sqlconn.Config) {
	pool := sqlconn.New(cfg)
	defer func() { require.NoError(t, pool.Close()) }()
	table := sqlconn.QuoteName(newSchema()) + ".t"
	exec := func(sql string) {
		require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error {
			_, err := s.Exec(sql)
			return err
		}))
	}
	exec("CREATE DATABASE " + strings.TrimSuffix(table, ".t"))
	exec("CREATE TABLE " + table + " (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
	enough := errors.New("enough")
	for i := range 60 {
		ctx, giveUp := context.WithTimeout(t.Context(), time.Duration(i)*3*time.Millisecond)
		require.Error(t, pool.Transact(ctx, func(s *sqlconn.Session) error {
			for range 50 {
				_, err := s.Exec("INSERT INTO " + table + " (v) WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 900) " +
					"SELECT REPEAT('x', 100) FROM s")
				if err != nil {
					return err
				}
			}
			return enough
		}))
		giveUp()
	}
	require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error {
		require.Equal(t, "0", ask(t, s, "SELECT COUNT(*) FROM "+table))
		return nil
	}))
}

// testReuse: a session is used again unless it was discarded, and a transaction
// that failed is rolled back in it.
func testReuse(t *testing.T, cfg sqlconn.Config) {
	pool := sqlconn.New(cfg)
	defer func() { require.NoError(t, pool.Close()) }()
	schema := sqlconn.QuoteName(newSchema())
	require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error {
		_, err := s.Exec("CREATE DATABASE " + schema)
		_, err2 := s.Exec("CREATE TABLE " + schema + ".t (a INT)")
		return errors.Join(err, err2)
	}))
	require.NotZero(t, sqlconn.Code(pool.Transact(t.Context(), func(s *sqlconn.Session) error {
		_, err := s.Exec("INSERT INTO " + schema + ".t VALUES (1)")
		require.NoError(t, err)
		require.Equal(t, "used", ask(t, s, "SELECT @x := 'used'"))
		_, err = s.Exec("SELECT * FROM nowhere.at_all")
		return err
	})))
	require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error {
		require.Equal(t, "0", ask(t, s, "SELECT COUNT(*) FROM "+schema+".t"))
		require.Equal(t, "used", ask(t, s, "SELECT @x"))
		s.Discard()
		return nil
	}))
	require.NoError(t, pool.Use(t.Context(), func(s *sqlconn.Session) error {
		require.Equal(t, "new", ask(t, s, "SELECT @x"))
		return nil
	}))
}
