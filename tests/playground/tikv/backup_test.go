package tikv

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/encryptionpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"github.com/sluicedb/sluice/tests/playground/sst"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// backupTo is a request for all keys of the tests, at the newest timestamp.
func (b *bench) backupTo(dir string) *backuppb.BackupRequest {
	return &backuppb.BackupRequest{
		StartKey: []byte("k"), EndKey: []byte("l"), EndVersion: b.clock.next(), CompressionType: backuppb.CompressionType_ZSTD,
		StorageBackend: &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_Local{Local: &backuppb.Local{Path: dir}}},
	}
}

// backUp asks one store and returns its answers.
func (b *bench) backUp(store uint64, req *backuppb.BackupRequest) ([]*backuppb.BackupResponse, error) {
	b.t.Helper()
	stream, err := backuppb.NewBackupClient(b.conns[store]).Backup(b.ctx, req)
	require.NoError(b.t, err)
	var out []*backuppb.BackupResponse
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, resp)
	}
}

// backUpAll asks every store, wants no errors and returns the answers by key.
func (b *bench) backUpAll(req *backuppb.BackupRequest) []*backuppb.BackupResponse {
	b.t.Helper()
	var out []*backuppb.BackupResponse
	for _, s := range b.Stores() {
		resps, err := b.backUp(s.ID, req)
		require.NoError(b.t, err)
		out = append(out, resps...)
	}
	slices.SortFunc(out, func(x, y *backuppb.BackupResponse) int { return bytes.Compare(x.StartKey, y.StartKey) })
	at := req.StartKey
	for _, r := range out {
		require.Nil(b.t, r.Error)
		require.Equal(b.t, at, r.StartKey, "no gap and no overlap")
		at = r.EndKey
	}
	require.Equal(b.t, req.EndKey, at)
	return out
}

// backedUpRow is a row as a backup's files have it.
type backedUpRow struct {
	value             string
	startTS, commitTS uint64
	deleted           bool
}

// readBackup reads all files of a backup back, and wants what it says of them to be true.
func readBackup(t *testing.T, dir string, cipher *backuppb.CipherInfo, resps []*backuppb.BackupResponse) map[string]backedUpRow {
	t.Helper()
	out := make(map[string]backedUpRow)
	for _, resp := range resps {
		long := make(map[string]string)
		var got, want fileSums
		for _, f := range resp.Files {
			data, err := os.ReadFile(filepath.Join(dir, f.Name))
			require.NoError(t, err)
			sum := sha256.Sum256(data)
			require.Equal(t, f.Sha256, sum[:])
			require.EqualValues(t, len(data), f.Size_)
			require.NoError(t, cryptFile(cipher, f.CipherIv, data))
			got.crc, got.kvs, got.bytes = got.crc^f.Crc64Xor, got.kvs+f.TotalKvs, got.bytes+f.TotalBytes
			require.Equal(t, [][]byte{resp.StartKey, resp.EndKey}, [][]byte{f.StartKey, f.EndKey})
			r, err := sst.NewReader(data)
			require.NoError(t, err)
			require.NoError(t, r.Each(func(k, v []byte) error {
				raw, ts, err := sst.ParseDataKey(k)
				require.NoError(t, err)
				if f.Cf == cfDefault {
					long[fmt.Sprintf("%s@%d", raw, ts)] = string(v)
					return nil
				}
				rec, err := sst.ParseRecord(v)
				require.NoError(t, err)
				row := backedUpRow{value: string(rec.Short), startTS: rec.StartTS, commitTS: ts, deleted: rec.Kind == sst.Delete}
				if rec.Long() {
					row.value = long[fmt.Sprintf("%s@%d", raw, rec.StartTS)]
					require.Greater(t, len(row.value), sst.ShortValueMax)
				}
				want.add(versionAt{key: raw, value: []byte(row.value)})
				out[string(raw)] = row
				return nil
			}))
			require.NoError(t, r.Close())
		}
		require.Equal(t, want, got)
	}
	return out
}

func TestBackupHoldsTheNewestVersions(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	regions := b.split("k3", "k6")
	require.True(t, b.View().TransferLeader(regions[1].Id, 2))
	want := make(map[string]string)
	for i := range 9 {
		k, v := fmt.Sprintf("k%d", i), strings.Repeat("v", 100*i+1)
		b.put([]byte(k), []byte("old"))
		b.put([]byte(k), []byte(v))
		want[k] = v
	}
	commit := b.put([]byte("k9"), []byte("last"))
	want["k9"] = "last"
	for _, method := range []encryptionpb.EncryptionMethod{
		encryptionpb.EncryptionMethod_PLAINTEXT, encryptionpb.EncryptionMethod_AES128_CTR,
		encryptionpb.EncryptionMethod_AES192_CTR, encryptionpb.EncryptionMethod_AES256_CTR,
	} {
		dir := t.TempDir()
		req := b.backupTo(dir)
		req.CipherInfo = &backuppb.CipherInfo{CipherType: method, CipherKey: make([]byte, 8+8*int(method-encryptionpb.EncryptionMethod_PLAINTEXT))}
		b.put([]byte("k1"), []byte("later than the backup"))
		resps := b.backUpAll(req)
		rows := readBackup(t, dir, req.CipherInfo, resps)
		require.Len(t, rows, len(want))
		for k, v := range want {
			require.Equal(t, v, rows[k].value)
			require.Less(t, rows[k].startTS, rows[k].commitTS)
		}
		require.Equal(t, commit, rows["k9"].commitTS)
		want["k1"] = "later than the backup"
		requireNames(t, resps, regions[1].Id)
	}
}

