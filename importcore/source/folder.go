package source

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Folder is a Store whose location names a directory, or all objects of a bucket below
// a prefix: a dump or an archive. A file's Key is its path below the folder, with slashes.
type Folder interface {
	Store
	// Stat returns a file. An error that is fs.ErrNotExist says that there is none;
	// anything else that keeps it from being seen is another error.
	Stat(ctx context.Context, key string) (File, error)
	// Backend says how TiKV gets at the folder. It may hold credentials, which are
	// for requests only; those that the process has found itself, in its environment, once it has listed or read something. The
	// caller owns it.
	Backend() *backuppb.StorageBackend
}

// OpenFolder returns the folder that the location names: an absolute path, file://
// or local:// is local disk, s3:// a bucket, or a prefix in it. Nothing in the location is a
// pattern, and files may have any name. A location may be that of a file too, in a bucket if it ends like an SQL file's: then the folder is the
// one that it is in, and List returns that file. Else List returns all files below it in the order
// of their keys; symbolic links are followed; without any file the list is empty. A location that
// can't be used is a *fault.Error of the user with TiDB's code 8158.
func OpenFolder(ctx context.Context, location string, cfg Config) (Folder, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	scheme, path := splitScheme(location)
	switch scheme {
	case "", "local", "file":
		return openLocalFolder(path)
	case "s3", "gs", "gcs", "azure", "azblob":
		return openObjectFolder(scheme, location, cfg)
	default:
		_, err := Open(ctx, location, cfg)
		return nil, err
	}
}

// IsFile tells whether the location of a folder names a file, so that List returns this one alone. files are those of List.
func IsFile(location string, files []File) bool {
	scheme, path := splitScheme(location)
	if location, _, _ = strings.Cut(location, "?"); scheme != "s3" {
		location = filepath.Clean(path)
	}
	return len(files) == 1 && files[0].Path == location
}

// localFolder is a directory of this machine, or with only one file of it.
type localFolder struct {
	local
	only string
}

func openLocalFolder(path string) (Folder, error) {
	if !filepath.IsAbs(path) {
		return nil, invalidURI("the location should be an absolute path when it is on the server's disk")
	}
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, invalidURI("%s", err)
	case info.Mode().IsRegular():
		return &localFolder{local{dir: filepath.Dir(path)}, filepath.Base(path)}, nil
	case !info.IsDir():
		return nil, invalidURI("%s is neither a directory nor a file", path)
	}
	return &localFolder{local: local{dir: path}}, nil
}

// List implements Store.
func (l *localFolder) List(ctx context.Context) ([]File, error) {
	if l.only != "" {
		file, err := l.Stat(ctx, l.only)
		if err != nil {
			return nil, err
		}
		return []File{file}, nil
	}
	w := walk{ctx: ctx, root: l.dir, open: map[string]bool{}}
	if err := w.dir(""); err != nil {
		return nil, err
	}
	slices.SortFunc(w.files, func(a, b File) int { return strings.Compare(a.Key, b.Key) })
	return w.files, nil
}

// walk goes through a directory and what is below it.
type walk struct {
	ctx   context.Context
	root  string
	open  map[string]bool // directories that the present one is in, without links
	files []File
}

// dir adds the files below a directory, given by its path below the root. A link to a
// directory that it is in itself is passed over: its files are known already.
func (w *walk) dir(below string) error {
	real, err := filepath.EvalSymlinks(filepath.Join(w.root, below))
	if err != nil {
		return cantRead(err)
	}
	if w.open[real] {
		return nil
	}
	w.open[real] = true
	defer delete(w.open, real)
	entries, err := os.ReadDir(real)
	if err != nil {
		return cantRead(err)
	}
	for _, entry := range entries {
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		key := filepath.Join(below, entry.Name())
		path := filepath.Join(w.root, key)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return cantRead(rename(err, "open"))
		case info.IsDir():
			err = w.dir(key)
		case info.Mode().IsRegular():
			w.files = append(w.files, fileOf(path, filepath.ToSlash(key), info))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Stat implements Folder.
func (l *localFolder) Stat(ctx context.Context, key string) (File, error) {
	if err := context.Cause(ctx); err != nil {
		return File{}, err
	}
	if !filepath.IsLocal(filepath.FromSlash(key)) {
		return File{}, outside(key)
	}
	path := filepath.Join(l.dir, filepath.FromSlash(key))
	info, err := os.Stat(path)
	switch {
	case err != nil:
		failed := readFault(rename(err, "open").Error())
		failed.Cause = nil
		return File{}, &gone{failed, err}
	case !info.Mode().IsRegular():
		return File{}, readFault(path + " is not a regular file")
	}
	return fileOf(path, key, info), nil
}

// Open implements Store.
func (l *localFolder) Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error) {
	if !filepath.IsLocal(filepath.FromSlash(file.Key)) {
		return nil, outside(file.Key)
	}
	return l.local.Open(ctx, file, offset)
}

// outside is the error of a key that leads out of its folder, which only a forged archive has.
func outside(key string) error {
	return readFault("the name " + fault.ShortValue([]byte(key)) + " leads out of its folder")
}

// Backend implements Folder: each store's own disk, where the folder has to be in reach too.
func (l *localFolder) Backend() *backuppb.StorageBackend {
	return &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_Local{Local: &backuppb.Local{Path: l.dir}}}
}

