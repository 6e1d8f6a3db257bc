// Package sqlrelay stands between one Sluice and TiDB and knows the commands that go through it, so that a test can keep
// one of them from TiDB, or its answer from that Sluice, or act right before it arrives.
package sqlrelay

import (
	"encoding/binary"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground/door"
)

// Command is what a client asks of TiDB.
type Command struct {
	// Op is its first byte: mysql.COM_QUERY and so on.
	Op byte
	// Text is its statement's: of a query, of one to prepare, or the connection's last prepared one when it is
	// executed; "" with other commands.
	Text string
}

// Answered is called when the answer to a command has begun to come, before the client has any of it. With false the
// client never gets it: its connection is cut. It may wait, but not longer than the test.
type Answered func() (deliver bool)

// Hook is asked about each command, before TiDB has it, by the goroutines of all connections. With send false TiDB never
// gets it: its connection is cut. answered may be nil.
type Hook func(c Command) (send bool, answered Answered)

// Start starts a relay to the address of a TiDB. It ends with the test.
func Start(t testing.TB, tidb string, hook Hook) *door.Relay {
	t.Helper()
	d, err := door.Listen(t.Context())
	require.NoError(t, err)
	r := door.ServeWith(d, tidb, func() (there, back door.Pump) {
		c := &conn{hook: hook}
		return c.commands, c.answers
	})
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// conn is one connection.
type conn struct {
	hook     Hook
	prepared string
	answered atomic.Pointer[Answered] // of the command whose answer is awaited
}

// commands is the pump from Sluice to TiDB.
func (c *conn) commands(to io.Writer, from io.Reader) {
	for {
		packet, err := readPacket(from)
		if err != nil {
			return
		}
		if packet[3] == 0 && len(packet) > 4 { // those of a handshake have a sequence
			send, answered := c.hook(c.command(packet[4], packet[5:]))
			if !send {
				return
			}
			if answered != nil {
				c.answered.Store(&answered)
			}
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

// readPacket reads a packet with its header of three bytes of length and one of sequence.
func readPacket(from io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(append(slices.Clone(header[:3]), 0))
	packet := append(header, make([]byte, length)...)
	_, err := io.ReadFull(from, packet[4:])
	return packet, err
}

func (c *conn) command(op byte, rest []byte) Command {
	switch op {
	case mysql.COM_QUERY:
		return Command{Op: op, Text: string(rest)}
	case mysql.COM_STMT_PREPARE:
		c.prepared = string(rest)
		return Command{Op: op, Text: c.prepared}
	case mysql.COM_STMT_EXECUTE:
		return Command{Op: op, Text: c.prepared}
	}
	return Command{Op: op}
}

// answers is the pump back.
func (c *conn) answers(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if answered := c.answered.Swap(nil); answered != nil && !(*answered)() {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
