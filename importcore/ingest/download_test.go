package ingest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/tidb/pkg/util/codec"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

const tsSuffix = "\x00\x01\x02\x03\x04\x05\x06\x07"

// Download implements import_sstpb.ImportSSTServer as TiKV does for keys and prefixes in enc form.
func (s *fakeStore) Download(ctx context.Context, req *import_sstpb.DownloadRequest) (*import_sstpb.DownloadResponse, error) {
	s.kv.mu.Lock()
	defer s.kv.mu.Unlock()
	r := s.kv.byID(req.Sst.RegionId)
	if failed, err := s.fault("Download", &fakeCall{ctx: ctx, region: r}); failed {
		return nil, err
	}
	refuse := func(format string, args ...any) (*import_sstpb.DownloadResponse, error) {
		return &import_sstpb.DownloadResponse{Error: &import_sstpb.Error{Message: fmt.Sprintf(format, args...)}}, nil
	}
	file, ok := s.kv.archive[req.Name]
	if !ok {
		return refuse("Cannot read %s: No such file or directory (os error 2)", req.Name)
	}
	rule, keys := req.RewriteRule, req.Sst.Range
	if !bytes.HasPrefix(keys.Start, rule.NewKeyPrefix) || !bytes.HasPrefix(keys.End, rule.NewKeyPrefix) {
		return refuse("Wrong prefix: SST range %x %x", keys.Start, keys.End)
	}
	var kept []*import_sstpb.Pair
	for _, p := range file {
		rest, ok := bytes.CutPrefix(region.Enc(p.Key), rule.OldKeyPrefix)
		if !ok {
			return refuse("Wrong prefix: Key in SST %x", p.Key)
		}
		enc := append(slices.Clone(rule.NewKeyPrefix), rest...)
		with := append(slices.Clone(enc), tsSuffix...)
		end := bytes.Compare(with, keys.End)
		if bytes.Compare(with, keys.Start) < 0 || end > 0 || end == 0 && req.Sst.EndKeyExclusive {
			continue
		}
		_, raw, err := codec.DecodeBytes(enc, nil)
		if err != nil {
			return refuse("key %x can't be decoded", enc)
		}
		kept = append(kept, &import_sstpb.Pair{Key: raw, Value: p.Value})
	}
	if len(kept) == 0 {
		return &import_sstpb.DownloadResponse{IsEmpty: true}, nil
	}
	s.kv.files[s.id][fileName(&req.Sst, req.Sst.CfName)] = kept
	return &import_sstpb.DownloadResponse{Range: import_sstpb.Range{
		Start: append(region.Enc(kept[0].Key), tsSuffix...), End: append(region.Enc(kept[len(kept)-1].Key), tsSuffix...),
	}}, nil
}

// tableKey is a key as TiDB has them, by table and number.
func tableKey(table, row int) []byte {
	return fmt.Appendf(codec.EncodeInt([]byte("t"), int64(table)), "_r%08d", row)
}

func prefixOf(table int) []byte { return append(codec.EncodeInt([]byte("t"), int64(table)), "_r"...) }

// archived puts n rows of a table into each of so many parts, and returns how to have them as those of another table.
func (kv *fakeTiKV) archived(from, to, parts, n int) (out []Download) {
	kv.archive = map[string][]*import_sstpb.Pair{}
	for i := range parts {
		name := fmt.Sprintf("1/%d_%d_write.sst", from, i)
		for j := range n {
			kv.archive[name] = append(kv.archive[name], &import_sstpb.Pair{Key: tableKey(from, i*n+j), Value: fmt.Appendf(nil, "%d", i*n+j)})
		}
		end := tableKey(to, (i+1)*n)
		if i == parts-1 {
			end = afterPrefix(prefixOf(to))
		}
		out = append(out, Download{Start: tableKey(to, i*n), End: end, Old: prefixOf(from), New: prefixOf(to),
			Files: []File{{Name: name, CF: "write", Size: 1 << 20}}})
	}
	return out
}

