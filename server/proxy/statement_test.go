package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/server/wire"
)

// ours is an Interceptor whose statements begin with OURS; MAYBE only looks so.
type ours struct {
	run  func(ctx context.Context, session executor.Session) (*executor.Result, error)
	mode chan TextMode
}

func (o *ours) MaybeOurs(text []byte) bool {
	return bytes.HasPrefix(text, []byte("OURS")) || bytes.HasPrefix(text, []byte("MAYBE"))
}

func (o *ours) Recognise(text []byte, mode TextMode) (Statement, error) {
	if o.mode != nil {
		o.mode <- mode
	}
	switch {
	case bytes.HasPrefix(text, []byte("MAYBE")):
		return nil, nil
	case bytes.HasPrefix(text, []byte("OURS invalid")):
		return nil, codedError{}
	}
	return o, nil
}

func (o *ours) Kind() string { return "ours" }

func (o *ours) Run(ctx context.Context, session executor.Session) (*executor.Result, error) {
	return o.run(ctx, session)
}

type codedError struct{}

func (codedError) Error() string { return "inner text" }
func (codedError) MySQLError() (uint16, string, string) {
	return 8163, "HY000", "Unknown option foo"
}

func TestStatementAnswersWithRows(t *testing.T) {
	t.Parallel()
	mode := make(chan TextMode, 1)
	s := newSetup(t, Options{Interceptor: &ours{mode: mode, run: func(_ context.Context, session executor.Session) (*executor.Result, error) {
		if session.ConnectionID() != 42 || session.ClientAddr() == "" {
			return nil, errors.New("wrong session")
		}
		return &executor.Result{
			Columns:  []executor.Column{{Name: "Job_ID", Type: mysql.MYSQL_TYPE_LONGLONG}, {Name: "x", Type: mysql.MYSQL_TYPE_VAR_STRING}},
			Rows:     [][]executor.Value{{executor.Value("7"), nil}, {executor.Value("8"), executor.Value("")}},
			Warnings: 1,
		}, nil
	}}}, obliging(nil))
	c := s.client()
	c.command("\x03OURS\x00")
	require.Equal(t, TextMode{SQLMode: "ANSI_QUOTES", Charset: "utf8mb4"}, <-mode)
	want := wire.AppendColumn(nil, wire.Column{Name: "Job_ID", Type: mysql.MYSQL_TYPE_LONGLONG})
	require.Equal(t, []byte{2}, c.receive())
	require.Equal(t, byte(2), c.seq, "the first packet of the answer follows the command's")
	require.Equal(t, want, c.receive())
	c.receive()
	require.Equal(t, "\x017\xfb", string(c.receive()))
	require.Equal(t, "\x018\x00", string(c.receive()))
	require.Equal(t, wire.AppendEOF(nil, testCaps, wire.OK{Status: wire.StatusAutocommit, Warnings: 1}), c.receive())
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestStatementAnswersOK(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{run: func(context.Context, executor.Session) (*executor.Result, error) {
		return &executor.Result{AffectedRows: 5, Info: "Records: 5"}, nil
	}}}, obliging(nil))
	c := s.client()
	c.command("\x03begin")
	require.Equal(t, okPacket(wire.StatusInTrans), c.receive())
	c.command("\x03OURS")
	ok, err := wire.ParseOK(c.receive(), testCaps)
	require.NoError(t, err)
	require.Equal(t, wire.OK{AffectedRows: 5, Info: "Records: 5", Status: wire.StatusAutocommit | wire.StatusInTrans}, ok,
		"the session's own status is repeated")
}

