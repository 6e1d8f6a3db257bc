package tikv

import (
	"bytes"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/encryptionpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/topology"
	"github.com/stretchr/testify/require"
)

// archive is a backup of the keys "ka..." in a folder.
type archive struct {
	storage *backuppb.StorageBackend
	cipher  *backuppb.CipherInfo
	files   []*backuppb.File
}

// newArchive puts pairs and backs them up; the newest request's changes apply.
func (b *bench) newArchive(pairs map[string]string, change func(*backuppb.BackupRequest)) *archive {
	b.t.Helper()
	for k, v := range pairs {
		b.put([]byte(k), []byte(v))
	}
	req := b.backupTo(b.t.TempDir())
	req.StartKey, req.EndKey = []byte("ka"), []byte("kb")
	if change != nil {
		change(req)
	}
	a := &archive{storage: req.StorageBackend, cipher: req.CipherInfo}
	for _, resp := range b.backUpAll(req) {
		a.files = append(a.files, resp.Files...)
	}
	return a
}

// shortAndLong has a value for each of the two column families.
func shortAndLong() map[string]string {
	return map[string]string{"ka1": "one", "ka2": strings.Repeat("two", 100), "ka3": "three"}
}

// download is a request for one file, rewritten from "ka" to "kn", by a careful client.
func (b *bench) download(a *archive, f *backuppb.File) *import_sstpb.DownloadRequest {
	r := b.region([]byte("kn"))
	id := uuid.New()
	epoch := *r.Meta.RegionEpoch
	return &import_sstpb.DownloadRequest{
		Sst: import_sstpb.SSTMeta{
			Uuid: id[:], RegionId: r.Meta.Id, RegionEpoch: &epoch, CfName: f.Cf, Length: f.Size_, CipherIv: f.CipherIv,
			Range: &import_sstpb.Range{Start: []byte("kn"), End: append([]byte("kn"), bytes.Repeat([]byte{0xff}, 10)...)},
		},
		Name: f.Name, StorageBackend: a.storage, CipherInfo: a.cipher,
		RewriteRule: import_sstpb.RewriteRule{OldKeyPrefix: []byte("ka"), NewKeyPrefix: []byte("kn")},
		RequestType: import_sstpb.DownloadRequestType_Keyspace,
	}
}

// downloadTo sends a request to some stores and returns the meta to ingest, nil for
// a file of which nothing is kept.
func (b *bench) downloadTo(req *import_sstpb.DownloadRequest, stores ...uint64) *import_sstpb.SSTMeta {
	b.t.Helper()
	meta := fileMeta(&req.Sst)
	for _, s := range stores {
		resp, err := b.sst(s).Download(b.ctx, req)
		require.NoError(b.t, err)
		require.Nil(b.t, resp.Error)
		if resp.IsEmpty {
			return nil
		}
		meta.Range = &import_sstpb.Range{Start: resp.Range.Start[:len(resp.Range.Start)-8], End: resp.Range.End[:len(resp.Range.End)-8]}
	}
	return meta
}

func (b *bench) storeIDs() []uint64 {
	var ids []uint64
	for _, s := range b.Stores() {
		ids = append(ids, s.ID)
	}
	return ids
}

// restore downloads all files to all stores and ingests them.
func (b *bench) restore(a *archive, change func(*import_sstpb.DownloadRequest)) {
	b.t.Helper()
	var metas []*import_sstpb.SSTMeta
	for _, f := range a.files {
		req := b.download(a, f)
		if change != nil {
			change(req)
		}
		if m := b.downloadTo(req, b.storeIDs()...); m != nil {
			metas = append(metas, m)
		}
	}
	require.Nil(b.t, b.ingest(b.region([]byte("kn")), metas...))
}

func TestDownloadRewritesAndIngestBringsIn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*backuppb.BackupRequest){
		"zstd": nil,
		"lz4":  func(r *backuppb.BackupRequest) { r.CompressionType = backuppb.CompressionType_LZ4 },
		"encrypted": func(r *backuppb.BackupRequest) {
			r.CipherInfo = &backuppb.CipherInfo{CipherType: encryptionpb.EncryptionMethod_AES256_CTR, CipherKey: bytes.Repeat([]byte("k"), 32)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 3)
			a := b.newArchive(shortAndLong(), change)
			b.restore(a, nil)
			for k, v := range shortAndLong() {
				require.Equal(t, v, string(b.get([]byte("kn"+k[2:]), b.clock.next())))
				require.Equal(t, v, string(b.get([]byte(k), b.clock.next())))
			}
			require.Empty(t, b.Violations())
			left, err := filepath.Glob(filepath.Join(b.engine.dir, downloadDir, "*", "*"))
			require.NoError(t, err)
			require.Empty(t, left, "ingested files are removed")
		})
	}
}

