package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

// MetaName is the file whose presence makes a folder an archive.
const MetaName = "backupmeta"

const (
	lockName      = "backup.lock"
	newestVersion = 1 // of BackupMeta, counted from 0
	codeCantRead  = 8160
)

// Archive is an open archive. It is safe for concurrent use; nobody changes what it holds.
type Archive struct {
	// ClusterID and ClusterVersion are of the cluster that was backed up, BRVersion of the tool.
	ClusterID                 uint64
	ClusterVersion, BRVersion string
	// StartTS and EndTS are timestamps of PD: the data is that of EndTS, in an Incremental archive only what has changed since StartTS.
	StartTS, EndTS uint64
	// NewCollation tells whether strings are encoded by the new collations: "True", "False", or "" in old archives.
	NewCollation string
	// Databases are in the archive's order.
	Databases []*Database
	// Policies are placement policies.
	Policies []*model.PolicyInfo
	// Jobs are the changes of schemas that an Incremental archive has, as they were made.
	Jobs []*model.Job

	folder source.Folder
	cipher *Cipher
	files  map[string]source.File // all of the folder, by key
}

// Incremental tells whether the archive holds only what has changed since another one.
func (a *Archive) Incremental() bool { return a.StartTS != 0 && a.StartTS != a.EndTS }

// Folder is where the archive is. It stays whose it was.
func (a *Archive) Folder() source.Folder { return a.folder }

// Through returns the archive as it is read through another folder of the same location, such as one that is more patient with a
// store that fails. The tables and their parts are the same ones.
func (a *Archive) Through(folder source.Folder) *Archive {
	through := *a
	through.folder = folder
	return &through
}

// Cipher is the archive's.
func (a *Archive) Cipher() *Cipher { return a.cipher }

// Is tells whether the folder holds an archive of BR, of any kind, finished or not, rather than a dump.
func Is(files []source.File) bool {
	for i := range files {
		if key := files[i].Key; key == MetaName || key == lockName || strings.HasPrefix(key, "v1/") {
			return true
		}
	}
	return false
}

