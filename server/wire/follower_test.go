package wire

import (
	"fmt"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
)

// script is a response under construction.
type script struct {
	caps Capability
	seq  byte
	out  []byte
}

func newScript(caps Capability) *script { return &script{caps: caps, seq: 1} }

func (s *script) raw(payload []byte) *script {
	s.out, s.seq = AppendPacket(s.out, payload, s.seq)
	return s
}
func (s *script) text(payload string) *script { return s.raw([]byte(payload)) }
func (s *script) ok(status Status) *script    { return s.raw(AppendOK(nil, s.caps, OK{Status: status})) }
func (s *script) end(status Status) *script   { return s.raw(AppendEOF(nil, s.caps, OK{Status: status})) }
func (s *script) err() *script {
	return s.raw(AppendErr(nil, s.caps, &mysql.MyError{Code: 1064, State: "42000", Message: "a rather long message, longer than the prefix"}))
}
func (s *script) metaEnd(status Status) *script {
	if s.caps.Has(ClientDeprecateEOF) {
		return s
	}
	return s.end(status)
}
func (s *script) columns(n int) *script {
	s.raw(AppendLenencInt(nil, uint64(n)))
	return s.defs(n)
}
func (s *script) defs(n int) *script {
	for range n {
		s.raw(AppendColumn(nil, Column{Name: "c"}))
	}
	return s
}
func (s *script) rows(n int) *script {
	for i := range n {
		s.raw(AppendTextRow(nil, [][]byte{[]byte(fmt.Sprint(i)), nil}))
	}
	return s
}

// big is a row whose first value makes it start with 0xfe.
func (s *script) big() *script {
	return s.raw(AppendTextRow(nil, [][]byte{make([]byte, MaxPayload+100)}))
}

var followed = []struct {
	name   string
	cmd    Command
	build  func(*script)
	status Status
	code   uint16
}{
	{"ping", ComPing, func(s *script) { s.ok(StatusAutocommit) }, StatusAutocommit, 0},
	{"use, refused", ComInitDB, func(s *script) { s.err() }, 0, 1064},
	{"statistics", ComStatistics, func(s *script) { s.text("Uptime: 3") }, 0, 0},
	{"set option", ComSetOption, func(s *script) { s.end(0) }, 0, 0},
	{"empty answer", ComPing, func(s *script) { s.text("") }, 0, 0},
	{"insert", ComQuery, func(s *script) { s.ok(StatusInTrans) }, StatusInTrans, 0},
	{"syntax error", ComQuery, func(s *script) { s.err() }, 0, 1064},
	{"select", ComQuery, func(s *script) { s.columns(2).metaEnd(0).rows(3).end(StatusAutocommit) }, StatusAutocommit, 0},
	{"no rows", ComQuery, func(s *script) { s.columns(1).metaEnd(0).end(StatusAutocommit) }, StatusAutocommit, 0},
	{"300 columns", ComQuery, func(s *script) { s.columns(300).metaEnd(0).rows(1).end(0) }, 0, 0},
	{"error among rows", ComQuery, func(s *script) { s.columns(1).metaEnd(0).rows(2).err() }, 0, 1064},
	{"error among columns", ComQuery, func(s *script) { s.raw([]byte{2}).err() }, 0, 1064},
	{"three results", ComQuery, func(s *script) {
		s.ok(StatusMoreResultsExist).columns(1).metaEnd(StatusMoreResultsExist).rows(1).end(StatusMoreResultsExist).ok(StatusAutocommit)
	}, StatusAutocommit, 0},
	{"second statement fails", ComQuery, func(s *script) { s.ok(StatusMoreResultsExist).err() }, StatusMoreResultsExist, 1064},
	{"binary rows", ComStmtExecute, func(s *script) { s.columns(1).metaEnd(0).text("\x00\x00\x05").end(0) }, 0, 0},
	{"cursor opened", ComStmtExecute, func(s *script) { s.columns(3).end(StatusCursorExists) }, StatusCursorExists, 0},
	{"fetch", ComStmtFetch, func(s *script) { s.text("\x00\x00\x05").text("\x00\x00\x06").end(StatusLastRowSent) }, StatusLastRowSent, 0},
	{"prepare", ComStmtPrepare, func(s *script) {
		s.text("\x00\x01\x00\x00\x00\x02\x00\x03\x00\x00\x00\x00").defs(3).metaEnd(0).defs(2).metaEnd(0)
	}, 0, 0},
	{"prepare without anything", ComStmtPrepare, func(s *script) { s.text("\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") }, 0, 0},
	{"prepare with columns only", ComStmtPrepare, func(s *script) {
		s.text("\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00").defs(2).metaEnd(0)
	}, 0, 0},
	{"prepare refused", ComStmtPrepare, func(s *script) { s.err() }, 0, 1064},
	{"field list", ComFieldList, func(s *script) { s.defs(4).end(0) }, 0, 0},
	{"unknown command", Command(99), func(s *script) { s.err() }, 0, 1064},
	{"binlog dump", ComBinlogDump, func(s *script) { s.text("\x00event").text("\x00event").end(0) }, 0, 0},
}