// A legacy request has encoded prefixes and ranges; it gives the same rows.
func TestDownloadByEncodedPrefixes(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	pairs := map[string]string{"kaaaaaaa1": "one", "kaaaaaaa2": strings.Repeat("two", 100)}
	a := b.newArchive(pairs, nil)
	b.restore(a, func(r *import_sstpb.DownloadRequest) {
		// Of a prefix the whole groups of eight bytes are encoded, the rest stands as it is.
		r.RequestType = import_sstpb.DownloadRequestType_Legacy
		r.RewriteRule.OldKeyPrefix, r.RewriteRule.NewKeyPrefix = []byte("kaaaaaaa\xff"), []byte("knnnnnnn\xff")
		r.Sst.Range = &import_sstpb.Range{Start: encodeKey([]byte("knnnnnnn1"))[:10], End: append([]byte("knnnnnnn\xff"), bytes.Repeat([]byte{0xff}, 10)...)}
	})
	for k, v := range pairs {
		require.Equal(t, v, string(b.get([]byte("knnnnnnn"+k[8:]), b.clock.next())))
	}
}

func TestDownloadKeepsToRangeAndTimestamps(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	a := b.newArchive(map[string]string{"ka1": "a", "ka2": "b", "ka3": "c"}, nil)
	newTS := b.clock.next()
	b.restore(a, func(r *import_sstpb.DownloadRequest) {
		r.Sst.Range.Start = []byte("kn2")
		r.RewriteRule.NewTimestamp = newTS
	})
	now := b.clock.next()
	require.Nil(t, b.get([]byte("kn1"), now))
	require.Equal(t, "b", string(b.get([]byte("kn2"), now)))
	require.Nil(t, b.get([]byte("kn2"), newTS-1))
	req := b.download(a, a.files[0])
	for name, change := range map[string]func(){
		"before the range":  func() { req.Sst.Range.Start = []byte("kn4") },
		"inclusive end":     func() { req.Sst.Range = &import_sstpb.Range{Start: []byte("kn1"), End: []byte("kn1")} },
		"timestamps before": func() { req.RewriteRule.IgnoreBeforeTimestamp = now },
		"timestamps after":  func() { req.RewriteRule.IgnoreBeforeTimestamp, req.RewriteRule.IgnoreAfterTimestamp = 0, 1 },
	} {
		change()
		require.Nil(t, b.downloadTo(req, 1), name)
	}
	req = b.download(a, a.files[0])
	req.Sst.Range.End, req.Sst.EndKeyExclusive = []byte("ko"), true // behind all keys with the prefix
	require.NotNil(t, b.downloadTo(req, 1))
}

func TestDownloadRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	a := b.newArchive(shortAndLong(), func(r *backuppb.BackupRequest) {
		r.CipherInfo = &backuppb.CipherInfo{CipherType: encryptionpb.EncryptionMethod_AES128_CTR, CipherKey: bytes.Repeat([]byte("k"), 16)}
	})
	for want, change := range map[string]func(*import_sstpb.DownloadRequest){
		"Cannot read":                        func(r *import_sstpb.DownloadRequest) { r.Name = "no/such.sst" },
		"downloaded size":                    func(r *import_sstpb.DownloadRequest) { r.Sst.Length++ },
		"Corruption: Bad table magic number": func(r *import_sstpb.DownloadRequest) { r.CipherInfo = nil },
		"Key in SST has wrong prefix":        func(r *import_sstpb.DownloadRequest) { r.RewriteRule.OldKeyPrefix = []byte("kx"); r.Sst.Range = nil },
		"SST start range has wrong prefix":   func(r *import_sstpb.DownloadRequest) { r.Sst.Range.Start = []byte("km") },
		"SST end range has wrong prefix":     func(r *import_sstpb.DownloadRequest) { r.Sst.Range.End = []byte("ko") },
		"invalid uuid":                       func(r *import_sstpb.DownloadRequest) { r.Sst.Uuid = []byte("short") },
		"no storage":                         func(r *import_sstpb.DownloadRequest) { r.StorageBackend = nil },
	} {
		req := b.download(a, a.files[0])
		change(req)
		resp, err := b.sst(1).Download(b.ctx, req)
		require.NoError(t, err)
		require.Contains(t, resp.Error.GetMessage(), want)
	}
	require.Empty(t, b.Violations())
	req := b.download(a, a.files[0])
	req.Sst.CfName = "lock"
	_, err := b.sst(1).Download(b.ctx, req)
	require.Error(t, err)
	require.Len(t, b.Violations(), 1)
}

