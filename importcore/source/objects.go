package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"

	"github.com/sluicedb/sluice/importcore/fault"
)

// bucket is a kind of object store. Its errors mean what verdict says. Its
// methods try nothing again, and may be called at the same time.
type bucket interface {
	// connect does what has to be done before the others are called. It may be called often.
	connect(ctx context.Context) error
	// list returns some of the objects whose keys begin with prefix, without those that have the
	// delimiter behind the prefix. The list begins with from "", and goes on from next until that is "".
	list(ctx context.Context, prefix, delimiter, from string) (files []File, next string, err error)
	// stat returns an object as it is now, without its path.
	stat(ctx context.Context, key string) (File, error)
	// get returns a stream that holds at least the bytes [from, to) of this version of an object.
	get(ctx context.Context, file *File, from, to int64) (io.ReadCloser, error)
	verdict(err error) verdict
	// reason is an error in words, one line without credentials.
	reason(err error) string
	// backend says how TiKV gets at what is below a prefix, with the credentials that connect has found. The caller owns it.
	backend(prefix string) *backuppb.StorageBackend
	// close gives up idle connections.
	close()
}

// verdict is what an error of a bucket means.
type verdict uint8

const (
	passing  verdict = iota // it may succeed when it is tried again
	denied                  // credentials are missing or wrong, or may not read
	missing                 // there is no such file
	noBucket                // there is no such bucket
	changed                 // the object is not the version that was asked for
	refused                 // for any other reason that lasts
)

// errChanged and errOtherRange are get's own errors: of a store that gives another
// version, or a part of the file that was not asked for.
var (
	errChanged    = errors.New("the file was changed")
	errOtherRange = errors.New("the store has sent another part of the file than was asked for")
	errCircle     = errors.New("the store's list of files goes in a circle")
	errStalled    = errors.New("nothing has come from the store")
)

// answer is what a store says of the bytes that it sends.
type answer struct {
	length       int64
	contentRange string
	version      File // ETag and ModTime
}

// check compares an answer with what was asked for: not every store honours conditions.
func (a *answer) check(file *File, from, to int64) error {
	switch {
	case file.ETag != "" && a.version.ETag != "":
		if file.ETag != a.version.ETag {
			return errChanged
		}
	case !file.ModTime.IsZero() && !a.version.ModTime.IsZero() && file.ModTime.Unix() != a.version.ModTime.Unix():
		return errChanged
	}
	if a.contentRange == "" { // the whole file
		if from == 0 && a.length == file.Size {
			return nil
		}
		return errOtherRange
	}
	var first, last, size int64
	if n, err := fmt.Sscanf(a.contentRange, "bytes %d-%d/%d", &first, &last, &size); err != nil || n != 3 {
		return errOtherRange
	}
	if size != file.Size {
		return errChanged
	}
	if first != from || last < to-1 {
		return errOtherRange
	}
	return nil
}

// objects is a Store over a bucket. It holds nothing but connections.
type objects struct {
	bucket bucket
	base   string // what is before a key in a path: scheme and bucket
	path   string // key or pattern
	glob   bool
	watch  *watch
}

func openObjects(scheme, location string, cfg Config) (Store, error) {
	p, err := parsePlace(scheme, location, cfg, false)
	if err != nil {
		return nil, err
	}
	return newObjects(p.base, p.path, p.bucket, cfg)
}

func newObjects(base, path string, b bucket, cfg Config) (*objects, error) {
	o := &objects{bucket: b, base: base, path: path, glob: strings.ContainsAny(path, wildcards), watch: newWatch(base+path, cfg)}
	if o.glob {
		var err error
		if o.path, err = checkPattern(path); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Remote tells whether a store's files come over a network, so that it pays to
// read ahead.
func Remote(s Store) bool {
	return objectsOf(s) != nil
}

// objectsOf returns what a store of objects is made of, nil for others.
func objectsOf(s Store) *objects {
	switch s := s.(type) {
	case *objects:
		return s
	case *objectFolder:
		return s.objects
	default:
		return nil
	}
}

// Close implements Store.
func (o *objects) Close() error {
	o.bucket.close()
	return nil
}

// List implements Store: the named file (8160 if there is none), or the objects that match the pattern; 8159 if
// the store denies access.
func (o *objects) List(ctx context.Context) ([]File, error) {
	files := []File(nil)
	err := o.try(ctx, o.base+o.path, func(ctx context.Context) (_ bool, err error) {
		files, err = o.listOnce(ctx)
		return false, err
	})
	if err != nil {
		return nil, err
	}
	files = o.inOrder(files)
	var total int64
	for i := range files {
		total += files[i].Size
	}
	if total == 0 {
		return nil, nothingMatches()
	}
	return files, nil
}

// inOrder returns the files by their keys, each once, with their paths.
func (o *objects) inOrder(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Key, b.Key) })
	files = slices.CompactFunc(files, func(a, b File) bool { return a.Key == b.Key })
	for i := range files {
		files[i].Path = o.base + files[i].Key
		files[i].Compression, _ = CompressionOf(files[i].Key)
	}
	return files
}

