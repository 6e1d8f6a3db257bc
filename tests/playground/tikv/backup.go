package tikv

import (
	"bytes"
	"context"
	"errors"
	"slices"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/encryptionpb"
	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/tikv/kverrors"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// backuper is the Backup service of one store: what it leads is written to SST
// files in the storage of the request. Raw and file-copy backups, and what
// prepares volume snapshots, answer Unimplemented.
type backuper struct {
	backuppb.UnimplementedBackupServer
	store *store
}

// Backup implements backuppb.BackupServer. Each part of a region that fits one
// file is answered with its files, a part that fails with its error; the other
// parts go on, and the client asks for what is missing again.
func (b *backuper) Backup(req *backuppb.BackupRequest, stream backuppb.Backup_BackupServer) error {
	if err := checkBackup(req); err != nil {
		return err
	}
	ctx := stream.Context()
	kind, failing := streamFault(ctx)
	if failing && kind == fault.Refused {
		return status.Error(codes.Unknown, "injected fault")
	}
	out, err := newBackupFiles(ctx, b.store, req)
	if err != nil {
		return stream.Send(&backuppb.BackupResponse{Error: &backuppb.Error{Msg: err.Error()}})
	}
	defer out.close()
	for _, part := range b.parts(req) {
		if failing {
			failing = false
			if e := b.fault(kind, part.region); e != nil {
				if err := stream.Send(part.failed(e)); err != nil {
					return err
				}
				continue
			}
		}
		if err := b.backUp(ctx, req, part, out, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

func checkBackup(req *backuppb.BackupRequest) error {
	switch req.GetCipherInfo().GetCipherType() {
	case encryptionpb.EncryptionMethod_UNKNOWN, encryptionpb.EncryptionMethod_PLAINTEXT,
		encryptionpb.EncryptionMethod_AES128_CTR, encryptionpb.EncryptionMethod_AES192_CTR, encryptionpb.EncryptionMethod_AES256_CTR:
	default:
		return status.Errorf(codes.Unimplemented, "encryption by %v is not served by this store", req.CipherInfo.CipherType)
	}
	switch {
	case req.IsRawKv:
		return unimplemented("Backup of raw keys")
	case req.Mode != backuppb.BackupMode_SCAN:
		return unimplemented("Backup by file copy")
	case req.DstApiVersion != kvrpcpb.APIVersion_V1:
		return status.Errorf(codes.Unknown, "backup to API version %v is not supported", req.DstApiVersion)
	}
	return nil
}

// backupPart is what a backup takes of one region; keys are raw, end is exclusive.
type backupPart struct {
	region     *region
	start, end []byte
}

func (p backupPart) failed(e *backuppb.Error) *backuppb.BackupResponse {
	return &backuppb.BackupResponse{StartKey: p.start, EndKey: p.end, Error: e}
}

// parts returns the parts of the request's ranges that this store leads, or has
// at all when any replica will do.
func (b *backuper) parts(req *backuppb.BackupRequest) []backupPart {
	ranges := req.SubRanges
	if len(ranges) == 0 {
		ranges = []*kvrpcpb.KeyRange{{StartKey: req.StartKey, EndKey: req.EndKey}}
	}
	var parts []backupPart
	for _, rg := range ranges {
		for _, r := range b.store.regions.overlapping(rg.StartKey, rg.EndKey) {
			if r.leader.Load() != b.store.id && !(req.ReplicaRead && r.peerOn(b.store.id) != nil) {
				continue
			}
			start, end := clamp(r, rg.StartKey, rg.EndKey)
			parts = append(parts, backupPart{region: r, start: start, end: end})
		}
	}
	return parts
}

// overlapping returns the regions that hold keys of a raw range; an empty end is
// the end of all keys.
func (rs *regions) overlapping(start, end []byte) []*region {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	at := rs.indexLocked(encodeKey(start))
	if len(start) == 0 {
		at = 0
	}
	var out []*region
	for _, r := range rs.mu.sorted[at:] {
		if len(end) > 0 && bytes.Compare(r.rawStart, end) >= 0 {
			break
		}
		out = append(out, r)
	}
	return slices.Clip(out)
}

// backUp writes one part's files. The returned error is of the stream; what goes
// wrong with the part is sent.
func (b *backuper) backUp(ctx context.Context, req *backuppb.BackupRequest, part backupPart, out *backupFiles,
	send func(*backuppb.BackupResponse) error,
) error {
	// Locks first, then the snapshot, as for a checksum.
	if err := b.store.engine.mvcc.CheckRangeLock(req.EndVersion, part.start, part.end, nil); err != nil {
		return send(part.failed(lockError(err)))
	}
	scan := &backupScan{
		engine: b.store.engine, from: req.StartVersion, to: req.EndVersion,
		maxBytes: uint64(b.store.cluster.opts.regionMaxSize()), compression: req.CompressionType,
	}
	err := scan.run(ctx, part, func(p *backedUp) error {
		files, err := out.save(ctx, part.region, p)
		if err != nil {
			return err
		}
		return send(&backuppb.BackupResponse{StartKey: p.start, EndKey: p.end, Files: files, ApiVersion: req.DstApiVersion})
	})
	if err != nil && ctx.Err() == nil {
		return send(part.failed(&backuppb.Error{Msg: err.Error()}))
	}
	return err
}

// lockError tells the client which lock it has to resolve.
func lockError(err error) *backuppb.Error {
	e := &backuppb.Error{Msg: err.Error()}
	var locked *kverrors.ErrLocked
	if errors.As(err, &locked) {
		e.Detail = &backuppb.Error_KvError{KvError: &kvrpcpb.KeyError{Locked: locked.Lock.ToLockInfo(locked.Key)}}
	}
	return e
}

// fault makes the error of a fault that was waiting for the stream's first part;
// nil means that it does not concern a backup.
func (b *backuper) fault(kind fault.Kind, r *region) *backuppb.Error {
	if kind == fault.DiskFull {
		return &backuppb.Error{Msg: `Io(Os { code: 28, kind: StorageFull, message: "No space left on device" })`}
	}
	regErr := b.store.regionFault(kind, &kvrpcpb.Context{RegionId: r.meta.Id, RegionEpoch: r.meta.RegionEpoch})
	if regErr == nil {
		return nil
	}
	return regionFailure(regErr)
}

func regionFailure(e *errorpb.Error) *backuppb.Error {
	return &backuppb.Error{Msg: e.Message, Detail: &backuppb.Error_RegionError{RegionError: e}}
}
