package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/fault"
)

// maxDepth bounds the trees of meta files; BR's have one level.
const maxDepth = 8

// metaReader collects what both versions of backupmeta refer to.
type metaReader struct {
	archive *Archive
	files   []*backuppb.File
	schemas []*backuppb.Schema
	ddls    [][]byte
	seen    map[string]bool // meta files
}

func (r *metaReader) read(ctx context.Context, m *backuppb.BackupMeta) error {
	r.files, r.schemas, r.seen = m.Files, m.Schemas, map[string]bool{}
	if m.Version == 0 && (m.FileIndex != nil || m.SchemaIndex != nil) {
		return damaged(MetaName, errors.New("it has indexes, which its version doesn't"))
	}
	for _, root := range []*backuppb.MetaFile{m.FileIndex, m.SchemaIndex, m.DdlIndexes} {
		if root == nil {
			continue
		}
		if err := r.walk(ctx, root, 0); err != nil {
			return err
		}
	}
	return nil
}

// walk takes what a meta file holds, and then what those hold that it refers to.
func (r *metaReader) walk(ctx context.Context, m *backuppb.MetaFile, depth int) error {
	if len(m.RawRanges) > 0 || len(m.BackupRanges) > 0 {
		return fault.New(fault.User, 0, "the archive can't be restored: it is not a backup of tables alone")
	}
	r.files = append(r.files, m.DataFiles...)
	r.schemas = append(r.schemas, m.Schemas...)
	r.ddls = append(r.ddls, m.Ddls...)
	for _, f := range m.MetaFiles {
		if depth == maxDepth || r.seen[f.Name] {
			return damaged(f.Name, errors.New("it is referred to in a circle"))
		}
		r.seen[f.Name] = true
		data, err := r.archive.readPart(ctx, part{f.Name, f.Sha256, f.Size_, f.CipherIv})
		if err != nil {
			return err
		}
		child := &backuppb.MetaFile{}
		if err := proto.Unmarshal(data, child); err != nil {
			return damaged(f.Name, err)
		}
		if err := r.walk(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// part is a reference to a file of meta data. Sum and size are those of the plain text.
type part struct {
	name   string
	sha256 []byte
	size   uint64
	iv     []byte
}

// readPart returns the plain text of a file of meta data.
func (a *Archive) readPart(ctx context.Context, p part) ([]byte, error) {
	file, ok := a.files[p.name]
	if !ok {
		return nil, a.missing(p.name)
	}
	data, err := a.readFile(ctx, file)
	if err != nil {
		return nil, err
	}
	if data, err = a.cipher.open(data, p.iv); err != nil {
		return nil, damaged(file.Path, err)
	}
	if p.size != 0 && uint64(len(data)) != p.size {
		return nil, damaged(file.Path, fmt.Errorf("it has %d bytes instead of %d", len(data), p.size))
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], p.sha256) {
		return nil, damaged(file.Path, errSum)
	}
	return data, nil
}

var errSum = errors.New("its bytes don't have the checksum (sha256) that the archive says they have")

// missing is the error of a file that the archive should have.
func (a *Archive) missing(name string) error {
	return fault.New(fault.Source, codeCantRead, "the file %s of the archive is missing", name)
}

// jobs decodes the changes of schemas: an array in version 1, one at a time since version 2.
func (r *metaReader) jobs(m *backuppb.BackupMeta) ([]*model.Job, error) {
	var jobs []*model.Job
	if len(m.Ddls) > 0 {
		if err := json.Unmarshal(m.Ddls, &jobs); err != nil {
			return nil, damaged(MetaName, fmt.Errorf("its changes of schemas can't be decoded: %w", err))
		}
	}
	for _, ddl := range r.ddls {
		job := &model.Job{}
		if err := json.Unmarshal(ddl, job); err != nil {
			return nil, damaged(MetaName, fmt.Errorf("a change of a schema can't be decoded: %w", err))
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}
