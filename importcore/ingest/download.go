package ingest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/tidb/pkg/util/codec"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
)

const (
	downloadMethod = "/import_sstpb.ImportSST/Download"
	// downloadTimeout bounds the download of one file by one store: TiKV gives one up itself that is slower
	// than 8 KiB/s, and files have up to some hundred MiB.
	downloadTimeout = 30 * time.Minute
	// defaultPerStore is how many files a store downloads at a time: it has 8 threads for that.
	defaultPerStore = 8
)

// Column families of TiKV.
const (
	cfDefault = "default"
	cfWrite   = "write"
)

// File is an SST that stores can download.
type File struct {
	// Name is its path below DownloadOptions.Storage.
	Name string
	// CF is the column family: default or write.
	CF string
	// Size in bytes, as it is stored.
	Size int64
	// IV is what it was encrypted with beside the key; nil if it wasn't.
	IV []byte
}

// Download is a piece of the key space and the files that hold its pairs.
type Download struct {
	// Start and End are raw keys as they will be in the cluster: [Start, End).
	Start, End []byte
	// Old and New are what the keys begin with in the files and in the cluster, raw and equally long. All keys of the range
	// begin with New.
	Old, New []byte
	// Files are those of both column families; more keys than [Start, End) in them are left out.
	Files []File
}

// bytes is the size of the files.
func (d *Download) bytes() (n int64) {
	for i := range d.Files {
		n += d.Files[i].Size
	}
	return n
}

// DownloadOptions say how to download. Of Options, CommitTS, Total, RegionSplitSize, RegionSplitKeys and MemoryBudget
// mean nothing, but that regions are cut where files of RegionSplitSize are between two cuts; WriteSpeedLimit counts bytes of files; Done is told no pairs and bytes,
// and Sent the files' bytes when all of their range is in the cluster.
type DownloadOptions struct {
	Options
	// Storage is where the files are, as each store gets at it. It may hold credentials, and is never logged.
	Storage *backuppb.StorageBackend
	// CacheID, another one for each run, makes stores keep what they need for Storage.
	CacheID string
	// Cipher is how the files are encrypted; nil: they are not.
	Cipher *backuppb.CipherInfo
	// NewTimestamp, if it isn't 0, is that of all pairs, in place of those in the files. It must stay the same when a
	// job is repeated.
	NewTimestamp uint64
	// PerStore is the number of files that a store downloads at a time; default 8.
	PerStore int
}

// RunDownloads brings the pairs of files into the cluster, whatever timestamps they have in there (but see NewTimestamp), and returns what it did.
// The ranges must be disjoint and ascending. Errors and repetition are as for Run.
func RunDownloads(ctx context.Context, c Cluster, parts []Download, opts DownloadOptions) (Stats, error) {
	ranges := make([]Range, 0, len(parts))
	for i := range parts {
		p := &parts[i]
		if !bytes.HasPrefix(p.Start, p.New) || bytes.Compare(p.End, afterPrefix(p.New)) > 0 || len(p.Old) != len(p.New) || len(p.Files) == 0 {
			return Stats{}, fault.New(fault.Sluice, 0, "the range [%x, %x) can't be had from keys with %x as those with %x", p.Start, p.End, p.Old, p.New)
		}
		ranges = append(ranges, Range{Start: p.Start, End: p.End, Bytes: p.bytes()})
	}
	if err := validate(ranges); err != nil {
		return Stats{}, err
	}
	r := newRunner(c, opts.Options)
	if opts.PerStore <= 0 {
		opts.PerStore = defaultPerStore
	}
	r.get, r.slots = &opts, newSlots(opts.PerStore)
	return r.run(ctx, ranges, parts)
}

// afterPrefix returns the first key behind all that begin with a prefix.
func afterPrefix(prefix []byte) []byte {
	next := slices.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			break
		}
	}
	return next
}

