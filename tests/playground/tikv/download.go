package tikv

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/sst"
	"golang.org/x/time/rate"
)

// downloadDir is where the stores keep downloaded files until they are ingested.
const downloadDir = "import"

// badTable is TiKV's text for a file that is no table, by which clients know a wrong key.
const badTable = `Engine Engine(Status { code: IoError, state: "Corruption: Bad table magic number: %w in %s" })`

// cannotRead is TiKV's text for a file that the storage doesn't give.
const cannotRead = "Cannot read %s/%s into %s: %w"

// Download implements import_sstpb.ImportSSTServer: a file of a backup is fetched,
// decrypted and rewritten, and what of it lies in the request's range belongs to
// this store from then on. As in TiKV whatever goes wrong is said in the response,
// the region's epoch is not looked at, and sums are not compared.
func (im *importer) Download(ctx context.Context, req *import_sstpb.DownloadRequest) (*import_sstpb.DownloadResponse, error) {
	name, err := nameOf(&req.Sst, req.Sst.CfName)
	if err != nil {
		return refuseDownload("invalid uuid: %v", err), nil
	}
	if cf := req.Sst.CfName; cf != cfDefault && cf != cfWrite {
		return nil, im.store.cluster.violate("Download into the column family %q: TiKV panics", cf)
	}
	if req.IsRawKv || req.ResolvedTs != 0 || len(req.Ssts) > 0 {
		return nil, unimplemented("Download of raw or merged files")
	}
	resp, err := im.download(ctx, req, name)
	if err != nil {
		return refuseDownload("%v", err), nil
	}
	return resp, nil
}

func refuseDownload(format string, args ...any) *import_sstpb.DownloadResponse {
	return &import_sstpb.DownloadResponse{Error: &import_sstpb.Error{Message: fmt.Sprintf(format, args...)}}
}

// importThreads is TiKV's import.num-threads: so many files are downloaded at a time, and the others wait.
const importThreads = 8

func (im *importer) download(ctx context.Context, req *import_sstpb.DownloadRequest, name fileName) (*import_sstpb.DownloadResponse, error) {
	if err := im.downloading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer im.downloading.Release(1)
	data, err := im.fetch(ctx, req)
	if err != nil {
		return nil, err
	}
	in, err := sst.NewReader(data)
	if err != nil {
		return nil, fmt.Errorf(badTable, err, req.Name) //nolint:staticcheck // TiKV's text
	}
	defer func() { _ = in.Close() }() // it reads from memory
	rw, err := newRewriter(req)
	if err != nil {
		return nil, err
	}
	f, err := rw.run(ctx, in)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return &import_sstpb.DownloadResponse{IsEmpty: true}, nil
	}
	f.path = filepath.Join(im.dir(), string(name)+".sst")
	if err := f.save(); err != nil {
		return nil, err
	}
	im.keep(f)
	im.written.Add(1)
	return &import_sstpb.DownloadResponse{Range: import_sstpb.Range{Start: rw.firstKey, End: rw.lastKey}}, nil
}

// fetch reads the whole file, no faster than the store's limit allows, and decrypts it.
func (im *importer) fetch(ctx context.Context, req *import_sstpb.DownloadRequest) ([]byte, error) {
	from, err := openStorage(ctx, req.StorageBackend)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	data, err := from.ReadFile(ctx, req.Name)
	if err != nil {
		return nil, fmt.Errorf(cannotRead, backendName(req.StorageBackend), req.Name, im.dir(), err) //nolint:staticcheck // TiKV's text
	}
	if err := waitBytes(ctx, im.limiter(), len(data)); err != nil {
		return nil, err
	}
	if want := req.Sst.Length; want != 0 && uint64(len(data)) != want {
		return nil, fmt.Errorf("downloaded size %d, expected %d", len(data), want)
	}
	return data, cryptFile(req.CipherInfo, req.Sst.CipherIv, data)
}

func backendName(b *backuppb.StorageBackend) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", b.GetBackend()), "*brpb.StorageBackend_")
}

// limiter returns the store's limit for downloads, nil for none.
func (im *importer) limiter() *rate.Limiter {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.mu.speed
}

func (im *importer) dir() string {
	return filepath.Join(im.store.engine.dir, downloadDir, fmt.Sprint(im.store.id))
}