// requireNames checks the names that TiKV would give; the middle region is led by store 2.
func requireNames(t *testing.T, resps []*backuppb.BackupResponse, middle uint64) {
	t.Helper()
	stores := make(map[string]bool)
	for _, r := range resps {
		sum := sha256.Sum256(r.StartKey)
		for _, f := range r.Files {
			require.Regexp(t, `^\d/\d+_\d+_`+hex.EncodeToString(sum[:])+`_\d+_`+f.Cf+`\.sst$`, f.Name)
			require.Equal(t, string(r.StartKey) == "k3", strings.HasPrefix(f.Name, fmt.Sprintf("2/%d_", middle)), f.Name)
			stores[f.Name[:2]] = true
		}
	}
	require.Len(t, stores, 2)
}

func TestIncrementalBackupHoldsChangesAndDeletes(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	for _, k := range []string{"k1", "k2", "k3"} {
		b.put([]byte(k), []byte("before"))
	}
	from := b.clock.next()
	b.put([]byte("k2"), []byte("after"))
	b.put([]byte("k4"), bytes.Repeat([]byte("n"), 1000))
	b.remove([]byte("k3"))
	dir := t.TempDir()
	req := b.backupTo(dir)
	full := readBackup(t, dir, nil, b.backUpAll(req))
	require.Equal(t, []string{"k1", "k2", "k4"}, slices.Sorted(maps.Keys(full)))
	req.StartVersion = from
	dir = t.TempDir()
	req.StorageBackend = b.backupTo(dir).StorageBackend
	rows := readBackup(t, dir, nil, b.backUpAll(req))
	require.Equal(t, []string{"k2", "k3", "k4"}, slices.Sorted(maps.Keys(rows)))
	require.Equal(t, "after", rows["k2"].value)
	require.True(t, rows["k3"].deleted)
	require.Len(t, rows["k4"].value, 1000)
}

func TestBackupCutsLargeParts(t *testing.T) {
	t.Parallel()
	b := openBench(t, Options{Stores: 1, IDs: &ids{}, RegionSplitSize: 20_000})
	b.load(numbered(300, 400))
	dir := t.TempDir()
	req := b.backupTo(dir)
	req.RateLimit = 10 << 20
	resps := b.backUpAll(req)
	require.Greater(t, len(resps), 3)
	require.Len(t, readBackup(t, dir, nil, resps), 300)
	req.SubRanges = []*kvrpcpb.KeyRange{{StartKey: key(10), EndKey: key(12)}, {StartKey: key(500), EndKey: key(600)}}
	resps, err := b.backUp(1, req)
	require.NoError(t, err)
	require.Len(t, readBackup(t, dir, nil, resps), 2)
	require.Len(t, resps, 2)
	require.Empty(t, resps[1].Files, "no rows, no files")
}

func TestBackupMeetsLocks(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.put([]byte("k1"), []byte("v"))
	start := b.prewrite(&kvrpcpb.Mutation{Op: kvrpcpb.Op_Put, Key: []byte("k1"), Value: []byte("w")})
	resps, err := b.backUp(1, b.backupTo(t.TempDir()))
	require.NoError(t, err)
	require.Equal(t, start, resps[0].Error.GetKvError().GetLocked().GetLockVersion())
}

func TestBackupFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.put([]byte("k1"), []byte("v"))
	b.split("k0", "l")
	for kind, check := range map[fault.Kind]func(*backuppb.Error) bool{
		fault.ServerIsBusy:   func(e *backuppb.Error) bool { return e.GetRegionError().GetServerIsBusy() != nil },
		fault.RegionNotFound: func(e *backuppb.Error) bool { return e.GetRegionError().GetRegionNotFound() != nil },
		fault.EpochNotMatch:  func(e *backuppb.Error) bool { return e.GetRegionError().GetEpochNotMatch() != nil },
		fault.DiskFull:       func(e *backuppb.Error) bool { return strings.Contains(e.Msg, "No space left") },
		fault.NotLeader:      func(e *backuppb.Error) bool { return e.GetRegionError().GetNotLeader() != nil },
	} {
		require.NoError(t, b.faults.Add(fault.Rule{RPC: "Backup/backup", Kind: kind, Count: 1}))
		resps, err := b.backUp(b.region([]byte("k1")).Leader.StoreId, b.backupTo(t.TempDir()))
		require.NoError(t, err)
		require.True(t, check(resps[0].Error), "%s: %v", kind, resps[0].Error)
	}
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "Backup/backup", Kind: fault.Refused, Count: 1}))
	_, err := b.backUp(1, b.backupTo(t.TempDir()))
	require.Equal(t, codes.Unknown, status.Code(err))
	require.NoError(t, b.faults.Add(fault.Rule{RPC: "Backup/backup", Kind: fault.Slow, Delay: time.Millisecond, Count: 1}))
	dir := t.TempDir()
	require.Len(t, readBackup(t, dir, nil, b.backUpAll(b.backupTo(dir))), 1)
}

func TestBackupRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	for _, change := range []func(*backuppb.BackupRequest){
		func(r *backuppb.BackupRequest) { r.IsRawKv = true },
		func(r *backuppb.BackupRequest) { r.Mode = backuppb.BackupMode_FILE },
		func(r *backuppb.BackupRequest) { r.DstApiVersion = kvrpcpb.APIVersion_V2 },
		func(r *backuppb.BackupRequest) {
			r.CipherInfo = &backuppb.CipherInfo{CipherType: encryptionpb.EncryptionMethod_SM4_CTR}
		},
	} {
		req := b.backupTo(t.TempDir())
		change(req)
		_, err := b.backUp(1, req)
		require.Error(t, err)
	}
	req := b.backupTo(t.TempDir())
	req.StorageBackend = nil
	resps, err := b.backUp(1, req)
	require.NoError(t, err)
	require.Contains(t, resps[0].Error.Msg, "no storage")
}