// bySize cuts where at least so many bytes lie between two cuts, so that many small tables share a region, and
// groups the ranges around the cuts.
func bySize(ranges []Range, size int64) (keys [][]byte, groups [][]Range) {
	var total int64
	from := 0
	for i, rng := range ranges {
		if total > 0 && total+rng.Bytes > size {
			keys = append(keys, rng.Start)
			groups = append(groups, ranges[from:i])
			from, total = i, 0
		}
		total += rng.Bytes
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return keys, append(groups, ranges[from:])
}

// slots are the places that stores have for requests.
type slots struct {
	each int
	mu   struct {
		sync.Mutex
		byStore map[uint64]chan struct{}
	}
}

func newSlots(each int) *slots {
	s := &slots{each: each}
	s.mu.byStore = map[uint64]chan struct{}{}
	return s
}

// take waits for a place at a store, which the caller gives back.
func (s *slots) take(ctx context.Context, store uint64) (giveBack func(), err error) {
	s.mu.Lock()
	places := s.mu.byStore[store]
	if places == nil {
		places = make(chan struct{}, s.each)
		s.mu.byStore[store] = places
	}
	s.mu.Unlock()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// download runs StageWrite for files: every peer of the region gets what they have between the cursor and the region's
// or the range's end. Without pairs there it only moves the cursor.
func (j *job) download(ctx context.Context) *failure {
	j.sst = nil
	if j.region.Leader == nil {
		return fail(KindNoLeader, 0, "region %d has no leader", j.region.ID())
	}
	stop := clipToRegion(j.rng.End, j.region)
	if stop.enc != nil {
		return fail(KindRefused, 0, "region %d ends within the range, at %x, which is no key of TiDB", j.region.ID(), stop.enc)
	}
	out := &sst{region: j.region, next: stop.end, began: time.Now()}
	for i := range j.from.Files {
		meta, f := j.downloadFile(ctx, &j.from.Files[i], stop.end)
		if f != nil {
			f.cause = fmt.Errorf("download %s: %w", j.from.Files[i].Name, f.cause)
			return f
		}
		if meta != nil {
			out.metas = append(out.metas, meta)
		}
	}
	if len(out.metas) == 0 {
		j.cursor = stop.end
		return nil
	}
	if !slices.ContainsFunc(out.metas, func(m *import_sstpb.SSTMeta) bool { return m.CfName == cfWrite }) {
		return fail(KindDamaged, 0, "the files %s hold values in [%x, %x) that nothing refers to", j.from.Files[0].Name, j.cursor, stop.end)
	}
	j.sst = out
	return nil
}

// downloadFile has every peer download one file, for keys from the cursor to end, and returns it as it has to be ingested, nil if
// there is nothing in it.
func (j *job) downloadFile(ctx context.Context, file *File, end []byte) (*import_sstpb.SSTMeta, *failure) {
	id := uuid.New()
	req := j.downloadRequest(file, end)
	req.Sst.Uuid = id[:]
	peers := j.region.Meta.GetPeers()
	answers, failures := make([]*import_sstpb.DownloadResponse, len(peers)), make([]*failure, len(peers))
	g, callCtx := errgroup.WithContext(ctx)
	for i, p := range peers {
		g.Go(fault.Contain(func() error {
			answers[i], failures[i] = j.downloadAt(callCtx, p.GetStoreId(), file, req)
			if failures[i] != nil {
				return failures[i].cause // the others needn't go on
			}
			return nil
		}))
	}
	first := g.Wait()
	for _, f := range failures {
		if f != nil && f.cause == first { //nolint:errorlint // the very same one, which others were cancelled for
			return nil, f
		}
	}
	if first != nil {
		return nil, &failure{kind: KindOther, cause: first}
	}
	for i, a := range answers[1:] {
		if a.IsEmpty != answers[0].IsEmpty || a.Range.String() != answers[0].Range.String() {
			return nil, fail(KindPeersDiffer, peers[i+1].GetStoreId(), "peers found different keys: %v and %v", answers[0].Range.String(), a.Range.String())
		}
	}
	if answers[0].IsEmpty {
		return nil, nil
	}
	return j.ingestable(req, &answers[0].Range)
}

// ingestable returns the description of a downloaded file for its ingest. kept are its keys, with timestamps.
func (j *job) ingestable(req *import_sstpb.DownloadRequest, kept *import_sstpb.Range) (*import_sstpb.SSTMeta, *failure) {
	const tsLen = 8
	if len(kept.Start) <= tsLen || len(kept.End) <= tsLen {
		return nil, fail(KindInvalid, 0, "a store kept the keys [%x, %x] of a file, which have no timestamp", kept.Start, kept.End)
	}
	meta := req.Sst
	meta.EndKeyExclusive = false
	meta.Range = &import_sstpb.Range{Start: kept.Start[:len(kept.Start)-tsLen], End: kept.End[:len(kept.End)-tsLen]}
	for _, key := range [][]byte{meta.Range.Start, meta.Range.End} {
		if !j.region.Contains(key) {
			return nil, fail(KindInvalid, 0, "a store kept key %x of a file, which is outside of region %d", key, j.region.ID())
		}
	}
	return &meta, nil
}

// downloadRequest is what all peers get. Its keys and prefixes have the enc form, which all releases understand.
func (j *job) downloadRequest(file *File, end []byte) *import_sstpb.DownloadRequest {
	now := encPrefix(j.from.New)
	keys := &import_sstpb.Range{Start: region.Enc(j.cursor), End: region.Enc(end)}
	exclusive := bytes.HasPrefix(keys.End, now)
	if !exclusive {
		// The end has to begin with the prefix too. Behind it there is nothing in the file.
		keys.End = append(slices.Clone(now), bytes.Repeat([]byte{0xff}, 10)...)
	}
	return &import_sstpb.DownloadRequest{
		Sst: import_sstpb.SSTMeta{
			Range: keys, EndKeyExclusive: exclusive, Length: uint64(file.Size), CfName: file.CF, CipherIv: file.IV,
			RegionId: j.region.ID(), RegionEpoch: j.region.Meta.GetRegionEpoch(),
		},
		Name:           file.Name,
		RewriteRule:    import_sstpb.RewriteRule{OldKeyPrefix: encPrefix(j.from.Old), NewKeyPrefix: now, NewTimestamp: j.get.NewTimestamp},
		StorageBackend: j.get.Storage, StorageCacheId: j.get.CacheID, CipherInfo: j.get.Cipher,
	}
}

// encPrefix returns what enc forms of keys with a prefix begin with: its whole groups of eight bytes are encoded, and what is
// left is the beginning of the next group.
func encPrefix(raw []byte) []byte {
	whole := len(raw) - len(raw)%8
	enc := codec.EncodeBytes(nil, raw[:whole])
	return append(enc[:len(enc)-9], raw[whole:]...)
}

// downloadAt has one store download a file.
func (j *job) downloadAt(ctx context.Context, store uint64, file *File, req *import_sstpb.DownloadRequest) (*import_sstpb.DownloadResponse, *failure) {
	giveBack, err := j.slots.take(ctx, store)
	if err != nil {
		return nil, &failure{kind: KindOther, store: store, cause: err}
	}
	defer giveBack()
	j.careful.follow(store)
	if j.limits != nil {
		began := time.Now()
		err := j.limits.wait(ctx, store, int(file.Size))
		j.opts.Waits.Limit.since(began)
		if err != nil {
			return nil, &failure{kind: KindOther, store: store, cause: err}
		}
	}
	if f := j.hold(ctx); f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	resp := &import_sstpb.DownloadResponse{}
	if f := j.invoke(ctx, call{store, downloadMethod, j.opts.Hold, KindWriteTimeout}, req, resp); f != nil {
		return nil, f
	}
	e := resp.GetError()
	switch {
	case e == nil:
		return resp, nil
	case e.GetStoreError() != nil:
		return nil, classifyRegionError(store, e.GetStoreError(), region.Region{})
	default:
		return nil, classifyDownloadText(store, e.GetMessage())
	}
}