// Open lists the folder and reads all that the archive says of itself. The folder stays the caller's and is
// needed as long as the Archive is. Kinds of archives that can't be restored are
// an error of the user, and what is damaged is one of the source that names the file.
func Open(ctx context.Context, folder source.Folder, cipher *Cipher) (*Archive, error) {
	listed, err := folder.List(ctx)
	if err != nil {
		return nil, err
	}
	a := &Archive{folder: folder, cipher: cipher, files: make(map[string]source.File, len(listed))}
	for _, f := range listed {
		a.files[f.Key] = f
	}
	file, ok := a.files[MetaName]
	if !ok {
		return nil, a.withoutMeta(listed)
	}
	meta, err := a.readMeta(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := refused(meta); err != nil {
		return nil, fault.Wrap(err, fault.User, 0, "the archive %s can't be restored", file.Path)
	}
	a.ClusterID, a.ClusterVersion, a.BRVersion = meta.ClusterId, strings.Trim(meta.ClusterVersion, "\"\n "), meta.BrVersion
	a.StartTS, a.EndTS, a.NewCollation = meta.StartVersion, meta.EndVersion, meta.NewCollationsEnabled
	r := &metaReader{archive: a}
	if err := r.read(ctx, meta); err != nil {
		return nil, err
	}
	return a, a.build(meta, r, file)
}

// CheckCipher tells whether the folder's archive can be read with the cipher, by its main file alone. Errors are those of Open.
func CheckCipher(ctx context.Context, folder source.Folder, files []source.File, cipher *Cipher) error {
	a := &Archive{folder: folder, cipher: cipher}
	for _, f := range files {
		if f.Key == MetaName {
			_, err := a.readMeta(ctx, f)
			return err
		}
	}
	return fault.New(fault.Source, codeCantRead, "the location holds no backup: there is no %s", MetaName)
}

// withoutMeta says what a folder without backupmeta is.
func (a *Archive) withoutMeta(listed []source.File) error {
	for i := range listed {
		if strings.HasPrefix(listed[i].Key, "v1/") {
			return fault.New(fault.User, 0, "the location holds a log backup (point in time recovery), which can't be restored: it has %s and no %s",
				listed[i].Key, MetaName)
		}
	}
	if _, ok := a.files[lockName]; ok {
		return fault.New(fault.Source, codeCantRead, "the location holds a backup that is not finished: it has %s and no %s", lockName, MetaName)
	}
	return fault.New(fault.Source, codeCantRead, "the location holds no backup: there is no %s", MetaName)
}

// readMeta returns the content of backupmeta.
func (a *Archive) readMeta(ctx context.Context, file source.File) (*backuppb.BackupMeta, error) {
	data, err := a.readFile(ctx, file)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 && data[0] == '{' {
		return nil, fault.New(fault.User, 0, "the archive %s can't be restored: it is a backup of volume snapshots", file.Path)
	}
	plain := parseMeta(data)
	if !a.cipher.On() {
		if plain == nil {
			return nil, damaged(file.Path, errors.New("it can't be decoded: it is damaged, or encrypted and no key is given"))
		}
		return plain, nil
	}
	if plain != nil {
		return nil, fault.New(fault.User, 0, "a key is given, but the archive %s is not encrypted", file.Path)
	}
	const ivLen = 16
	if len(data) > ivLen {
		text, err := a.cipher.open(data[ivLen:], data[:ivLen])
		if err != nil {
			return nil, damaged(file.Path, err)
		}
		if meta := parseMeta(text); meta != nil {
			return meta, nil
		}
	}
	return nil, damaged(file.Path, errors.New("it can't be decoded: the key or the encryption method is wrong, or it is damaged"))
}

// parseMeta returns nil unless the bytes are a BackupMeta for sure: bytes decrypted with a wrong key may, by
// chance, be a message.
func parseMeta(data []byte) *backuppb.BackupMeta {
	meta := &backuppb.BackupMeta{}
	if err := proto.Unmarshal(data, meta); err != nil {
		return nil
	}
	for _, text := range []string{meta.ClusterVersion, meta.BrVersion, meta.NewCollationsEnabled} {
		if !utf8.ValidString(text) {
			return nil
		}
	}
	if meta.ClusterVersion == "" && meta.BrVersion == "" && meta.EndVersion == 0 {
		return nil
	}
	return meta
}

// refused says why an archive of this kind can't be restored, nil if it can.
func refused(m *backuppb.BackupMeta) error {
	switch {
	case m.Version > newestVersion || m.Version < 0:
		return fmt.Errorf("its meta data has version %d, and versions up to %d are known", m.Version, newestVersion)
	case m.IsRawKv || len(m.RawRanges) > 0 || m.RawRangeIndex != nil:
		return errors.New("it is a backup of raw key-value pairs, not of tables")
	case m.IsTxnKv:
		return errors.New("it is a backup of key-value pairs of transactions, not of tables")
	case m.Mode != backuppb.BackupMode_SCAN || len(m.Ranges) > 0:
		return errors.New("it is a backup by copies of TiKV's own files")
	case len(m.DbMaps) > 0:
		return errors.New("it belongs to a log backup (point in time recovery)")
	case m.ApiVersion != kvrpcpb.APIVersion_V1:
		return fmt.Errorf("its data has the form of API version %s, and only that of V1 can be restored", m.ApiVersion)
	case m.EndVersion == 0:
		return errors.New("it doesn't say of which time it is")
	}
	return nil
}

// readFile returns the bytes of a small file.
func (a *Archive) readFile(ctx context.Context, file source.File) ([]byte, error) {
	in, err := a.folder.Open(ctx, file, 0)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err == nil && int64(len(data)) != file.Size {
		err = damaged(file.Path, fmt.Errorf("it has %d bytes instead of %d", len(data), file.Size))
	}
	return data, err
}

// damaged is the error of a file that isn't what it should be.
func damaged(path string, cause error) error {
	return fault.New(fault.Source, codeCantRead, "the file %s of the archive can't be used: %s", path, cause)
}
