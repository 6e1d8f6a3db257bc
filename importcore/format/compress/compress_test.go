package compress_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/source"
)

var suffixes = map[source.Compression]string{source.Gzip: ".gz", source.Zstd: ".zst", source.Snappy: ".snappy"}

func pack(t testing.TB, c source.Compression, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch c {
	case source.Gzip:
		w = gzip.NewWriter(&b)
	case source.Zstd:
		z, err := zstd.NewWriter(&b, zstd.WithZeroFrames(true)) // as the tool does
		require.NoError(t, err)
		w = z
	case source.Snappy:
		w = s2.NewWriter(&b, s2.WriterSnappyCompat())
	}
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	if b.Len() == 0 {
		return []byte("\xff\x06\x00\x00sNaPpY") // an empty stream
	}
	return b.Bytes()
}

// text is what compresses like text.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var b []byte
	for len(b) < n {
		b = append(b, "abcdefgh,\n0123"[r.IntN(14)])
		if r.IntN(4) == 0 {
			b = append(b, "some words that come often"...)
		}
	}
	return b[:n]
}

// open writes a file and returns what is listed of it.
func open(t testing.TB, name string, data []byte) (*compress.Store, source.File) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	raw, err := source.OpenFolder(context.Background(), dir, source.Config{})
	require.NoError(t, err)
	files, err := raw.List(context.Background())
	require.NoError(t, err)
	require.Len(t, files, 1)
	return compress.NewStore(raw, 0), files[0]
}

func TestText(t *testing.T) {
	t.Parallel()
	for c, suffix := range suffixes {
		for _, size := range []int{0, 1, 1000, 300_000} {
			want := text(size)
			packed := pack(t, c, want)
			// Files are often put together from several.
			twice := append(bytes.Clone(packed), packed...)
			for _, whole := range [][2][]byte{{packed, want}, {twice, append(bytes.Clone(want), want...)}} {
				store, file := open(t, "a.csv"+suffix, whole[0])
				for _, offset := range []int64{0, int64(len(whole[1])) / 3, int64(len(whole[1]))} {
					in, err := store.Open(t.Context(), file, offset)
					require.NoError(t, err)
					got, err := io.ReadAll(iotest.OneByteReader(in))
					require.NoError(t, err)
					require.True(t, bytes.Equal(whole[1][offset:], got), "%s %d %d", c, size, offset)
					if offset < int64(len(whole[1])) {
						require.Equal(t, file.Size, in.(*compress.Stream).Stored())
					}
					require.NoError(t, in.Close())
				}
				_, err := store.Open(t.Context(), file, int64(len(whole[1]))+1)
				require.ErrorContains(t, err, "lies behind the")
			}
		}
	}
}

func TestPlainFilesPass(t *testing.T) {
	t.Parallel()
	store, file := open(t, "a.csv", []byte("0123"))
	in, err := store.Open(t.Context(), file, 2)
	require.NoError(t, err)
	got, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "23", string(got))
	require.NoError(t, in.Close())
}

// TestDamage: a file without some of its bytes is never the whole text.
func TestDamage(t *testing.T) {
	t.Parallel()
	want := text(200_000)
	for c, suffix := range suffixes {
		packed := pack(t, c, want)
		flipped := bytes.Clone(packed)
		flipped[len(flipped)/2] ^= 0x10
		for name, data := range map[string][]byte{
			"empty": {}, "one byte": packed[:1], "head": packed[:5], "half": packed[:len(packed)/2], "all but a byte": packed[:len(packed)-1],
			"flipped": flipped, "plain": want, "garbage behind": append(bytes.Clone(packed), "garbage behind it"...),
		} {
			t.Run(c.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				store, file := open(t, "a.sql"+suffix, data)
				in, err := store.Open(t.Context(), file, 0)
				require.NoError(t, err)
				got, err := io.ReadAll(in)
				f := fault.As(err)
				require.NotNil(t, f, "%v", err)
				require.Equal(t, fault.Source, f.Whose)
				require.EqualValues(t, 8160, f.Code)
				require.Contains(t, f.Message, file.Path+" is damaged: ")
				require.Regexp(t, `\(at byte \d+ of the file's \d+, \d+ of its text\)`, f.Message)
				// A checksum stands behind what it protects, so a flipped bit may come through before the error.
				require.True(t, name == "flipped" || bytes.HasPrefix(want, got))
				_, again := in.Read(make([]byte, 1))
				require.Equal(t, err, again, "the error lasts")
				require.NoError(t, in.Close())
				if in, err = store.Open(t.Context(), file, int64(len(want))); err == nil {
					_, err = io.ReadAll(in)
					require.NoError(t, in.Close())
				}
				require.NotNil(t, fault.As(err), "%v", err)
			})
		}
	}
}

// TestWindow: a file says itself how much memory it takes to unpack.
func TestWindow(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20))
	require.NoError(t, err)
	_, err = io.CopyN(w, bytes.NewReader(bytes.Repeat(text(1<<20), 66)), 66<<20)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	store, file := open(t, "a.csv.zst", b.Bytes())
	in, err := store.Open(t.Context(), file, 0)
	require.NoError(t, err)
	_, err = io.ReadAll(in)
	require.NotNil(t, fault.As(err), "%v", err)
	require.Equal(t, fault.User, fault.As(err).Whose)
	require.ErrorContains(t, err, file.Path+" was compressed so that unpacking it takes more memory than its job has for that, 8MiB")
	require.NoError(t, in.Close())

	in, err = compress.NewStore(store.Store, 70<<20).Open(t.Context(), file, 0)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, in)
	require.NoError(t, err)
	require.EqualValues(t, 66<<20, n)
	require.NoError(t, in.Close())
}

