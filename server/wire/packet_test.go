package wire

import (
	"bytes"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLenenc(t *testing.T) {
	t.Parallel()
	for _, v := range []uint64{0, 1, 250, 251, 252, 0xffff, 0x10000, 0xffffff, 0x1000000, math.MaxUint64} {
		b := AppendLenencInt(nil, v)
		got, n, ok := LenencInt(append(b, 0xee))
		require.True(t, ok)
		require.Equal(t, v, got)
		require.Equal(t, len(b), n)
		for cut := range b {
			_, _, ok := LenencInt(b[:cut])
			require.False(t, ok, "%d of %d bytes", cut, len(b))
		}
	}
	for _, b := range [][]byte{{0xfb}, {0xff}, {0xff, 1, 2, 3, 4, 5, 6, 7, 8}} {
		_, _, ok := LenencInt(b)
		require.False(t, ok)
	}
	v, n, ok := LenencBytes([]byte("\x03abcd"))
	require.True(t, ok)
	require.Equal(t, "abc", string(v))
	require.Equal(t, 4, n)
	require.Equal(t, 3, cap(v), "appending to the value must not overwrite what follows")
	_, _, ok = LenencBytes([]byte("\xfe\xff\xff\xff\xff\xff\xff\xff\xffabc"))
	require.False(t, ok, "a length beyond the bytes at hand")
}

func FuzzLenenc(f *testing.F) {
	f.Add([]byte{0xfc, 1, 2, 3})
	f.Add([]byte("\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, n, ok := LenencInt(b); ok {
			again, m, ok := LenencInt(AppendLenencInt(nil, v))
			require.True(t, ok)
			require.Equal(t, v, again)
			require.LessOrEqual(t, m, n, "the shortest form is not longer")
		}
		if v, n, ok := LenencBytes(b); ok {
			require.Equal(t, string(b[n-len(v):n]), string(v))
		}
	})
}

func TestPacketsOfAllSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 5, MaxPayload - 1, MaxPayload, MaxPayload + 1, 2 * MaxPayload} {
		payload := bytes.Repeat([]byte{'x'}, size)
		frame, next := AppendPacket(nil, payload, 254)
		pieces := size/MaxPayload + 1
		require.Len(t, frame, size+pieces*HeaderSize)
		require.Equal(t, byte(254+pieces), next, "sequence numbers wrap around")

		var out bytes.Buffer
		w := NewWriter(&out, 254)
		require.NoError(t, w.WritePacket(payload))
		require.NoError(t, w.Flush())
		require.True(t, bytes.Equal(frame, out.Bytes()), "Writer and AppendPacket agree")

		r := bytes.NewReader(append(frame, "rest"...))
		got, seq, err := ReadPacket(r, 3*MaxPayload)
		require.NoError(t, err)
		require.True(t, bytes.Equal(payload, got))
		require.Equal(t, next-1, seq)
		require.Equal(t, 4, r.Len(), "not a byte more is read")
	}
}

func TestReadPacketErrors(t *testing.T) {
	t.Parallel()
	_, _, err := ReadPacket(bytes.NewReader(nil), 10)
	require.ErrorIs(t, err, io.EOF)
	_, _, err = ReadPacket(bytes.NewReader([]byte{5, 0}), 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = ReadPacket(bytes.NewReader([]byte{5, 0, 0, 0, 1}), 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = ReadPacket(bytes.NewReader([]byte{5, 0, 0, 0}), 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = ReadPacket(bytes.NewReader([]byte{11, 0, 0, 0}), 10)
	require.ErrorIs(t, err, ErrMalformed)
}

func FuzzReadPacket(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		payload, seq, err := ReadPacket(r, 1<<16)
		if err != nil {
			return
		}
		frame, next := AppendPacket(nil, payload, seq)
		require.Equal(t, b[:len(b)-r.Len()], frame)
		require.Equal(t, seq+1, next)
	})
}