// TestFollowerEnds checks that each response is over with its last byte and not
// before, however it is cut.
func TestFollowerEnds(t *testing.T) {
	t.Parallel()
	for _, caps := range []Capability{ClientProtocol41, modern} {
		for _, c := range followed {
			if c.cmd == ComBinlogDump && caps == modern {
				continue // its end is an EOF packet whatever was agreed
			}
			t.Run(fmt.Sprintf("%s/%s", c.name, caps), func(t *testing.T) {
				t.Parallel()
				s := newScript(caps)
				c.build(s)
				for cut := 1; cut <= len(s.out); cut = cut*3/2 + 1 {
					follow(t, s, c.cmd, cut, c.status, c.code)
				}
			})
		}
	}
}

func follow(t *testing.T, s *script, cmd Command, cut int, status Status, code uint16) {
	t.Helper()
	var f Follower
	f.SetCapabilities(s.caps)
	f.Begin(cmd)
	rest := s.out
	for len(rest) > 1 {
		n := min(cut, len(rest)-1)
		f.Feed(rest[:n])
		require.NotEqual(t, PhaseIdle, f.Phase(), "over with %d bytes to come, cut by %d", len(rest)-n, cut)
		rest = rest[n:]
	}
	f.Feed(rest)
	require.Equal(t, PhaseIdle, f.Phase(), "cut by %d", cut)
	require.Equal(t, status, f.Status())
	require.Equal(t, code, f.ErrCode())
	require.False(t, f.Stray())
}

func TestFollowerBigRows(t *testing.T) {
	t.Parallel()
	for _, caps := range []Capability{ClientProtocol41, modern} {
		s := newScript(caps)
		s.columns(1).metaEnd(0).big().rows(1).big().end(0)
		follow(t, s, ComQuery, 64<<10, 0, 0)
		follow(t, s, ComQuery, len(s.out), 0, 0)
	}
}

func TestFollowerWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, cmd := range []Command{ComQuit, ComStmtClose, ComStmtSendLongData} {
		var f Follower
		f.Begin(cmd)
		require.Equal(t, PhaseIdle, f.Phase(), cmd.String())
	}
}

func TestFollowerInfile(t *testing.T) {
	t.Parallel()
	var f Follower
	f.SetCapabilities(modern)
	f.Begin(ComQuery)
	f.Feed(newScript(modern).text("\xfb/some/file").out)
	require.Equal(t, PhaseInfile, f.Phase())
	f.InfileSent()
	require.Equal(t, PhaseBackend, f.Phase())
	f.Feed(newScript(modern).ok(0).out)
	require.Equal(t, PhaseIdle, f.Phase())

	// The backend gives up while the client still sends.
	f.Begin(ComQuery)
	f.Feed(newScript(modern).text("\xfbfile").err().out)
	require.Equal(t, PhaseInfile, f.Phase())
	f.InfileSent()
	require.Equal(t, PhaseIdle, f.Phase())
	require.Equal(t, uint16(1064), f.ErrCode())
}