func TestStatementErrors(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{run: func(context.Context, executor.Session) (*executor.Result, error) {
		return nil, errors.New("plain")
	}}}, obliging(nil))
	c := s.client()
	c.command("\x03OURS")
	require.Equal(t, &mysql.MyError{Code: 1105, State: "HY000", Message: "plain"}, c.receiveErr())
	c.command("\x03OURS invalid")
	require.Equal(t, &mysql.MyError{Code: 8163, State: "HY000", Message: "Unknown option foo"}, c.receiveErr())
	c.command("\x16OURS")
	require.Equal(t, errUnsupportedPS, c.receiveErr())
	c.command("\x16OURS invalid")
	require.Equal(t, uint16(8163), c.receiveErr().Code)
	c.command("\x0e")
	require.Equal(t, okPacket(0), c.receive())
}

func TestMaybeIsForwardedUnchanged(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	mode := make(chan TextMode, 1)
	s := newSetup(t, Options{Interceptor: &ours{mode: mode}}, obliging(seen))
	c := s.client()
	for _, size := range []int{0, pumpBuffer, inspectPooled, wire.MaxPayload - 6, 2*wire.MaxPayload - 6, 2 * wire.MaxPayload} {
		payload := "\x03MAYBE" + string(bytes.Repeat([]byte("."), size))
		c.command(payload)
		<-mode
		require.True(t, payload == <-seen)
		require.Equal(t, okPacket(0), c.receive())
	}
}

func TestLargeTextOfOursIsFound(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{run: func(context.Context, executor.Session) (*executor.Result, error) {
		return &executor.Result{AffectedRows: 77}, nil
	}}}, obliging(nil))
	c := s.client()
	for _, size := range []int{pumpBuffer, inspectPooled, inspectPooled + 1000, wire.MaxPayload - 5, 2*wire.MaxPayload + 1} {
		c.command("\x03OURS" + string(bytes.Repeat([]byte(" "), size)))
		ok, err := wire.ParseOK(c.receive(), testCaps)
		require.NoError(t, err)
		require.Equal(t, uint64(77), ok.AffectedRows)
		c.command("\x0e")
		require.Equal(t, okPacket(0), c.receive())
	}
}

