// Package e2e runs real clients through the proxy against a real TiDB.
package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/server/proxy"
	"github.com/sluicedb/sluice/server/wire"
	"github.com/sluicedb/sluice/sqlext"
	"github.com/sluicedb/sluice/tests/playground"
)

// scanned recognises texts as the product does, but takes nothing for its own, so
// that everything must reach TiDB unchanged, after a detour for the maybes.
type scanned struct{}

func (scanned) MaybeOurs(text []byte) bool { return sqlext.MaybeOurs(text) }
func (scanned) Recognise([]byte, proxy.TextMode) (proxy.Statement, error) {
	return nil, nil
}

// TestForward holds what needs one and the same TiDB.
func TestForward(t *testing.T) {
	t.Parallel()
	tidb := playground.ForTest(t, playground.Options{}).TiDB
	for name, caps := range map[string]wire.Capability{"modern": modernCaps, "classic": classicCaps} {
		t.Run("SameBytes/"+name, func(t *testing.T) {
			t.Parallel()
			// One after the other: they use the same names, which are in the bytes.
			direct := runScript(t, tidb, "fwd_"+name, caps)
			through := runScript(t, startProxy(t, tidb, scanned{}), "fwd_"+name, caps)
			require.Len(t, through, len(direct))
			for i, want := range direct {
				require.Equal(t, want.String(), through[i].String(), "step %d", i)
				require.Equal(t, want.digest, through[i].digest, "step %d: %s", i, want)
			}
		})
	}
	t.Run("Authentication", func(t *testing.T) { t.Parallel(); testAuthentication(t, tidb) })
	t.Run("Kill", func(t *testing.T) { t.Parallel(); testKill(t, tidb) })
	t.Run("ManyClients", func(t *testing.T) { t.Parallel(); testManyClients(t, tidb) })
}

func runScript(t *testing.T, address, db string, caps wire.Capability) []step {
	t.Helper()
	c, err := connect(t, address, login{caps: caps, user: "root"})
	require.NoError(t, err)
	for _, part := range []func(*rawClient, string){
		scriptStatements, scriptResults, scriptCommands, scriptPrepared, scriptLoadData,
	} {
		part(c, db)
	}
	c.query("drop database " + db)
	c.quit()
	require.False(t, c.follower.Stray())
	return c.record
}

func testAuthentication(t *testing.T, tidb string) {
	address := startProxy(t, tidb, scanned{})
	root, err := connect(t, tidb, login{caps: modernCaps, user: "root"})
	require.NoError(t, err)
	root.query("create user 'fwd_user'@'%' identified with mysql_native_password by 'pa:ss'")
	defer root.query("drop user 'fwd_user'@'%'")

	_, err = connect(t, address, login{caps: modernCaps, user: "fwd_user", password: "pa:ss"})
	require.NoError(t, err)
	_, err = connect(t, address, login{caps: modernCaps, user: "fwd_user", password: "pa:ss", plugin: gomysql.AUTH_CACHING_SHA2_PASSWORD})
	require.NoError(t, err, "the server switches the plugin")
	for _, to := range []string{tidb, address} {
		_, err = connect(t, to, login{caps: modernCaps, user: "fwd_user", password: "wrong"})
		var denied *gomysql.MyError
		require.ErrorAs(t, err, &denied)
		require.Equal(t, &gomysql.MyError{Code: 1045, State: "28000",
			Message: "Access denied for user 'fwd_user'@'127.0.0.1' (using password: YES)"}, denied)
	}
}

// waiting is a statement that waits for its end.
type waiting struct {
	running chan uint64
	ended   chan error
}

func (*waiting) MaybeOurs(text []byte) bool { return strings.HasPrefix(string(text), "WAIT") }
func (w *waiting) Recognise([]byte, proxy.TextMode) (proxy.Statement, error) {
	return w, nil
}
func (*waiting) Kind() string { return "wait" }
func (w *waiting) Run(ctx context.Context, session executor.Session) (*executor.Result, error) {
	res, err := session.Query(ctx, "select connection_id(), database(), 12345678901234567890, null")
	if err != nil {
		return nil, err
	}
	id, err := res.GetUint(0, 0)
	if err != nil {
		return nil, err
	}
	if null, err := res.IsNull(0, 3); err != nil || !null {
		return nil, fmt.Errorf("NULL did not come as NULL: %w", err)
	}
	if _, err = session.Query(ctx, "select * from nowhere.at_all"); !isCode(err, 1146) && !isCode(err, 1049) {
		return nil, fmt.Errorf("unexpected: %w", err)
	}
	w.running <- id
	<-ctx.Done()
	w.ended <- context.Cause(ctx)
	return nil, ctx.Err()
}

func isCode(err error, code uint16) bool {
	var my *gomysql.MyError
	return errors.As(err, &my) && my.Code == code
}

// testKill kills the connection of a statement of ours from another session.
func testKill(t *testing.T, tidb string) {
	w := &waiting{running: make(chan uint64), ended: make(chan error, 1)}
	address := startProxy(t, tidb, w)
	victim, err := connect(t, address, login{caps: modernCaps, user: "root"})
	require.NoError(t, err)
	other, err := connect(t, address, login{caps: modernCaps, user: "root"})
	require.NoError(t, err)
	victim.follower.Begin(wire.ComQuery)
	victim.send(0, []byte("\x03WAIT"))
	id := <-w.running
	require.Equal(t, uint64(victim.connectionID), id, "the id of the greeting is the cluster's")
	other.query(fmt.Sprintf("kill %d", id))
	require.Error(t, <-w.ended)
	victim.read(nil)
	victim.note("killed")
	require.Equal(t, uint16(1317), victim.lastErr(modernCaps).Code)
	_, err = victim.response.ReadFrom(victim.conn)
	require.NoError(t, err)
	require.Zero(t, victim.response.Len(), "the connection is closed behind the error")
}

// testManyClients has a usual driver's clients work side by side.
func testManyClients(t *testing.T, tidb string) {
	address := startProxy(t, tidb, scanned{})
	db, err := sql.Open("mysql", "root@tcp("+address+")/test?interpolateParams=false")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(12)
	_, err = db.Exec("create table fwd_many (id bigint primary key, v varchar(100))")
	require.NoError(t, err)
	var clients errgroup.Group
	for client := range 12 {
		clients.Go(func() error {
			for i := range 40 {
				id, v := client*1000+i, strings.Repeat(fmt.Sprint(client), i)
				if _, err := db.Exec("insert into fwd_many values (?, ?)", id, v); err != nil {
					return err
				}
				var got string
				if err := db.QueryRow("select v from fwd_many where id = ?", id).Scan(&got); err != nil {
					return err
				}
				if got != v {
					return fmt.Errorf("row %d: got %q, want %q", id, got, v)
				}
			}
			return nil
		})
	}
	require.NoError(t, clients.Wait())
	var n int
	require.NoError(t, db.QueryRow("select count(*) from fwd_many").Scan(&n))
	require.Equal(t, 12*40, n)
}
