package wire

import "encoding/binary"

// Phase says whose turn it is on a connection.
type Phase uint8

const (
	// PhaseIdle: no command is under way; the next client packet is a command.
	PhaseIdle Phase = iota
	// PhaseBackend: the backend owes packets; the client has nothing to say.
	PhaseBackend
	// PhaseClient: the backend has asked for one client packet (authentication).
	PhaseClient
	// PhaseInfile: the client sends a file (LOAD DATA LOCAL) up to an empty packet.
	PhaseInfile
	// PhaseStream: the backend sends without end and the client may speak at
	// any time (binlog dump with acknowledgements).
	PhaseStream
)

// String returns the phase's name.
func (p Phase) String() string {
	return [...]string{"idle", "backend", "client", "infile", "stream"}[p]
}

// expect is what the Follower takes the next backend packet for.
type expect uint8

const (
	expectNothing    expect = iota
	expectOne               // any single packet
	expectQuery             // OK, ERR, LOCAL INFILE or a column count
	expectColumns           // left column definitions
	expectColumnsEnd        // EOF behind the definitions (without DEPRECATE_EOF)
	expectRows              // rows up to an end packet or ERR
	expectPrepare           // head of a prepare response
	expectCount             // left packets of any kind
	expectFieldList         // definitions up to an end packet or ERR
	expectAuth              // OK, ERR or a request to the client
	expectAuthAnswer        // the client's turn in an authentication
	expectStream            // packets up to EOF or ERR
)

// prefixMax is how much of a payload the Follower looks at: a header byte, two
// length-encoded integers and the status flags of an OK packet, in bytes.
const prefixMax = 1 + 9 + 9 + 2

// Follower watches the backend's bytes of one connection pass by and knows, from
// packet headers and a few bytes behind them, when the response to the current
// command is over. It never changes or holds back a byte: what is forwarded does
// not depend on it, only what may start next does.
//
// Usage: Begin for each client command (or BeginAuth for the handshake), Feed for
// every chunk from the backend, in any cut; Phase tells the state after the last
// fed byte. The phase turns only when a packet has passed in full. Not safe for
// concurrent use. The zero value with capabilities 0 is idle.
type Follower struct {
	caps    Capability
	status  Status
	errCode uint16 // of the current command's ERR packet, 0 when none
	stray   bool
	infile  bool // the client owes the empty packet that ends its file
	execute bool // the response is that of COM_STMT_EXECUTE

	// twoOKs: the last command is one that TiDB answers with two OK packets
	// (COM_REFRESH, COM_SHUTDOWN); the second has sequence number second.
	twoOKs bool
	second byte

	expect, next expect
	left         int // packets left in expectColumns and expectCount

	// framing: head collects header and prefix of a physical packet, skip is
	// what is left of its payload behind the prefix, more says that the next
	// physical packet continues this one.
	head [HeaderSize + prefixMax]byte
	have int
	skip int
	more bool
	open bool // a logical packet has been judged and not yet passed in full
}

// SetCapabilities tells what both sides agreed on; call it before BeginAuth.
func (f *Follower) SetCapabilities(caps Capability) { f.caps = caps }

// Status returns the server status flags last seen in an OK or EOF packet.
func (f *Follower) Status() Status { return f.status }

// ErrCode returns the code of the ERR packet that ended the last command, or 0.
func (f *Follower) ErrCode() uint16 { return f.errCode }

// Stray reports whether the backend ever sent a packet that no command had asked
// for. Then commands and responses may be out of step, and nobody should put a
// query of his own on the connection.
func (f *Follower) Stray() bool { return f.stray }

// Phase returns whose turn it is.
func (f *Follower) Phase() Phase {
	switch {
	case f.infile:
		return PhaseInfile
	case f.expect == expectNothing:
		return PhaseIdle
	case f.expect == expectAuthAnswer:
		return PhaseClient
	case f.expect == expectStream:
		return PhaseStream
	}
	return PhaseBackend
}

// BeginAuth starts the wait for the backend's verdict on a handshake response.
func (f *Follower) BeginAuth() { f.expect, f.errCode = expectAuth, 0 }