func TestStatementQueriesTheUsersConnection(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	s := newSetup(t, Options{Interceptor: &ours{run: func(ctx context.Context, session executor.Session) (*executor.Result, error) {
		for range 3 {
			if _, err := session.Query(ctx, "use db"); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}}, obliging(seen))
	c := s.client()
	c.command("\x03OURS")
	for range 3 {
		require.Equal(t, "\x03use db", <-seen)
	}
	require.Equal(t, okPacket(0), c.receive(), "no result means OK")
}

// blocked is a statement that tells when it runs and returns when cancelled, with
// its cause on the channel.
func blocked() (o *ours, running chan struct{}, cause chan error) {
	running, cause = make(chan struct{}, 1), make(chan error, 1)
	return &ours{run: func(ctx context.Context, _ executor.Session) (*executor.Result, error) {
		running <- struct{}{}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return nil, ctx.Err()
	}}, running, cause
}

func TestClientLeavesDuringAStatement(t *testing.T) {
	t.Parallel()
	o, running, cause := blocked()
	s := newSetup(t, Options{Interceptor: o}, obliging(nil))
	c := s.client()
	c.command("\x03OURS")
	<-running
	require.NoError(t, c.conn.Close())
	require.ErrorIs(t, <-cause, errClientGone)
}

func TestKillDuringAStatement(t *testing.T) {
	t.Parallel()
	o, running, cause := blocked()
	kill := make(chan struct{})
	s := newSetup(t, Options{Interceptor: o}, func(p *peer) {
		answered := make(chan struct{})
		go func() { obliging(nil)(p); close(answered) }()
		<-kill
		closeQuietly(p.conn)
		<-answered
	})
	c := s.client()
	c.command("\x03OURS")
	<-running
	close(kill)
	require.ErrorIs(t, <-cause, errBackendGone)
	require.Equal(t, &mysql.MyError{Code: 1317, State: "70100", Message: "Query execution was interrupted"}, c.receiveErr())
	c.gone()
}

// TestTiDBGoesAwayDuringAStatement: the statement goes on and is answered; only then the session ends. Its
// client can go away meanwhile.
func TestTiDBGoesAwayDuringAStatement(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{false, true} {
		running, finish, cause := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		o := &ours{run: func(ctx context.Context, session executor.Session) (*executor.Result, error) {
			close(running)
			select {
			case <-ctx.Done():
				cause <- context.Cause(ctx)
				return nil, context.Cause(ctx)
			case <-finish:
			}
			_, err := session.Query(ctx, "SELECT 1")
			cause <- err
			return &executor.Result{}, nil
		}}
		away := make(chan struct{})
		s := newSetup(t, Options{Interceptor: o}, func(p *peer) {
			answered := make(chan struct{})
			go func() { obliging(nil)(p); close(answered) }()
			<-away
			closeQuietly(p.conn)
			<-answered
		})
		c := s.client()
		c.command("\x03OURS")
		<-running
		s.dialer.away.Store(true)
		close(away)
		if leaves {
			require.NoError(t, c.conn.Close())
			require.ErrorIs(t, <-cause, errClientGone)
			continue
		}
		require.Eventually(t, func() bool {
			s.server.mu.Lock()
			defer s.server.mu.Unlock()
			for session := range s.server.mu.sessions {
				session.mu.Lock()
				gone := session.mu.reason != nil
				session.mu.Unlock()
				if gone {
					return true
				}
			}
			return false
		}, patience, time.Millisecond)
		close(finish)
		require.ErrorIs(t, <-cause, errBackendGone)
		require.Equal(t, byte(wire.OKHeader), c.receive()[0])
		c.gone()
	}
}

func TestShutdownDuringAStatement(t *testing.T) {
	t.Parallel()
	o, running, cause := blocked()
	s := newSetup(t, Options{Interceptor: o}, obliging(nil))
	c := s.client()
	c.command("\x03OURS")
	<-running
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.server.Shutdown(ctx), context.Canceled)
	require.ErrorIs(t, <-cause, errDrained)
	require.Equal(t, &mysql.MyError{Code: 1053, State: "08S01", Message: "Server shutdown in progress"}, c.receiveErr())
	c.gone()
}

func TestPanicInAStatementEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{run: func(context.Context, executor.Session) (*executor.Result, error) {
		panic("broken")
	}}}, obliging(nil))
	c := s.client()
	c.command("\x03OURS")
	e := c.receiveErr()
	require.Equal(t, uint16(1105), e.Code)
	require.Contains(t, e.Message, "internal error")
	c.gone()
}

// A query that is given up leaves an answer on its way that must never be taken
// for that of the user's next command.
func TestQueryGivenUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := newSetup(t, Options{Interceptor: &ours{run: func(ctx context.Context, session executor.Session) (*executor.Result, error) {
		ctx, cancel := context.WithCancel(ctx)
		go func() { <-asked; cancel() }()
		_, err := session.Query(ctx, "select sleep(1000)")
		if _, again := session.Query(context.Background(), "select 2"); again == nil {
			return nil, errors.New("the connection was used again")
		}
		return nil, err
	}}}, func(p *peer) {
		p.receive()
		if answerMode(p, 0) == nil {
			p.receive() // the query, which gets no answer
			close(asked)
			_, _ = io.Copy(io.Discard, p.conn)
		}
	})
	c := s.client()
	c.command("\x03OURS")
	require.Equal(t, uint16(1317), c.receiveErr().Code)
	c.gone()
}

func TestKeepAliveDuringAStatement(t *testing.T) {
	t.Parallel()
	seen := make(chan string)
	pinged := make(chan struct{})
	s := newSetup(t, Options{KeepAlive: time.Millisecond, Interceptor: &ours{run: func(ctx context.Context, session executor.Session) (*executor.Result, error) {
		<-pinged
		return nil, nil
	}}}, obliging(seen))
	c := s.client()
	c.command("\x03OURS")
	require.Equal(t, "\x0e", <-seen)
	require.Equal(t, "\x0e", <-seen)
	close(pinged)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.receive()
	}()
	for {
		select {
		case ping := <-seen: // one may be under way
			require.Equal(t, "\x0e", ping)
			continue
		case <-done:
		}
		return
	}
}