// failing is a store whose streams end with an error.
type failing struct {
	source.Store
	at  int64
	err error
}

func (f *failing) Open(ctx context.Context, file source.File, offset int64) (io.ReadCloser, error) {
	in, err := f.Store.Open(ctx, file, offset)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(in, f.at), iotest.ErrReader(f.err)), in}, nil
}

// TestStoreErrors: an error of the store below is that, and no damage.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for c, suffix := range suffixes {
		packed := pack(t, c, text(200_000))
		for _, at := range []int64{0, 1, 7, int64(len(packed) / 2), int64(len(packed))} {
			store, file := open(t, "a.sql"+suffix, packed)
			in, err := compress.NewStore(&failing{Store: store.Store, at: at, err: away}, 0).Open(t.Context(), file, 0)
			require.NoError(t, err)
			_, err = io.ReadAll(in)
			require.ErrorIs(t, err, away, "%s %d", c, at)
			require.Nil(t, fault.As(err))
			require.NoError(t, in.Close())
		}
	}
}

// FuzzStream: no bytes make a stream panic, grow beyond its memory or go on for ever.
func FuzzStream(f *testing.F) {
	for c := range suffixes {
		f.Add(uint8(c), pack(f, c, text(300)))
		f.Add(uint8(c), pack(f, c, nil))
	}
	f.Fuzz(func(t *testing.T, c uint8, data []byte) {
		kind := source.Compression(c%3 + 1)
		store, file := open(t, "a"+suffixes[kind], data)
		in, err := store.Open(t.Context(), file, 0)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, in, 1<<20)
		if err != nil && !errors.Is(err, io.EOF) {
			require.NotNil(t, fault.As(err), "%v", err)
		}
		require.NoError(t, in.Close())
	})
}

func BenchmarkStream(b *testing.B) {
	want := text(8 << 20)
	for c, suffix := range suffixes {
		b.Run(c.String(), func(b *testing.B) {
			store, file := open(b, "a"+suffix, pack(b, c, want))
			b.SetBytes(int64(len(want)))
			for range b.N {
				in, err := store.Open(b.Context(), file, 0)
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, in)
				require.NoError(b, err)
				require.NoError(b, in.Close())
			}
		})
	}
}

// counting counts the bytes that are read of its files, and the streams that are open.
type counting struct {
	source.Store
	read, open atomic.Int64
}

func (c *counting) Open(ctx context.Context, f source.File, offset int64) (io.ReadCloser, error) {
	in, err := c.Store.Open(ctx, f, offset)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &countingStream{in, c}, nil
}

type countingStream struct {
	io.ReadCloser
	c *counting
}

func (s *countingStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.c.read.Add(int64(n))
	return n, err
}

func (s *countingStream) Close() error {
	s.c.open.Add(-1)
	return s.ReadCloser.Close()
}

// TestShared: parts of a file, read in its order by several readers at a time, each begun twice, are what is there, and don't cost an unpacking of the file each.
func TestShared(t *testing.T) {
	t.Parallel()
	want := text(8 << 20)
	for c, suffix := range suffixes {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			packed := pack(t, c, want)
			store, file := open(t, "a.sql"+suffix, packed)
			counted := &counting{Store: store.Store}
			const lanes, part = 3, 10_000
			shared := compress.NewShared(t.Context(), compress.NewStore(counted, 0), lanes)
			parts := make(chan int)
			var group sync.WaitGroup
			for range lanes {
				group.Go(func() {
					for from := range parts {
						for _, n := range []int{min(16<<10, len(want)-from), min(part, len(want)-from)} { // a look at its head first
							in, err := shared.Open(t.Context(), file, int64(from))
							if !assert.NoError(t, err) {
								return
							}
							got := make([]byte, n)
							_, err = io.ReadFull(iotest.HalfReader(in), got)
							assert.NoError(t, err)
							assert.True(t, bytes.Equal(want[from:from+n], got), "%d bytes from %d", n, from)
							assert.Positive(t, in.(format.Packed).Stored())
							assert.NoError(t, in.Close())
						}
					}
				})
			}
			for from := 0; from < len(want); from += part {
				parts <- from
			}
			close(parts)
			group.Wait()
			require.LessOrEqual(t, counted.open.Load(), int64(lanes))
			require.Less(t, counted.read.Load(), int64(6*lanes*len(packed)), "the file was unpacked over and over again")
			require.NoError(t, shared.Close())
			require.Zero(t, counted.open.Load(), "streams stay open")
		})
	}
}

// TestSharedErrors: damage, changes and ends are errors as those of a Store, and leave nothing open.
func TestSharedErrors(t *testing.T) {
	t.Parallel()
	packed := pack(t, source.Gzip, text(1<<20))
	store, file := open(t, "a.sql.gz", packed[:len(packed)/2])
	counted := &counting{Store: store.Store}
	shared := compress.NewShared(t.Context(), compress.NewStore(counted, 0), 2)
	_, err := shared.Open(t.Context(), file, 1<<20-1)
	require.ErrorContains(t, err, "ends too early")
	in, err := shared.Open(t.Context(), file, 100)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, in)
	require.ErrorContains(t, err, "ends too early")
	require.NoError(t, in.Close())
	require.NoError(t, in.Close())
	_, err = in.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Zero(t, counted.open.Load(), "a stream that has failed isn't kept")
	in, err = shared.Open(t.Context(), file, 0)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.EqualValues(t, 1, counted.open.Load())
	require.NoError(t, os.WriteFile(file.Path, []byte("other"), 0o600))
	_, err = shared.Open(t.Context(), file, 10)
	require.ErrorContains(t, err, "changed")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = shared.Open(ctx, file, 10)
	require.Error(t, err)
	require.NoError(t, shared.Close())
	require.Zero(t, counted.open.Load())
}
