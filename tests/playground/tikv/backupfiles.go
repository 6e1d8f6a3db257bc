package tikv

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/br/pkg/storage"
	"github.com/sluicedb/sluice/tests/playground/sst"
	"golang.org/x/time/rate"
)

// backupFiles puts the files of one request into its storage.
type backupFiles struct {
	storeID uint64
	req     *backuppb.BackupRequest
	storage storage.ExternalStorage
	limit   *rate.Limiter // nil for none
}

func newBackupFiles(ctx context.Context, s *store, req *backuppb.BackupRequest) (*backupFiles, error) {
	to, err := openStorage(ctx, req.StorageBackend)
	if err != nil {
		return nil, err
	}
	return &backupFiles{storeID: s.id, req: req, storage: to, limit: newLimiter(req.RateLimit)}, nil
}

// openStorage opens what a request describes; the caller closes it.
func openStorage(ctx context.Context, backend *backuppb.StorageBackend) (storage.ExternalStorage, error) {
	if backend.GetBackend() == nil {
		return nil, errors.New("the request names no storage")
	}
	// A context that ends while the clients of Google are made costs a panic in there.
	return storage.New(context.WithoutCancel(ctx), backend, &storage.ExternalStorageOptions{SendCredentials: true})
}

func (f *backupFiles) close() { f.storage.Close() }

// save writes the files of one part: none for a part without rows, the write file
// for any other, and the default file if it has entries.
func (f *backupFiles) save(ctx context.Context, r *region, p *backedUp) ([]*backuppb.File, error) {
	if p.write == nil {
		return nil, nil
	}
	defer p.discard() // a default file without entries
	stem := f.stem(r, p.start)
	var files []*backuppb.File
	for _, part := range []struct {
		family string
		table  *sst.Writer
		sums   fileSums
	}{{sst.Default, p.def, p.defSums}, {sst.Write, p.write, p.writeSums}} {
		if part.table.Entries() == 0 {
			continue
		}
		data, err := part.table.Finish()
		if err != nil {
			return nil, err
		}
		file := &backuppb.File{
			Name: stem + "_" + part.family + ".sst", Cf: part.family,
			StartKey: p.start, EndKey: p.end, StartVersion: f.req.StartVersion, EndVersion: f.req.EndVersion,
			Crc64Xor: part.sums.crc, TotalKvs: part.sums.kvs, TotalBytes: part.sums.bytes,
		}
		if err := f.write(ctx, file, data); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// stem is what the names of a part's two files begin with.
func (f *backupFiles) stem(r *region, start []byte) string {
	stem := fmt.Sprintf("%d_%d", r.meta.Id, r.meta.RegionEpoch.Version)
	if len(start) > 0 {
		sum := sha256.Sum256(start)
		stem += "_" + hex.EncodeToString(sum[:])
	}
	stem += fmt.Sprintf("_%d", time.Now().UnixMilli())
	switch f.req.StorageBackend.Backend.(type) {
	case *backuppb.StorageBackend_Local, *backuppb.StorageBackend_S3:
		return fmt.Sprintf("%d/%s", f.storeID, stem)
	}
	return fmt.Sprintf("%d_%s", f.storeID, stem)
}

// write encrypts a file if the request says so, stores it and fills in what the
// archive says of its bytes: the digest is of what is stored.
func (f *backupFiles) write(ctx context.Context, file *backuppb.File, data []byte) error {
	file.CipherIv = make([]byte, cipherIVLen)
	if _, err := rand.Read(file.CipherIv); err != nil {
		return err
	}
	if err := cryptFile(f.req.CipherInfo, file.CipherIv, data); err != nil {
		return err
	}
	if err := waitBytes(ctx, f.limit, len(data)); err != nil {
		return err
	}
	if err := f.storage.WriteFile(ctx, file.Name, data); err != nil {
		return fmt.Errorf("write %s: %w", file.Name, err)
	}
	sum := sha256.Sum256(data)
	file.Sha256, file.Size_ = sum[:], uint64(len(data))
	return nil
}
