package tikv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/sluicedb/sluice/tests/playground/fault"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// importError is a failure of Write as TiKV reports it: status UNKNOWN with the
// Debug text of its error enum.
func importError(format string, args ...any) error {
	return status.Errorf(codes.Unknown, format, args...)
}

// errDiskSpace and errInvalidChunk are two of those texts.
var (
	errDiskSpace    = importError("DiskSpaceNotEnough")
	errInvalidChunk = importError("InvalidChunk")
)

// Write implements import_sstpb.ImportSSTServer: one meta, then batches. The
// file belongs to this store only. As in TiKV leadership is not checked, and
// neither is whether the keys lie in the range that the meta claims: an ingest
// that would put them into another region is a violation.
func (im *importer) Write(stream import_sstpb.ImportSST_WriteServer) error {
	meta, err := receiveMeta(stream)
	if err != nil {
		return err
	}
	if err := im.playWriteFault(stream.Context(), meta); err != nil {
		return err
	}
	if err := im.checkWriteRegion(meta); err != nil {
		return err
	}
	if _, err := nameOf(meta, cfWrite); err != nil {
		return errInvalidChunk
	}
	f := &sstFile{meta: meta}
	for {
		batch, err := receiveBatch(stream)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := f.add(batch); err != nil {
			return importError("%v", err)
		}
	}
	im.keep(f)
	im.written.Add(1)
	return stream.SendAndClose(&import_sstpb.WriteResponse{Metas: f.metas()})
}

func receiveMeta(stream import_sstpb.ImportSST_WriteServer) (*import_sstpb.SSTMeta, error) {
	var raw rawMessage
	if err := stream.RecvMsg(&raw); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errInvalidChunk
		}
		return nil, err
	}
	enc, _, err := splitWriteRequest(raw)
	if err != nil || enc == nil {
		return nil, errInvalidChunk
	}
	meta := new(import_sstpb.SSTMeta)
	if err := meta.Unmarshal(enc); err != nil {
		return nil, errInvalidChunk
	}
	return meta, nil
}

// receiveBatch returns the next encoded batch, io.EOF at the end.
func receiveBatch(stream import_sstpb.ImportSST_WriteServer) ([]byte, error) {
	var raw rawMessage
	if err := stream.RecvMsg(&raw); err != nil {
		return nil, err
	}
	_, batch, err := splitWriteRequest(raw)
	if err != nil || batch == nil {
		return nil, errInvalidChunk
	}
	return batch, nil
}

// checkWriteRegion compares the meta's epoch with the region as it is now.
func (im *importer) checkWriteRegion(meta *import_sstpb.SSTMeta) error {
	r := im.store.regions.byID(meta.RegionId)
	if r == nil {
		return importError("RequestTooOld(\"region %d is not found\")", meta.RegionId)
	}
	local, req := r.meta.RegionEpoch, meta.GetRegionEpoch()
	epochs := fmt.Sprintf("local epoch %v, request epoch %v", local, req)
	switch {
	case local.ConfVer < req.GetConfVer() || local.Version < req.GetVersion():
		return importError("RequestTooNew(%q)", fmt.Sprintf(
			"request region %d is ahead of local region, %s, please retry write later", meta.RegionId, epochs))
	case local.ConfVer > req.GetConfVer() || local.Version > req.GetVersion():
		return importError("RequestTooOld(%q)", fmt.Sprintf(
			"request region %d is staler than local region, %s, please rescan region later", meta.RegionId, epochs))
	}
	return nil
}

// playWriteFault plays a fault that was waiting for the stream's region. Write
// does not care who leads, so NotLeader only moves the leader: the ingest that
// follows will meet it.
func (im *importer) playWriteFault(ctx context.Context, meta *import_sstpb.SSTMeta) error {
	kind, ok := streamFault(ctx)
	if !ok {
		return nil
	}
	switch kind {
	case fault.DiskFull:
		return errDiskSpace
	case fault.Refused:
		return importError("IncompatibleApiVersion")
	case fault.ServerIsBusy:
		return importError("ResourceNotEnough(\"injected fault\")")
	case fault.RegionNotFound:
		return importError("RequestTooOld(\"region %d is not found\")", meta.RegionId)
	case fault.EpochNotMatch:
		im.store.regions.bumpEpoch(meta.RegionId) // checkWriteRegion will see it
	case fault.NotLeader:
		if r := im.store.regions.byID(meta.RegionId); r != nil {
			im.store.regions.moveLeader(r.meta.Id, r.leader.Load())
		}
	}
	return nil
}

// cleanupAge is TiKV's cleanup-import-sst-interval: files that can't be
// ingested any more are dropped after it.
const cleanupAge = 10 * time.Minute

// keep makes the file known by its names; a file of the same names is replaced.
// Old files whose region has gone or has another epoch are dropped.
func (im *importer) keep(f *sstFile) {
	im.mu.Lock()
	defer im.mu.Unlock()
	f.received = im.now()
	im.dropLocked(func(name fileName, old *sstFile) bool {
		return f.received.Sub(old.received) >= cleanupAge && im.checkWriteRegion(old.meta) != nil
	})
	for _, cf := range f.families() {
		if name, err := nameOf(f.meta, cf); err == nil { // checked when the stream began
			im.mu.files[name] = f
		}
	}
}

// file returns nil when the store has no such file.
func (im *importer) file(name fileName) *sstFile {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.mu.files[name]
}

func (im *importer) remove(name fileName) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.removeLocked(name, im.mu.files[name])
}

// dropLocked removes the files that which names, but for those being ingested.
func (im *importer) dropLocked(which func(fileName, *sstFile) bool) {
	for name, f := range im.mu.files {
		if !im.mu.busy[name] && which(name, f) {
			im.removeLocked(name, f)
		}
	}
}

// removeLocked forgets a file, which may be nil. What was downloaded of it goes with
// it: should the disk not let it go, it is removed with the cluster.
func (im *importer) removeLocked(name fileName, f *sstFile) {
	delete(im.mu.files, name)
	if f != nil && f.path != "" {
		if err := os.Remove(f.path); err != nil {
			im.store.cluster.opts.Logger.Warn("tikv: downloaded file stays", zap.Error(err))
		}
	}
}