// gone is an error for users whose kind is that of the system's error behind it.
type gone struct {
	told *fault.Error
	kind error
}

// Error implements error.
func (e *gone) Error() string { return e.told.Error() }

// Unwrap returns both.
func (e *gone) Unwrap() []error { return []error{e.told, e.kind} }

// objectFolder is the part of a bucket below a prefix.
type objectFolder struct {
	*objects
	prefix string // without a / behind it
	only   string // a file, if the location is that of one
}

func openObjectFolder(scheme, location string, cfg Config) (Folder, error) {
	p, err := parsePlace(scheme, location, cfg, true)
	if err != nil {
		return nil, err
	}
	var only string
	if u, _, _ := strings.Cut(location, "?"); isSQLFile(u) { // with a slash at its end it isn't
		p.path, only = path.Split(p.path)
		p.path = strings.TrimSuffix(p.path, "/")
	}
	prefix := p.path
	if prefix != "" {
		prefix += "/"
	}
	base := p.base + prefix
	return &objectFolder{&objects{bucket: below{p.bucket, prefix}, base: base, watch: newWatch(base, cfg)}, p.path, only}, nil
}

// isSQLFile tells whether a location, without its parameters, is that of an SQL file, compressed or not.
func isSQLFile(location string) bool {
	_, bare := CompressionOf(location)
	return strings.EqualFold(path.Ext(bare), ".sql")
}

// List implements Store.
func (f *objectFolder) List(ctx context.Context) (files []File, err error) {
	if f.only != "" {
		file, err := f.Stat(ctx, f.only)
		if err != nil {
			return nil, err
		}
		return []File{file}, nil
	}
	err = f.try(ctx, f.base, func(ctx context.Context) (_ bool, err error) {
		files, err = f.pages(ctx, "", "", func(f *File) bool { return !strings.HasSuffix(f.Key, "/") && f.Key != "" })
		return false, err
	})
	if err != nil {
		return nil, err
	}
	return f.inOrder(files), nil
}

// Stat implements Folder.
func (f *objectFolder) Stat(ctx context.Context, key string) (file File, err error) {
	missed := false
	err = f.try(ctx, f.base+key, func(ctx context.Context) (_ bool, err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer f.watch.guard(cancel).Stop()
		file, err = f.bucket.stat(ctx, key)
		missed = err != nil && f.bucket.verdict(err) == missing
		return false, stalled(ctx, err)
	})
	if told := fault.As(err); told != nil && missed {
		return File{}, &gone{told, fs.ErrNotExist}
	}
	file.Path = f.base + key
	file.Compression, _ = CompressionOf(key)
	return file, err
}

// Backend implements Folder.
func (f *objectFolder) Backend() *backuppb.StorageBackend { return f.bucket.backend(f.prefix) }

// below is the part of a bucket whose keys begin with a prefix, which its own keys lack.
type below struct {
	bucket
	prefix string
}

// list implements bucket.
func (b below) list(ctx context.Context, prefix, delimiter, from string) (files []File, next string, err error) {
	files, next, err = b.bucket.list(ctx, b.prefix+prefix, delimiter, from)
	for i := range files {
		files[i].Key = strings.TrimPrefix(files[i].Key, b.prefix)
	}
	return files, next, err
}

// stat implements bucket.
func (b below) stat(ctx context.Context, key string) (File, error) {
	file, err := b.bucket.stat(ctx, b.prefix+key)
	file.Key = key
	return file, err
}

// get implements bucket.
func (b below) get(ctx context.Context, file *File, from, to int64) (io.ReadCloser, error) {
	whole := *file
	whole.Key = b.prefix + file.Key
	return b.bucket.get(ctx, &whole, from, to)
}
