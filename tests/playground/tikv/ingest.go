package tikv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Ingest implements import_sstpb.ImportSSTServer.
func (im *importer) Ingest(ctx context.Context, req *import_sstpb.IngestRequest) (*import_sstpb.IngestResponse, error) {
	return im.ingest(ctx, req.Context, []*import_sstpb.SSTMeta{req.Sst})
}

// MultiIngest implements import_sstpb.ImportSSTServer. Without files it only
// says whether an ingest would be refused now, which clients use to probe.
func (im *importer) MultiIngest(ctx context.Context, req *import_sstpb.MultiIngestRequest) (*import_sstpb.IngestResponse, error) {
	return im.ingest(ctx, req.Context, req.Ssts)
}

// ingest follows TiKV's order of checks. Everything but an API version that
// does not fit, and violations, is answered in the response.
func (im *importer) ingest(ctx context.Context, rpc *kvrpcpb.Context, metas []*import_sstpb.SSTMeta) (*import_sstpb.IngestResponse, error) {
	refuse := func(e *errorpb.Error) (*import_sstpb.IngestResponse, error) {
		return &import_sstpb.IngestResponse{Error: e}, nil
	}
	if d := im.suspendedFor(); d > 0 {
		return refuse(&errorpb.Error{
			Message:      "Suspended",
			ServerIsBusy: &errorpb.ServerIsBusy{Reason: "imports are suspended", BackoffMs: uint64(d.Milliseconds())},
		})
	}
	names, regErr := im.latch(metas)
	if regErr != nil {
		return refuse(regErr)
	}
	defer im.unlatch(names)
	for _, m := range metas {
		if m.ApiVersion != kvrpcpb.APIVersion_V1 {
			return nil, importError("IncompatibleApiVersion")
		}
	}
	r, regErr := im.store.regions.checkRequest(im.store.id, rpc)
	if regErr != nil {
		return refuse(regErr)
	}
	for _, name := range names {
		if im.file(name) == nil {
			return refuse(&errorpb.Error{
				Message:      "The file which would be ingested doest not exist.", // TiKV's spelling
				StaleCommand: &errorpb.StaleCommand{},
			})
		}
	}
	if regErr := im.checkApply(r, metas); regErr != nil {
		for _, name := range names { // TiKV deletes the files as well
			im.removeEverywhere(name)
		}
		return refuse(regErr)
	}
	if err := im.apply(ctx, r, metas, names); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if len(names) > 0 {
		im.ingested.Add(1)
	}
	return &import_sstpb.IngestResponse{}, nil
}

// latch takes the files of a request for itself; another request for one of
// them, or a meta that names no file, is a conflict.
func (im *importer) latch(metas []*import_sstpb.SSTMeta) ([]fileName, *errorpb.Error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	var names []fileName
	for _, m := range metas {
		name, err := nameOf(m, m.GetCfName())
		if err != nil || im.mu.busy[name] || slices.Contains(names, name) {
			return nil, &errorpb.Error{Message: "ingest file conflict"}
		}
		names = append(names, name)
	}
	for _, n := range names {
		im.mu.busy[n] = true
	}
	return names, nil
}

func (im *importer) unlatch(names []fileName) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, n := range names {
		delete(im.mu.busy, n)
	}
}

// checkApply is TiKV's check when the command is applied: here conf_ver counts
// too, and both ends of the range, inclusive, must lie in the region.
func (im *importer) checkApply(r *region, metas []*import_sstpb.SSTMeta) *errorpb.Error {
	fail := func(format string, args ...any) *errorpb.Error {
		return &errorpb.Error{Message: fmt.Sprintf("[region %d] ingest failed: ", r.meta.Id) + fmt.Sprintf(format, args...)}
	}
	for _, m := range metas {
		local, e := r.meta.RegionEpoch, m.GetRegionEpoch()
		switch {
		case m.CfName != cfDefault && m.CfName != cfWrite:
			return fail("invalid cf name %s", m.CfName)
		case m.RegionId != r.meta.Id:
			return regionNotFound(m.RegionId)
		case e.GetConfVer() != local.ConfVer || e.GetVersion() != local.Version:
			return epochNotMatch(r, e)
		}
		for _, k := range [][]byte{m.GetRange().GetStart(), m.GetRange().GetEnd()} {
			if !r.contains(k) {
				return keyNotInRegion(r, k)
			}
		}
	}
	return nil
}