func downloadOptions() DownloadOptions {
	return DownloadOptions{Options: Options{Concurrency: 3, Backoff: Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond, Tries: 20}}}
}

func (kv *fakeTiKV) requireRestored(t *testing.T, table, n int) {
	t.Helper()
	kv.mu.Lock()
	defer kv.mu.Unlock()
	require.Empty(t, kv.violations)
	require.Len(t, kv.data, n)
	for i := range n {
		require.Equal(t, fmt.Sprint(i), kv.data[string(tableKey(table, i))])
	}
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	for _, borders := range [][]string{
		nil,
		{string(tableKey(70, 33)), string(tableKey(70, 34)), string(tableKey(70, 55))},
		{string(prefixOf(70)), string(tableKey(70, 5)) + "x", string(tableKey(71, 0))},
	} {
		kv := newFakeTiKV(t, 3, borders...)
		parts := kv.archived(12, 70, 5, 20)
		var got []string
		opts := downloadOptions()
		opts.Concurrency = 1
		var sent int64
		opts.Sent = func(n int64) { sent += n }
		opts.Done = func(start, end []byte, _, _ int64) { got = append(got, string(start), string(end)) }
		stats, err := RunDownloads(t.Context(), kv, parts, opts)
		require.NoError(t, err)
		require.GreaterOrEqual(t, stats.SSTs, 5)
		kv.requireRestored(t, 70, 100)
		require.Equal(t, string(parts[0].Start), got[0])
		require.EqualValues(t, 5<<20, sent)
		require.Equal(t, string(parts[4].End), got[len(got)-1])
		require.Empty(t, kv.splitKeys, "it fits into one region")
	}
}

// TestDownloadCuts: regions are cut by the size of the files.
func TestDownloadCuts(t *testing.T) {
	t.Parallel()
	kv := newFakeTiKV(t, 2)
	parts := kv.archived(12, 70, 10, 5)
	opts := downloadOptions()
	opts.RegionSplitSize = 3 << 20
	_, err := RunDownloads(t.Context(), kv, parts, opts)
	require.NoError(t, err)
	kv.requireRestored(t, 70, 50)
	require.Equal(t, [][]byte{parts[3].Start, parts[6].Start, parts[9].Start}, kv.splitKeys)
	require.Len(t, kv.scattered, 4)
}