func TestIngestWantsDownloadsOnEveryPeerAndBothFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	a := b.newArchive(shortAndLong(), nil)
	require.Len(t, a.files, 2)
	r := b.region([]byte("kn"))
	ingest := func(metas ...*import_sstpb.SSTMeta) error {
		_, err := b.sst(r.Leader.StoreId).MultiIngest(b.ctx, &import_sstpb.MultiIngestRequest{Context: rpc(r), Ssts: metas})
		return err
	}
	def, write := b.download(a, a.files[0]), b.download(a, a.files[1])
	onlyLeader := b.downloadTo(def, r.Leader.StoreId)
	require.ErrorContains(t, ingest(onlyLeader), "lacks file")
	require.ErrorContains(t, ingest(b.downloadTo(write, b.storeIDs()...)), "in no default file")
	require.Len(t, b.Violations(), 2)
	require.NotNil(t, b.ingest(r, b.staleEpoch(r, a)).GetEpochNotMatch())
}

// staleEpoch downloads for an epoch that the region has no more.
func (b *bench) staleEpoch(r topology.Region, a *archive) *import_sstpb.SSTMeta {
	b.t.Helper()
	req := b.download(a, a.files[1])
	req.Sst.RegionEpoch.ConfVer = r.Meta.RegionEpoch.ConfVer + 1
	return b.downloadTo(req, b.storeIDs()...)
}

func TestClearFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	a := b.newArchive(map[string]string{"ka1": "v"}, nil)
	req := b.download(a, a.files[0])
	meta := b.downloadTo(req, 1)
	id := uuid.UUID(req.Sst.Uuid)
	for _, prefix := range []string{"no such", id.String()} {
		_, err := b.sst(1).ClearFiles(b.ctx, &import_sstpb.ClearRequest{Prefix: prefix})
		require.NoError(t, err)
	}
	require.NotNil(t, b.ingest(b.region([]byte("kn")), meta).GetStaleCommand(), "the file is gone")
}

func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out)
	return out
}

func TestDownloadSpeedLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	a := b.newArchive(map[string]string{"ka1": string(randomBytes(rateBurst + 20_000))}, nil)
	_, err := b.sst(1).SetDownloadSpeedLimit(b.ctx, &import_sstpb.SetDownloadSpeedLimitRequest{SpeedLimit: 100_000})
	require.NoError(t, err)
	start := time.Now()
	b.downloadTo(b.download(a, a.files[0]), 1)
	require.Greater(t, time.Since(start), 200*time.Millisecond, "20,000 bytes at 100,000 a second")
}

func TestDownloadFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	a := b.newArchive(map[string]string{"ka1": "v"}, nil)
	call := func() (*import_sstpb.DownloadResponse, error) {
		return b.sst(1).Download(b.ctx, b.download(a, a.files[0]))
	}
	for kind, want := range map[fault.Kind]string{
		fault.ServerIsBusy: "ResourceNotEnough", fault.RegionNotFound: "not found", fault.DiskFull: "not enough disk space", fault.Refused: "injected",
	} {
		require.NoError(t, b.faults.Add(fault.Rule{RPC: "ImportSST/Download", Kind: kind, Count: 1}))
		resp, err := call()
		require.NoError(t, err)
		require.Contains(t, resp.Error.GetMessage(), want, kind)
		require.Equal(t, kind == fault.ServerIsBusy, resp.Error.GetStoreError().GetServerIsBusy() != nil)
	}
	before := b.region([]byte("kn"))
	for _, kind := range []fault.Kind{fault.NotLeader, fault.EpochNotMatch} {
		require.NoError(t, b.faults.Add(fault.Rule{RPC: "ImportSST/Download", Kind: kind, Count: 1}))
		resp, err := call()
		require.NoError(t, err)
		require.Nil(t, resp.Error, "the ingest will meet it")
	}
	after := b.region([]byte("kn"))
	require.NotEqual(t, before.Leader.StoreId, after.Leader.StoreId)
	require.Greater(t, after.Meta.RegionEpoch.Version, before.Meta.RegionEpoch.Version)
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "ImportSST/Download", Kind: fault.Drop, Count: 1}))
	_, err := call()
	require.Error(t, err)
}
