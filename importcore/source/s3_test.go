package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/s3store"
)

func bytesOf(n int, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return data
}

func openStore(t *testing.T, location string, cfg source.Config) source.Store {
	t.Helper()
	store, err := source.Open(t.Context(), location, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func listed(t *testing.T, store source.Store) []source.File {
	t.Helper()
	files, err := store.List(t.Context())
	require.NoError(t, err)
	return files
}

// read returns a file's bytes from an offset.
func read(t *testing.T, store source.Store, file source.File, offset int64) []byte {
	t.Helper()
	in, err := store.Open(t.Context(), file, offset)
	require.NoError(t, err)
	data, err := io.ReadAll(in)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	return data
}

func TestS3Patterns(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	for _, key := range []string{"top.csv", "dir/a.csv", "dir/b.csv", "dir/b.txt", "dir/c?.csv", "dir/sub/a.csv", "dis/a.csv", "dir/é +%.csv"} {
		s.Put(key, []byte(key))
	}
	s.Put("dir/", nil)
	for path, want := range map[string][]string{
		"top.csv":               {"top.csv"},
		"/dir/a.csv":            {"dir/a.csv"},
		"dir/*.csv":             {"dir/a.csv", "dir/b.csv", "dir/c?.csv", "dir/é +%.csv"},
		"dir/[ab].*":            {"dir/a.csv", "dir/b.csv", "dir/b.txt"},
		"di?/a.csv":             nil, // begins the query
		"dir/*%3F.csv":          {"dir/c?.csv"},
		"dir/c%3F.csv":          {"dir/c?.csv"},
		"d*/a.csv":              {"dir/a.csv", "dis/a.csv"},
		"dir/*/*.csv":           {"dir/sub/a.csv"},
		"*":                     {"top.csv"},
		"dir/%C3%A9 %2B%25.csv": {"dir/é +%.csv"},
	} {
		location := strings.Replace(s.WithKeys(""), "?", path+"?", 1)
		store, err := source.Open(t.Context(), location, source.Config{})
		if want == nil {
			require.Error(t, err, path)
			continue
		}
		require.NoError(t, err, path)
		files, err := store.List(t.Context())
		require.NoError(t, err, path)
		var got []string
		for _, f := range files {
			got = append(got, f.Key)
			require.Equal(t, "s3://data/"+f.Key, f.Path)
			require.Equal(t, int64(len(f.Key)), f.Size)
			require.NotEmpty(t, f.ETag)
			require.WithinDuration(t, time.Now(), f.ModTime, time.Hour)
			require.Equal(t, f.Key, string(read(t, store, f, 0)))
		}
		require.Equal(t, want, got, path)
		require.NoError(t, store.Close())
	}
}

// TestS3ListsOnlyThePrefix: neither other folders nor what is below are asked for.
func TestS3ListsOnlyThePrefix(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	for i := range 2500 {
		s.Put(fmt.Sprintf("dir/f%04d.csv", i), []byte("x"))
		s.Put(fmt.Sprintf("dir/sub/f%04d.csv", i), []byte("x"))
	}
	var mu sync.Mutex
	var lists []url.Values
	s.OnRequest(func(r *http.Request) s3store.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			lists = append(lists, r.URL.Query())
		}
		return s3store.None
	})
	require.Len(t, listed(t, openStore(t, s.WithKeys("dir/f*.csv"), source.Config{})), 2500)
	require.Len(t, lists, 3)
	for _, q := range lists {
		require.Equal(t, "dir/f", q.Get("prefix"))
		require.Equal(t, "/", q.Get("delimiter"))
	}
}