// TestDownloadFaults: what passes costs no pair, whatever stage it hits.
func TestDownloadFaults(t *testing.T) {
	t.Parallel()
	answer := func(e *errorpb.Error) func(*fakeStore, *fakeCall) error {
		return func(_ *fakeStore, c *fakeCall) error { c.answer = e; return nil }
	}
	for name, inject := range map[string]func(kv *fakeTiKV){
		"download fails": func(kv *fakeTiKV) {
			kv.inject("Download", func(*fakeStore, *fakeCall) error { return fmt.Errorf("somehow") })
		},
		"split before the download": func(kv *fakeTiKV) {
			kv.inject("Download", func(*fakeStore, *fakeCall) error { kv.cut(tableKey(70, 7)); return fmt.Errorf("somehow") })
		},
		"split before the ingest": func(kv *fakeTiKV) {
			kv.inject("MultiIngest", func(_ *fakeStore, c *fakeCall) error {
				kv.cut(tableKey(70, 7))
				c.answer = &errorpb.Error{EpochNotMatch: kv.current()}
				return nil
			})
		},
		"busy": func(kv *fakeTiKV) {
			kv.inject("MultiIngest", answer(&errorpb.Error{ServerIsBusy: &errorpb.ServerIsBusy{}}))
		},
		"not leader": func(kv *fakeTiKV) { kv.inject("MultiIngest", answer(&errorpb.Error{NotLeader: &errorpb.NotLeader{}})) },
		"stale command": func(kv *fakeTiKV) {
			kv.inject("MultiIngest", answer(&errorpb.Error{StaleCommand: &errorpb.StaleCommand{}}))
		},
		"answer lost": func(kv *fakeTiKV) {
			kv.inject("MultiIngest", func(_ *fakeStore, c *fakeCall) error { c.after = true; return fmt.Errorf("lost") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kv := newFakeTiKV(t, 3, string(tableKey(70, 50)))
			parts := kv.archived(12, 70, 4, 20)
			inject(kv)
			stats, err := RunDownloads(t.Context(), kv, parts, downloadOptions())
			require.NoError(t, err)
			require.NotEmpty(t, stats.Retries)
			kv.requireRestored(t, 70, 80)
		})
	}
}

// TestDownloadGivesUp: what doesn't pass ends the run at once, with the file's name.
func TestDownloadGivesUp(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(kv *fakeTiKV, parts []Download){
		"No such file":      func(kv *fakeTiKV, _ []Download) { delete(kv.archive, "1/12_1_write.sst") },
		"Key in SST":        func(kv *fakeTiKV, _ []Download) { kv.archive["1/12_1_write.sst"][3].Key = tableKey(13, 3) },
		"nothing refers to": func(_ *fakeTiKV, parts []Download) { parts[1].Files[0].CF = "default" },
	} {
		kv := newFakeTiKV(t, 3)
		parts := kv.archived(12, 70, 3, 10)
		change(kv, parts)
		stats, err := RunDownloads(t.Context(), kv, parts, downloadOptions())
		require.ErrorContains(t, err, text)
		require.ErrorContains(t, err, "1/12_1_write.sst")
		require.Equal(t, fault.Source, fault.As(err).Whose)
		require.Empty(t, stats.Retries)
	}
	kv := newFakeTiKV(t, 1)
	for _, bad := range []func(d *Download){
		func(d *Download) { d.Start = tableKey(71, 0) }, func(d *Download) { d.End = tableKey(71, 0) },
		func(d *Download) { d.Files = nil }, func(d *Download) { d.Old = d.Old[1:] }, func(d *Download) { d.End = d.Start },
	} {
		parts := kv.archived(12, 70, 1, 10)
		bad(&parts[0])
		_, err := RunDownloads(t.Context(), kv, parts, downloadOptions())
		require.Equal(t, fault.Sluice, fault.As(err).Whose)
	}
}

// TestDownloadAsks: nothing is downloaded or ingested without being allowed.
func TestDownloadAsks(t *testing.T) {
	t.Parallel()
	forbidden := fmt.Errorf("not ours any more")
	for _, what := range []string{"hold", "permit"} {
		kv := newFakeTiKV(t, 2)
		parts := kv.archived(12, 70, 2, 10)
		opts := downloadOptions()
		if no := func(context.Context) error { return forbidden }; what == "hold" {
			opts.Hold = no
		} else {
			opts.Permit = no
		}
		_, err := RunDownloads(t.Context(), kv, parts, opts)
		require.ErrorIs(t, err, forbidden)
		require.Empty(t, kv.data)
		if what == "hold" {
			require.Empty(t, kv.files[1])
		}
	}
	stop := make(chan struct{})
	close(stop)
	kv := newFakeTiKV(t, 2)
	opts := downloadOptions()
	opts.Stop = stop
	_, err := RunDownloads(t.Context(), kv, kv.archived(12, 70, 2, 10), opts)
	require.ErrorIs(t, err, ErrStopped)
	require.Empty(t, kv.data)
}

func TestEncPrefix(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 8, 9, 11, 16, 19, 24} {
		prefix := []byte(strings.Repeat("p", n))
		for _, rest := range []string{"x", "12345678", "a longer end of a key"} {
			require.True(t, bytes.HasPrefix(region.Enc(append(slices.Clone(prefix), rest...)), encPrefix(prefix)), "%d", n)
		}
	}
}