// ClearFiles implements import_sstpb.ImportSSTServer: files whose names begin with
// the prefix, and that nobody is ingesting, are dropped.
func (im *importer) ClearFiles(_ context.Context, req *import_sstpb.ClearRequest) (*import_sstpb.ClearResponse, error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.dropLocked(func(name fileName, _ *sstFile) bool { return strings.HasPrefix(string(name), req.Prefix) })
	return &import_sstpb.ClearResponse{}, nil
}

// downloadFault plays a fault of a Download; nil means that the request goes on.
// Download does not care who leads and which epoch the region has: the ingest that
// follows will meet the change.
func (s *store) downloadFault(kind fault.Kind, req *import_sstpb.DownloadRequest) *import_sstpb.DownloadResponse {
	id := req.Sst.RegionId
	switch kind {
	case fault.NotLeader:
		if r := s.regions.byID(id); r != nil {
			s.regions.moveLeader(id, r.leader.Load())
		}
		return nil
	case fault.EpochNotMatch:
		s.regions.bumpEpoch(id)
		return nil
	case fault.ServerIsBusy:
		resp := refuseDownload("ResourceNotEnough: injected fault")
		resp.Error.StoreError = s.regionFault(kind, nil)
		return resp
	case fault.RegionNotFound:
		return refuseDownload("region %d not found, maybe it's not a replica of this store", id)
	case fault.DiskFull:
		return refuseDownload("not enough disk space")
	}
	return refuseDownload("injected fault %s", kind)
}

// save writes the table of a downloaded file to its path.
func (f *sstFile) save() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return err
	}
	data, err := f.table.Finish()
	if err != nil {
		return err
	}
	f.table = nil
	return os.WriteFile(f.path, data, 0o640)
}

// open reads a downloaded file; the caller closes it.
func (f *sstFile) open() (*sst.Reader, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	return sst.NewReader(data)
}

// eachRecord calls fn for every version in a downloaded write file; a long value
// comes from the default files that are ingested with it.
func (f *sstFile) eachRecord(fn func(p sstPair, commitTS uint64) error) error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it reads from memory
	long, err := openDefaults(f.defaults)
	if err != nil {
		return err
	}
	defer long.close()
	return in.Each(func(key, value []byte) error {
		raw, ts, err := sst.ParseDataKey(key)
		if err != nil {
			return err
		}
		rec, err := sst.ParseRecord(value)
		if err != nil {
			return fmt.Errorf("key %x: %w", raw, err)
		}
		p := sstPair{key: raw, value: rec.Short, startTS: rec.StartTS}
		switch rec.Kind {
		case sst.Lock, sst.Rollback:
			return nil // nothing that can be seen
		case sst.Delete:
			p.op = import_sstpb.Pair_Delete
			return fn(p, ts)
		}
		if rec.Long() {
			if p.value, err = long.get(sst.DataKey(raw, rec.StartTS)); err != nil {
				return err
			}
		}
		if len(p.value) == 0 {
			return fmt.Errorf("the playground's engine can't keep an empty value, key %x", raw)
		}
		p.value = append([]byte{}, p.value...)
		return fn(p, ts)
	})
}

// defaults are the default files of one ingest.
type defaults []*sst.Finder

func openDefaults(files []*sstFile) (d defaults, err error) {
	for _, f := range files {
		in, err := f.open()
		if err == nil {
			var find *sst.Finder
			if find, err = in.Finder(); err == nil {
				d = append(d, find)
			}
		}
		if err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func (d defaults) close() {
	for _, f := range d {
		_ = f.Close() // it reads from memory
	}
}

// errNoValue marks a record whose value is in no default file: a TiKV that has
// ingested it panics when it is read.
type errNoValue struct{ key []byte }

func (e *errNoValue) Error() string {
	return "the value of a record is in no default file that is ingested with it, key " + hex.EncodeToString(e.key)
}

func (d defaults) get(key []byte) ([]byte, error) {
	for _, f := range d {
		value, ok, err := f.Get(key)
		if ok || err != nil {
			return value, err
		}
	}
	return nil, &errNoValue{key}
}

// digestOf adds an entry to the digest of a file.
func digestOf(digest uint32, key, value []byte) uint32 {
	return crc32.Update(crc32.Update(digest, castagnoli, key), castagnoli, value)
}

// fileMeta returns a copy that the file owns.
func fileMeta(m *import_sstpb.SSTMeta) *import_sstpb.SSTMeta {
	return proto.Clone(m).(*import_sstpb.SSTMeta)
}