// apply puts the files into the engine and drops them from every store. A
// returned error is a violation, or a failure of the engine.
func (im *importer) apply(ctx context.Context, r *region, metas []*import_sstpb.SSTMeta, names []fileName) error {
	if err := im.checkReplicas(r, names); err != nil {
		return err
	}
	for i, m := range metas {
		f := im.file(names[i])
		if f.downloaded() {
			if err := im.checkContent(r, m, f); err != nil {
				return err
			}
			f.defaults = im.defaultFiles(names)
		}
		r.size.Add(f.bytesOf(m.CfName))
		if m.CfName == cfDefault {
			im.mu.Lock()
			f.defaultIngested = true
			im.mu.Unlock()
			continue
		}
		if err := im.checkContent(r, m, f); err != nil {
			return err
		}
		if f.long > 0 && !f.downloaded() && !im.hasDefault(f, metas, m) {
			return im.store.cluster.violate("write file %s is ingested without its default file, %d values are lost", names[i], f.long)
		}
		if err := im.store.engine.ingest(ctx, f); err != nil {
			var lost *errNoValue
			if errors.As(err, &lost) {
				return im.store.cluster.violate("write file %s: %v", names[i], err)
			}
			return fmt.Errorf("ingest %s: %w", names[i], err)
		}
		r.keys.Add(int64(f.pairs))
	}
	for _, n := range names {
		im.removeEverywhere(n)
	}
	return nil
}

// defaultFiles returns the downloaded default files of a request. The engine keeps
// values and no column families, so unlike TiKV's it wants them together with the
// write files that refer to them.
func (im *importer) defaultFiles(names []fileName) []*sstFile {
	var out []*sstFile
	for _, n := range names {
		if f := im.file(n); f.family == cfDefault {
			out = append(out, f)
		}
	}
	return out
}

// hasDefault tells whether the long values of a write file are ingested, before
// or with it.
func (im *importer) hasDefault(f *sstFile, metas []*import_sstpb.SSTMeta, write *import_sstpb.SSTMeta) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return f.defaultIngested || slices.ContainsFunc(metas, func(m *import_sstpb.SSTMeta) bool {
		return m.CfName == cfDefault && bytes.Equal(m.Uuid, write.Uuid)
	})
}

// checkReplicas wants the same files on every peer: a TiKV that has to apply an
// ingest without the file panics, and with other content the replicas differ
// for ever.
func (im *importer) checkReplicas(r *region, names []fileName) error {
	for _, p := range r.meta.Peers {
		s := im.store.cluster.store(p.StoreId)
		for _, n := range names {
			mine, theirs := im.file(n), s.imports.file(n)
			switch {
			case theirs == nil:
				return im.store.cluster.violate("store %d lacks file %s that region %d ingests", p.StoreId, n, r.meta.Id)
			case theirs.digest != mine.digest || theirs.pairs != mine.pairs:
				return im.store.cluster.violate("stores %d and %d hold different content in file %s", im.store.id, p.StoreId, n)
			}
		}
	}
	return nil
}

// checkContent compares the keys with the region and with the range that the
// meta claims, which TiKV does not: there such keys end up in the neighbour's
// part of the engine.
func (im *importer) checkContent(r *region, m *import_sstpb.SSTMeta, f *sstFile) error {
	first, last := encodeKey(f.first), encodeKey(f.last)
	if !r.contains(first) || !r.contains(last) {
		return im.store.cluster.violate("keys %X to %X are outside region %d [%X, %X)",
			first, last, r.meta.Id, r.meta.StartKey, r.meta.EndKey)
	}
	if bytes.Compare(first, m.Range.Start) < 0 || bytes.Compare(last, m.Range.End) > 0 {
		return im.store.cluster.violate("keys %X to %X are outside the range [%X, %X] of their SST",
			first, last, m.Range.Start, m.Range.End)
	}
	return nil
}

func (im *importer) removeEverywhere(name fileName) {
	for _, s := range im.store.cluster.stores {
		s.imports.remove(name)
	}
}
