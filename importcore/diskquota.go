package importcore

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/docker/go-units"
)

// diskQuota is the file system of the sort directory as long as that holds no more than it may: then it is
// full. What the directory holds is looked up now and then, so that what other processes have there, and jobs
// that are paused, count as well; in between, what was written is added.
//
// A job that hits the quota is treated as with a disk that is full. Sending what is sorted so far would make room too,
// but two rows with one key are only found, or decided about, while all pairs are merged, before the first one
// is sent; and all pairs of a job are sent at one timestamp, under which the later one would hide the earlier one silently.
type diskQuota struct {
	vfs.FS
	dir   string
	quota int64

	mu     sync.Mutex
	held   int64     // at the last look, and written since
	looked time.Time // zero before the first
}

// quotaLook is how long a look is good for.
const quotaLook = time.Second

// sortFS returns the file system for a sort directory that may hold so many bytes; 0 means any number.
func sortFS(dir string, quota int64) vfs.FS {
	if quota == 0 {
		return vfs.Default
	}
	return &diskQuota{FS: vfs.Default, dir: dir, quota: quota}
}

// quotaError is what comes of a write beyond the quota. It is a full disk's, for those who look at its kind.
type quotaError struct{ quota, held int64 }

// Error implements error.
func (e *quotaError) Error() string {
	return fmt.Sprintf("import.disk-quota of %s is used up (there are %s)", units.BytesSize(float64(e.quota)), units.BytesSize(float64(e.held)))
}

// Unwrap returns the kind.
func (e *quotaError) Unwrap() error { return syscall.EDQUOT }

// take counts bytes that are about to be written.
func (q *diskQuota) take(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if age := time.Since(q.looked); age >= quotaLook || q.held+n > q.quota && age >= quotaLook/10 {
		q.look()
	}
	if q.held+n > q.quota {
		return &quotaError{q.quota, q.held}
	}
	q.held += n
	return nil
}

// look finds out what the directory holds. Files come and go meanwhile.
func (q *diskQuota) look() {
	q.held, q.looked = 0, time.Now()
	_ = filepath.WalkDir(q.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			q.held += info.Size()
		}
		return nil
	})
}

// Create implements vfs.FS.
func (q *diskQuota) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := q.take(0); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	f, err := q.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &quotaFile{File: f, quota: q, name: name}, nil
}

// quotaFile is a file that is being written.
type quotaFile struct {
	vfs.File
	quota *diskQuota
	name  string
}

// Write implements vfs.File.
func (f *quotaFile) Write(p []byte) (int, error) {
	if err := f.quota.take(int64(len(p))); err != nil {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	return f.File.Write(p)
}
