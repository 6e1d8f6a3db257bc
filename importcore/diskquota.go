package importcore

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/docker/go-units"
)

// diskQuota is the file system of a job's sort directory as long as that holds no more than it may: then it is
// full, and the job ends as with a disk that is full. A job whose source is divided (rounds.go) begins
// its next round before that.
type diskQuota struct {
	vfs.FS
	dir   string
	quota int64

	mu sync.Mutex
	// held is at least what the directory holds: what was there at the last look, and what was written since.
	held   int64
	looked bool
}

// sortFS returns the file system for a job's directory, which may hold so many bytes; 0 means any number.
func sortFS(dir string, quota int64) vfs.FS {
	if quota == 0 {
		return vfs.Default
	}
	return &diskQuota{FS: vfs.Default, dir: dir, quota: quota}
}

// quotaError is what comes of a write beyond the quota. It is a full disk's, for those who look at its kind.
type quotaError struct{ quota int64 }

// Error implements error.
func (e *quotaError) Error() string {
	return fmt.Sprintf("the job needs more than its disk quota of %s; ALTER IMPORT JOB ... SET disk_quota gives it another one",
		units.BytesSize(float64(e.quota)))
}

// Unwrap returns the kind.
func (e *quotaError) Unwrap() error { return syscall.EDQUOT }

// take counts bytes that are about to be written.
func (q *diskQuota) take(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.looked || q.held+n > q.quota { // files may have gone
		q.held, q.looked = heldIn(q.dir), true
	}
	if q.held+n > q.quota {
		return &quotaError{q.quota}
	}
	q.held += n
	return nil
}

// heldIn finds out what a directory holds. Files come and go meanwhile.
func heldIn(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// Create implements vfs.FS.
func (q *diskQuota) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
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