func TestPipelinedCommandWaitsForTheStatement(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	seen := make(chan string, 1)
	s := newSetup(t, Options{Interceptor: &ours{run: func(context.Context, executor.Session) (*executor.Result, error) {
		<-release
		return &executor.Result{AffectedRows: 9}, nil
	}}}, obliging(seen))
	c := s.client()
	frame, _ := wire.AppendPacket(nil, []byte("\x03OURS"), 0)
	frame, _ = wire.AppendPacket(frame, []byte("\x03select 1"), 0)
	_, err := c.conn.Write(frame)
	require.NoError(t, err)
	close(release)
	ok, err := wire.ParseOK(c.receive(), testCaps)
	require.NoError(t, err)
	require.Equal(t, uint64(9), ok.AffectedRows)
	require.Equal(t, okPacket(0), c.receive())
	require.Equal(t, "\x03select 1", <-seen)
}

// A statement of ours is found behind whatever else a text holds; TiDB must not
// get it.
func TestOursBehindALargeText(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	o := &anywhere{}
	s := newSetup(t, Options{Interceptor: o}, obliging(seen))
	c := s.client()
	for _, size := range []int{100, inspectPooled, 3 << 20, wire.MaxPayload, 3 * wire.MaxPayload} {
		c.command("\x03INSERT " + string(bytes.Repeat([]byte("x"), size)) + "; OURS")
		require.Equal(t, uint16(8163), c.receiveErr().Code, "%d", size)
	}
	c.command("\x03OURS" + string(bytes.Repeat([]byte("x"), inspectLimit)))
	require.Equal(t, uint16(codePacketTooLarge), c.receiveErr().Code)
	plain := "\x03INSERT " + string(bytes.Repeat([]byte("x"), 80<<20))
	c.command(plain)
	require.True(t, plain == <-seen, "the backend saw something else")
	require.Equal(t, okPacket(0), c.receive())
}

// anywhere finds OURS anywhere and refuses it.
type anywhere struct{}

func (anywhere) MaybeOurs(text []byte) bool { return bytes.Contains(text, []byte("OURS")) }

func (anywhere) Recognise([]byte, TextMode) (Statement, error) { return nil, codedError{} }

// Many sessions may send large texts at once; they get their turn.
func TestLargeTextsShareABudget(t *testing.T) {
	t.Parallel()
	s := newSetup(t, Options{Interceptor: &ours{}}, obliging(nil))
	payload := "\x03INSERT " + string(bytes.Repeat([]byte("x"), wire.MaxPayload-100))
	var sent sync.WaitGroup
	for range 6 { // of which four fit
		c := s.client()
		sent.Add(1)
		go func() {
			defer sent.Done()
			frame, _ := wire.AppendPacket(nil, []byte(payload), 0)
			_, err := c.conn.Write(frame)
			assert.NoError(t, err)
			answer, _, err := wire.ReadPacket(c.conn, 1<<10)
			assert.NoError(t, err)
			assert.Equal(t, okPacket(0), answer)
		}()
	}
	sent.Wait()
	// The last one is given back behind its answer.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.server.largeTexts.Acquire(ctx, largeTextBudget), "all of it is given back")
}

// mysql_close says good-bye before it closes, also in the middle of a statement.
func TestQuitDuringAStatement(t *testing.T) {
	t.Parallel()
	o, running, cause := blocked()
	s := newSetup(t, Options{Interceptor: o}, obliging(nil))
	c := s.client()
	c.command("\x03OURS")
	<-running
	c.command("\x01")
	require.ErrorIs(t, <-cause, errQuit)
	c.gone()
}