// ClientAnswered says that the packet asked for in PhaseClient is under way.
func (f *Follower) ClientAnswered() {
	if f.expect == expectAuthAnswer {
		f.expect = expectAuth
	}
}

// InfileSent says that the empty packet that ends a file is under way.
func (f *Follower) InfileSent() { f.infile = false }

// Begin starts the response to cmd. For commands without a response the phase
// stays idle.
func (f *Follower) Begin(cmd Command) {
	f.errCode = 0
	f.execute = cmd == ComStmtExecute
	// TiDB runs FLUSH PRIVILEGES or SHUTDOWN as a query, which answers OK, and
	// then answers OK for the command.
	f.twoOKs = cmd == ComRefresh || cmd == ComShutdown
	switch cmd {
	case ComQuit, ComStmtSendLongData, ComStmtClose:
		f.expect = expectNothing
	case ComQuery, ComStmtExecute, ComProcessInfo:
		f.expect = expectQuery
	case ComStmtPrepare:
		f.expect = expectPrepare
	case ComStmtFetch:
		f.expect = expectRows
	case ComFieldList:
		f.expect = expectFieldList
	case ComChangeUser:
		f.expect = expectAuth
	case ComBinlogDump, ComBinlogDumpGTID, ComTableDump, ComSubscribeGroupReplicationStream:
		f.expect = expectStream
	default:
		f.expect = expectOne
	}
}

// Feed follows the next bytes from the backend.
func (f *Follower) Feed(b []byte) {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip -= n
			b = b[n:]
			f.passed()
			continue
		}
		if f.expect == expectRows && f.have == 0 && !f.more && len(b) > HeaderSize {
			// The hot loop over rows: nothing is copied.
			size, _ := ParseHeader(b)
			if size > 0 && size < MaxPayload && b[HeaderSize] < EOFHeader {
				n := min(HeaderSize+size, len(b))
				f.skip = HeaderSize + size - n
				f.open, f.next = f.skip > 0, expectRows
				b = b[n:]
				continue
			}
		}
		b = f.feedHead(b)
	}
}

// feedHead collects header and prefix of a physical packet and judges it.
func (f *Follower) feedHead(b []byte) []byte {
	b = f.collect(b, HeaderSize)
	if f.have < HeaderSize {
		return b
	}
	size, seq := ParseHeader(f.head[:])
	want := HeaderSize
	if !f.more {
		want += min(size, prefixMax)
	}
	b = f.collect(b, want)
	if f.have < want {
		return b
	}
	if !f.more {
		f.next = f.judge(f.head[HeaderSize:want], size, seq)
	}
	f.have, f.skip = 0, HeaderSize+size-want
	f.more = size == MaxPayload
	f.open = true
	f.passed()
	return b
}

// collect moves bytes from b to head until it holds want of them.
func (f *Follower) collect(b []byte, want int) []byte {
	if f.have >= want {
		return b
	}
	n := copy(f.head[f.have:want], b)
	f.have += n
	return b[n:]
}

// passed turns the phase once the packet that was judged has passed in full.
func (f *Follower) passed() {
	if f.open && f.skip == 0 && !f.more {
		f.open = false
		f.expect = f.next
	}
}