func TestS3Refusals(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	s.Put("empty.csv", nil)
	s.Put("a.csv", []byte("1\n"))
	s.Put("b.csv.gz", []byte("1\n"))
	const secret = "SECRETsecretSECRET"
	keys := "&access-key=" + s.AccessKey + "&secret-access-key=" + secret + "&session-token=TOKEN" + secret
	closed := s3store.Start(t)
	closed.Down()
	for _, tc := range []struct {
		location string
		code     uint16
		text     string
	}{
		{s.Location("none.csv") + keys, 8160, "Failed to read source files. Reason: s3://data/none.csv: there is no such file. Please check the file location is correct"},
		{s.Location("x*.csv") + keys, 8173, "No file matched, or the file is empty"},
		{s.Location("empty.csv") + keys, 8173, "No file matched, or the file is empty"},
		{s.Location("[a.csv") + keys, 8158, "Glob pattern error: syntax error in pattern"},
		{strings.Replace(s.Location("a.csv"), "data", "nothing", 1) + keys, 8159, "Access to the data source has been denied. Reason: there is no bucket s3://nothing. Please check the URI"},
		{s.Location("a.csv") + "&access-key=OTHER&secret-access-key=" + secret, 8159, "Access to the data source has been denied. Reason: s3://data/a.csv: Forbidden (HTTP 403)"},
		{s.Location("*.csv") + "&access-key=OTHER&provider=ceph&secret-access-key=" + secret, 8159, "InvalidAccessKeyId: The Access Key Id you provided does not exist in our records (HTTP 403)"},
		{s.Location("a.csv") + keys + "&region=eu-west-1", 8159, "region are not matched"},
		{closed.Location("a.csv") + keys, 8159, "connection refused"},
		{"s3://data/a.csv?endpoint=http%3A%2F%2F" + "host.invalid" + keys, 8159, "host.invalid"},
		{s.Location("a.csv") + "&secret-access-key=" + secret, 8158, "access-key not found"},
		{s.Location("a.csv") + "&access-key=" + secret, 8158, "secret-access-key not found"},
		{s.Location("a.csv") + keys + "&acess-key=" + secret, 8158, "unknown parameter acess-key"},
		{s.Location("a.csv") + keys + "&" + secret + secret, 8158, "unknown parameter SECRETse..."},
		{s.Location("a.csv") + keys + "&access_key=" + secret, 8158, "parameter access-key is given twice"},
		{s.Location("a.csv") + keys + "&force-path-style=" + secret, 8158, "parameter force-path-style must be true or false"},
		{s.Location("a.csv") + keys + "&a=%zz", 8158, "parameters can't be parsed"},
		{s.Location("a#b.csv") + keys, 8158, "written %23"},
		{"s3://" + secret + "@data/a.csv?" + keys[1:], 8158, "credentials are given as parameters"},
		{"s3://data/a.csv?endpoint=http://u:" + secret + "@host" + keys, 8158, "endpoint must be a URL"},
		{"s3://data/a.csv?endpoint=host:80" + keys, 8158, "endpoint must be a URL"},
		{"s3:///a.csv?" + keys[1:], 8158, "please specify the bucket"},
		{"s3://data/?" + keys[1:], 8158, "no file is named in bucket data"},
		{"s3://da ta%/a.csv?" + keys[1:], 8158, "the URL can't be parsed"},
	} {
		t.Run(tc.location[:min(60, len(tc.location))], func(t *testing.T) {
			t.Parallel()
			store, err := source.Open(t.Context(), tc.location, source.Hasty(source.Config{Patience: time.Millisecond, Stall: 5 * time.Minute}))
			if err == nil {
				_, err = store.List(t.Context())
			}
			e := fault.As(err)
			require.NotNil(t, e, "%v", err)
			require.Contains(t, err.Error(), tc.text)
			require.Equal(t, tc.code, e.Code, "%v", err)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestS3Parameters: credentials of the configuration are for locations without any, and for no other endpoint.
func TestS3Parameters(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	s.Put("a.csv", []byte("1\n"))
	ours := source.S3{Endpoint: s.Endpoint(), AccessKey: s.AccessKey, SecretAccessKey: s.SecretKey}
	theirs := source.S3{Endpoint: s.Endpoint(), AccessKey: "THEIRS", SecretAccessKey: "x"}
	elsewhere := source.S3{Endpoint: "http://127.0.0.1:1", AccessKey: s.AccessKey, SecretAccessKey: s.SecretKey}
	for _, tc := range []struct {
		location string
		s3       source.S3
		ok       bool
	}{
		{"s3://data/a.csv", ours, true},
		{s.Location("a.csv"), ours, true},
		{s.Location("a.csv") + "%2F", ours, true},
		{"S3://data/a.csv", ours, true},
		{"s3://data/a.csv", theirs, false},
		{s.Location("a.csv"), elsewhere, false},
		{"s3://data/a.csv?" + strings.SplitN(s.WithKeys(""), "&", 2)[1], theirs, true},
		{"s3://data/a.csv?access_key=NONE&Secret_Access_Key=x", ours, false},
		{s.WithKeys("a.csv"), elsewhere, true},
		{s.WithKeys("a.csv") + "&storage_class=COLD&sse=aws%3Akms&sse-kms-key-id=k&acl=private&object-lock-enabled=true&provider=minio&region=us-east-1", source.S3{}, true},
	} {
		store := openStore(t, tc.location, source.Hasty(source.Config{S3: tc.s3, Patience: time.Millisecond, Stall: 5 * time.Minute}))
		_, err := store.List(t.Context())
		require.Equal(t, tc.ok, err == nil, "%s: %v", tc.location, err)
	}
	require.NoError(t, ours.Validate())
	for _, bad := range []source.S3{{Endpoint: "x"}, {AccessKey: "a"}, {SessionToken: "t"}, {ExternalID: "e"}} {
		require.Error(t, bad.Validate())
	}
}

// changes are what may happen to an object that was listed.
func TestS3ChangedFiles(t *testing.T) {
	t.Parallel()
	data := bytesOf(9<<20, 1)
	for name, change := range map[string]func(s *s3store.Server){
		"other bytes": func(s *s3store.Server) { s.Put("a.csv", bytesOf(len(data), 2)) },
		"longer":      func(s *s3store.Server) { s.Put("a.csv", append(bytes.Clone(data), 'x')) },
		"shorter":     func(s *s3store.Server) { s.Put("a.csv", data[:10]) },
		"gone":        func(s *s3store.Server) { s.Delete("a.csv") },
	} {
		for _, fault := range []s3store.Fault{s3store.None, s3store.NoCondition} {
			for _, ahead := range []bool{false, true} {
				t.Run(fmt.Sprint(name, fault, ahead), func(t *testing.T) {
					t.Parallel()
					s := s3store.Start(t)
					s.OnRequest(func(*http.Request) s3store.Fault { return fault })
					s.Put("a.csv", data)
					store := openStore(t, s.WithKeys("a.csv"), source.Config{})
					file := listed(t, store)[0]
					reader, stop := store, func() {}
					if ahead {
						reader, stop = source.NewAhead(t.Context(), store, []source.File{file}, source.AheadParts*128<<10)
					}
					defer stop()
					in, err := reader.Open(t.Context(), file, 1)
					require.NoError(t, err)
					first := make([]byte, 10)
					_, err = io.ReadFull(in, first)
					require.NoError(t, err)
					require.Equal(t, data[1:11], first)
					change(s)
					rest, err := io.ReadAll(in)
					requireCode(t, err, 8160)
					require.True(t, bytes.HasPrefix(data[11:], rest), "bytes of another version")
					require.NoError(t, in.Close())

					_, err = store.Open(t.Context(), file, 5)
					requireCode(t, err, 8160)
					_, err = store.Open(t.Context(), file, file.Size)
					requireCode(t, err, 8160)
				})
			}
		}
	}
}

func requireCode(t *testing.T, err error, code uint16) {
	t.Helper()
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	require.Equal(t, code, e.Code, "%v", err)
	require.NotErrorIs(t, err, source.ErrAway)
}

// TestS3FlakyStore reads files from random places while every third request or so goes wrong, and gets every
// byte once.
func TestS3FlakyStore(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	rnd := rand.New(rand.NewPCG(7, 8))
	var want [][]byte
	for i := range 12 {
		size := []int{0, 1, 70_000, 300_000, 1 << 20, 5 << 20}[rnd.IntN(6)] + rnd.IntN(1000)*(i%2)
		want = append(want, bytesOf(size, uint64(i)))
		s.Put(fmt.Sprintf("f%02d.csv", i), want[i])
	}
	var mu sync.Mutex // guards chance and faults
	chance := rand.New(rand.NewPCG(9, 10))
	faults := map[s3store.Fault]int{}
	s.OnRequest(func(r *http.Request) s3store.Fault {
		mu.Lock()
		defer mu.Unlock()
		if !s3store.IsRead(r) && chance.IntN(3) > 0 {
			return s3store.None
		}
		list := []s3store.Fault{s3store.None, s3store.None, s3store.None, s3store.None, s3store.None, s3store.None, s3store.Internal, s3store.SlowDown, s3store.Reset}
		if s3store.IsRead(r) {
			list = append(list, s3store.Cut, s3store.Cut, s3store.ShortLength, s3store.LongLength, s3store.WholeFile, s3store.OtherRange, s3store.Garbage)
		}
		f := list[chance.IntN(len(list))]
		faults[f]++
		return f
	})
	cfg := source.Hasty(source.Config{})
	store := openStore(t, s.WithKeys("f*.csv"), cfg)
	files := listed(t, store)
	require.Len(t, files, len(want))
	reader, stop := source.NewAhead(t.Context(), store, files, source.AheadParts*100_000)
	defer stop()
	for round := range 3 {
		for i, file := range files {
			offset := int64(0)
			if round > 0 {
				offset = rnd.Int64N(file.Size + 1)
			}
			require.True(t, bytes.Equal(want[i][offset:], read(t, reader, file, offset)), "file %d from %d, read ahead", i, offset)
			if round < 2 && file.Size < 1<<20 {
				require.True(t, bytes.Equal(want[i][offset:], read(t, store, file, offset)), "file %d from %d", i, offset)
			}
			if round == 2 && rnd.IntN(3) == 0 { // given up within
				in, err := reader.Open(t.Context(), file, offset)
				require.NoError(t, err)
				_, err = io.CopyN(io.Discard, in, min(1000, file.Size-offset))
				require.NoError(t, err)
				require.NoError(t, in.Close())
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	require.Greater(t, len(faults), 9, "%v", faults)
}

// TestS3Away: a store that is away is waited for, and told of once; the end of the patience names file and byte.
func TestS3Away(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	data := bytesOf(1<<20, 3)
	s.Put("a.csv", data)
	troubles := make(chan source.Trouble, 10)
	cfg := source.Hasty(source.Config{Trouble: func(tr source.Trouble) { troubles <- tr }})
	store := openStore(t, s.WithKeys("a.csv"), cfg)
	files := listed(t, store)
	reader, stop := source.NewAhead(t.Context(), store, files, source.AheadParts*64<<10)
	defer stop()
	in, err := reader.Open(t.Context(), files[0], 0)
	require.NoError(t, err)
	first := make([]byte, 1000)
	_, err = io.ReadFull(in, first)
	require.NoError(t, err)
	s.Down()
	rest := make(chan []byte)
	go func() {
		data, err := io.ReadAll(in)
		if err != nil {
			data = []byte(err.Error())
		}
		rest <- data
	}()
	trouble := <-troubles
	require.Contains(t, trouble.Reason, "connection refused")
	require.False(t, trouble.Over)
	require.Equal(t, "s3://data/a.csv", trouble.Location)
	s.Up()
	require.True(t, bytes.Equal(data[1000:], <-rest))
	require.True(t, (<-troubles).Over)
	require.NoError(t, in.Close())

	for len(troubles) > 0 {
		<-troubles
	}
	impatient := source.Hasty(source.Config{Patience: 30 * time.Millisecond, Stall: 5 * time.Minute})
	store = openStore(t, s.WithKeys("a.csv"), impatient)
	in, err = store.Open(t.Context(), files[0], 17)
	require.NoError(t, err)
	_, err = io.ReadFull(in, first)
	require.NoError(t, err)
	s.Down()
	_, err = io.ReadAll(in)
	require.ErrorIs(t, err, source.ErrAway)
	require.Equal(t, uint16(8160), fault.As(err).Code)
	require.Contains(t, err.Error(), "s3://data/a.csv at byte ")
	require.Contains(t, err.Error(), "can't be read, for ")
	require.NoError(t, in.Close())
}

// TestS3Hangs: a request that hangs is given up, and another one gets the bytes.
func TestS3Hangs(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	s.Put("a.csv", []byte("0123456789"))
	var mu sync.Mutex
	hung := map[string]bool{}
	s.OnRequest(func(r *http.Request) s3store.Fault {
		mu.Lock()
		defer mu.Unlock()
		if what := r.Method + r.URL.Path; !hung[what] {
			hung[what] = true
			return s3store.Hang
		}
		return s3store.None
	})
	store := openStore(t, s.WithKeys("a.csv"), source.Hasty(source.Config{Stall: time.Second}))
	require.Equal(t, "789", string(read(t, store, listed(t, store)[0], 7)))
	require.Len(t, hung, 3)
}

// TestS3EndsWithItsContext: neither a hanging request nor a pause between two tries keeps a job.
func TestS3EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ended := errors.New("the job is paused")
	for _, kind := range []s3store.Fault{s3store.Hang, s3store.SlowDown} {
		s := s3store.Start(t)
		s.Put("a.csv", bytesOf(3<<20, 1))
		store := openStore(t, s.WithKeys("a.csv"), source.Config{})
		files := listed(t, store)
		arrived := make(chan struct{}, 1000)
		s.OnRequest(func(*http.Request) s3store.Fault {
			arrived <- struct{}{}
			return kind
		})
		for _, ahead := range []bool{false, true} {
			ctx, cancel := context.WithCancelCause(t.Context())
			reader, stop := store, func() {}
			if ahead {
				reader, stop = source.NewAhead(ctx, store, files, 1<<20)
			}
			done := make(chan error, 1)
			go func() {
				in, err := reader.Open(ctx, files[0], 0)
				if err == nil {
					_, err = io.ReadAll(in)
				}
				done <- err
			}()
			<-arrived
			cancel(ended)
			began := time.Now()
			require.ErrorIs(t, <-done, ended)
			stop()
			require.Less(t, time.Since(began), time.Minute) // the pause of a store that is slow down is longer in the end
			_, err := store.List(ctx)
			require.ErrorIs(t, err, ended)
		}
		s.OnRequest(nil)
	}
}

// TestAheadBounds: no more is asked for than there is room for, and the next files are on their way while one is read.
func TestAheadBounds(t *testing.T) {
	t.Parallel()
	s := s3store.Start(t)
	for i := range 40 {
		s.Put(fmt.Sprintf("f%02d.csv", i), []byte(fmt.Sprint("row ", i)))
	}
	store := openStore(t, s.WithKeys("f*.csv"), source.Config{})
	files := listed(t, store)
	var mu sync.Mutex
	reads, most := 0, 0
	full := make(chan struct{})
	s.OnRequest(func(r *http.Request) s3store.Fault {
		mu.Lock()
		defer mu.Unlock()
		if s3store.IsRead(r) {
			if reads++; reads == source.AheadParts {
				close(full)
			}
			most = max(most, reads)
		}
		return s3store.None
	})
	reader, stop := source.NewAhead(t.Context(), store, files, source.AheadParts*64<<10)
	defer stop()
	in, err := reader.Open(t.Context(), files[0], 0)
	require.NoError(t, err)
	<-full // without a byte read
	mu.Lock()
	require.Equal(t, source.AheadParts, most)
	mu.Unlock()
	require.NoError(t, in.Close())
	for i, file := range files {
		require.Equal(t, fmt.Sprint("row ", i), string(read(t, reader, file, 0)))
	}
	mu.Lock()
	defer mu.Unlock()
	require.LessOrEqual(t, reads, len(files)+source.AheadParts)
}