func (o *objects) listOnce(ctx context.Context) ([]File, error) {
	if !o.glob {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer o.watch.guard(cancel).Stop()
		file, err := o.bucket.stat(ctx, o.path)
		return []File{file}, stalled(ctx, err)
	}
	prefix := o.path[:strings.IndexAny(o.path, wildcards+`\`)]
	delimiter := ""
	if !strings.Contains(o.path[len(prefix):], "/") {
		delimiter = "/" // what is further down can't match
	}
	return o.pages(ctx, prefix, delimiter, func(f *File) bool {
		// Stores have no directories, but some tools make empty objects for them.
		match, _ := filepath.Match(o.path, f.Key)
		return match && !(f.Size == 0 && strings.HasSuffix(f.Key, "/"))
	})
}

// pages returns the wanted ones of all objects whose keys begin with prefix.
func (o *objects) pages(ctx context.Context, prefix, delimiter string, wanted func(*File) bool) ([]File, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	beat := o.watch.guard(cancel)
	defer beat.Stop()
	var files []File
	for from := ""; ; {
		page, next, err := o.bucket.list(ctx, prefix, delimiter, from)
		if err != nil {
			return nil, stalled(ctx, err)
		}
		beat.Reset(o.watch.stall)
		for i := range page {
			if wanted(&page[i]) {
				files = append(files, page[i])
			}
		}
		switch next {
		case "":
			return files, nil
		case from:
			return nil, errCircle
		}
		from = next
	}
}

// try connects if need be and does something with the bucket, again while it fails in passing.
func (o *objects) try(ctx context.Context, path string, do func(context.Context) (bool, error)) error {
	return o.tryAt(ctx, path, nil, do)
}

// tryAt is try for reading, which has reached an offset.
func (o *objects) tryAt(ctx context.Context, path string, offset func() int64, do func(context.Context) (bool, error)) error {
	connecting := false
	return o.watch.try(ctx, attempt{
		do: func(ctx context.Context) (bool, error) {
			connecting = true
			if err := o.connect(ctx); err != nil {
				return false, err
			}
			connecting = false
			return do(ctx)
		},
		lasting: func(err error) error { return o.lasting(err, path, connecting) },
		reason:  o.reason,
		tired: func(lasted time.Duration, reason string) *fault.Error {
			place := path
			if offset != nil {
				place = fmt.Sprintf("%s at byte %d", path, offset())
			}
			why := fmt.Sprintf("%s can't be read, for %v now: %s", place, lasted.Round(time.Second), reason)
			if connecting {
				return cantAccess(why)
			}
			return readFault(why)
		},
	})
}

func (o *objects) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer o.watch.guard(cancel).Stop()
	return stalled(ctx, o.bucket.connect(ctx))
}

// lasting implements attempt.
func (o *objects) lasting(err error, path string, connecting bool) error {
	if f := fault.As(err); f != nil {
		return f
	}
	if errors.Is(err, errChanged) {
		return o.changed(path)
	}
	if errors.Is(err, errStalled) || errors.Is(err, errOtherRange) {
		return nil
	}
	v := o.bucket.verdict(err)
	switch {
	case v == passing:
		return nil
	case v == noBucket, v == missing && connecting:
		return cantAccess(fmt.Sprintf("there is no bucket %s", strings.TrimSuffix(o.base, "/")))
	case v == missing:
		return cantRead(fmt.Errorf("%s: there is no such file", path))
	case v == changed:
		return o.changed(path)
	case v == denied, connecting:
		return cantAccess(fmt.Sprintf("%s: %s", path, o.bucket.reason(err)))
	default:
		return cantRead(fmt.Errorf("%s: %s", path, o.bucket.reason(err)))
	}
}

func (o *objects) changed(path string) error {
	return cantRead(fmt.Errorf("%s was changed after it had been listed", path))
}

func (o *objects) reason(err error) string {
	switch {
	case errors.Is(err, errStalled):
		return fmt.Sprintf("%s for %v", errStalled, o.watch.stall)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the store's answer has ended too early"
	}
	return o.bucket.reason(err)
}

func cantAccess(reason string) *fault.Error {
	return fault.New(fault.Source, codeCantAccess,
		"Access to the data source has been denied. Reason: %s. Please check the URI, access key and secret access key are correct", reason)
}

// guard cancels a request when nothing has come for too long: each Reset is a sign of life.
func (w *watch) guard(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(w.stall, func() { cancel(errStalled) })
}

// stalled gives the error of a request that guard has cancelled its cause.
func stalled(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}