// judge returns what to expect behind a packet, given its prefix, the size of its
// first physical packet and that packet's sequence number.
func (f *Follower) judge(p []byte, size int, seq byte) expect {
	first := byte(1) // no header of anything, for an empty packet
	if len(p) > 0 {
		first = p[0]
	}
	if f.second != 0 && seq == f.second {
		// The late second OK: it belongs to the command before.
		f.second = 0
		return f.expect
	}
	f.second = 0
	if f.twoOKs && f.expect == expectOne {
		f.twoOKs = false
		if first == OKHeader {
			f.second = seq + 1
		}
	}
	if first == ErrHeader && f.expect != expectNothing {
		if len(p) >= 3 {
			f.errCode = binary.LittleEndian.Uint16(p[1:])
		}
		return expectNothing
	}
	switch f.expect {
	case expectOne:
		if first == OKHeader {
			f.noteOK(p)
		}
		return expectNothing
	case expectQuery:
		return f.judgeQuery(p, first)
	case expectColumns:
		if f.left--; f.left > 0 {
			return expectColumns
		}
		if f.caps.Has(ClientDeprecateEOF) {
			return expectRows
		}
		return expectColumnsEnd
	case expectColumnsEnd:
		if f.noteEnd(p); f.execute && f.status.Has(StatusCursorExists) {
			return expectNothing // rows come with COM_STMT_FETCH
		}
		return expectRows
	case expectRows, expectFieldList:
		return f.judgeRow(p, first, size)
	case expectPrepare:
		return f.judgePrepare(p)
	case expectCount:
		if f.left--; f.left > 0 {
			return expectCount
		}
		return expectNothing
	case expectAuth, expectAuthAnswer:
		return f.judgeAuth(p, first)
	case expectStream:
		if first == EOFHeader && size < 9 {
			return expectNothing
		}
		return expectStream
	}
	f.stray = true
	return expectNothing
}

func (f *Follower) judgeQuery(p []byte, first byte) expect {
	switch first {
	case OKHeader:
		f.noteOK(p)
		return f.afterResult()
	case nullByte: // in this place: LOCAL INFILE request
		f.infile = true
		return expectQuery
	}
	count, _, ok := LenencInt(p)
	if !ok || count == 0 {
		f.stray = true
		return expectNothing
	}
	f.left = int(min(count, 1<<31-1))
	return expectColumns
}

func (f *Follower) judgeRow(p []byte, first byte, size int) expect {
	if !isEnd(first, size, f.caps) {
		return f.expect
	}
	f.noteEnd(p)
	if f.expect == expectFieldList {
		return expectNothing
	}
	return f.afterResult()
}

// judgePrepare reads statement id, column and parameter count.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (f *Follower) judgePrepare(p []byte) expect {
	if len(p) < 9 || p[0] != OKHeader {
		f.stray = true
		return expectNothing
	}
	f.left = 0
	for _, count := range []int{int(binary.LittleEndian.Uint16(p[5:])), int(binary.LittleEndian.Uint16(p[7:]))} {
		if f.left += count; count > 0 && !f.caps.Has(ClientDeprecateEOF) {
			f.left++
		}
	}
	if f.left == 0 {
		return expectNothing
	}
	return expectCount
}

func (f *Follower) judgeAuth(p []byte, first byte) expect {
	const (
		moreData   = 0x01
		fastAuthOK = 0x03 // caching_sha2_password: an OK packet follows
	)
	switch {
	case first == OKHeader:
		f.noteOK(p)
		return expectNothing
	case first == moreData && len(p) == 2 && p[1] == fastAuthOK:
		return expectAuth
	}
	return expectAuthAnswer
}

func (f *Follower) afterResult() expect {
	if f.status.Has(StatusMoreResultsExist) {
		return expectQuery
	}
	return expectNothing
}

// noteOK takes the status flags from the prefix of an OK packet.
func (f *Follower) noteOK(p []byte) {
	if !f.caps.Has(ClientProtocol41) {
		return
	}
	if status, ok := okStatus(p); ok {
		f.status = status
		return
	}
	f.stray = true
	f.status = f.status.Session()
}

// okStatus finds the status flags in the prefix of an OK packet.
func okStatus(p []byte) (Status, bool) {
	if len(p) == 0 {
		return 0, false
	}
	p = p[1:]
	for range 2 {
		_, n, ok := LenencInt(p)
		if !ok {
			return 0, false
		}
		p = p[n:]
	}
	if len(p) < 2 {
		return 0, false
	}
	return Status(binary.LittleEndian.Uint16(p)), true
}

// noteEnd takes the status flags from the prefix of an end packet.
func (f *Follower) noteEnd(p []byte) {
	if f.caps.Has(ClientDeprecateEOF) {
		f.noteOK(p)
		return
	}
	if f.caps.Has(ClientProtocol41) && len(p) >= 5 {
		f.status = Status(binary.LittleEndian.Uint16(p[3:]))
	}
}