func TestFollowerAuth(t *testing.T) {
	t.Parallel()
	var f Follower
	f.SetCapabilities(modern)
	f.BeginAuth()
	require.Equal(t, PhaseBackend, f.Phase())
	f.Feed(newScript(modern).text("\xfecaching_sha2_password\x00salt").out)
	require.Equal(t, PhaseClient, f.Phase())
	f.ClientAnswered()
	require.Equal(t, PhaseBackend, f.Phase())
	f.Feed(newScript(modern).text("\x01\x03").out) // fast authentication: OK follows by itself
	require.Equal(t, PhaseBackend, f.Phase())
	f.Feed(newScript(modern).text("\x01\x04").out) // full authentication
	require.Equal(t, PhaseClient, f.Phase())
	f.ClientAnswered()
	f.Feed(newScript(modern).ok(StatusAutocommit).out)
	require.Equal(t, PhaseIdle, f.Phase())
	require.Equal(t, StatusAutocommit, f.Status())

	f.Begin(ComChangeUser)
	f.Feed(newScript(modern).text("\xfemysql_native_password\x00salt").out)
	require.Equal(t, PhaseClient, f.Phase())
	f.ClientAnswered()
	f.Feed(newScript(modern).err().out)
	require.Equal(t, PhaseIdle, f.Phase())
	require.False(t, f.Stray())
}

// TiDB answers COM_REFRESH twice.
func TestFollowerTwoOKs(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		var f Follower
		f.SetCapabilities(modern)
		f.Begin(ComRefresh)
		first := newScript(modern).ok(0)
		f.Feed(first.out)
		require.Equal(t, PhaseIdle, f.Phase())
		second := &script{caps: modern, seq: first.seq}
		second.ok(0)
		if !late {
			f.Feed(second.out)
			f.Begin(ComPing)
		} else {
			f.Begin(ComPing)
			f.Feed(second.out)
		}
		require.Equal(t, PhaseBackend, f.Phase(), "late=%t", late)
		f.Feed(newScript(modern).ok(0).out)
		require.Equal(t, PhaseIdle, f.Phase())
		require.False(t, f.Stray())
	}
}

func TestFollowerStray(t *testing.T) {
	t.Parallel()
	var f Follower
	f.SetCapabilities(modern)
	f.Feed(newScript(modern).err().out)
	require.True(t, f.Stray())
	require.Equal(t, PhaseIdle, f.Phase())
}

func FuzzFollower(f *testing.F) {
	for _, c := range followed {
		s := newScript(modern)
		c.build(s)
		f.Add(byte(c.cmd), uint32(modern), uint16(3), s.out)
	}
	f.Fuzz(func(t *testing.T, cmd byte, caps uint32, cut uint16, b []byte) {
		var whole, parts Follower
		for _, f := range []*Follower{&whole, &parts} {
			f.SetCapabilities(Capability(caps))
			f.Begin(Command(cmd))
		}
		whole.Feed(b)
		for n := int(cut%64) + 1; len(b) > 0; b = b[min(n, len(b)):] {
			parts.Feed(b[:min(n, len(b))])
		}
		require.Equal(t, whole.Phase(), parts.Phase())
		require.Equal(t, whole.Status(), parts.Status())
		require.Equal(t, whole.ErrCode(), parts.ErrCode())
		require.Equal(t, whole.Stray(), parts.Stray())
	})
}

func BenchmarkFollowerRows(b *testing.B) {
	s := newScript(modern)
	s.columns(2).rows(1000).end(0)
	var f Follower
	f.SetCapabilities(modern)
	b.SetBytes(int64(len(s.out)))
	b.ReportAllocs()
	for b.Loop() {
		f.Begin(ComQuery)
		f.Feed(s.out)
	}
}
