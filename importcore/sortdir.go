package importcore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Names below Config.SortDir: one directory per job, in each a file that the
// process that works on the job keeps locked, and a file that is locked while such directories come
// up, are taken over or are looked through: who looks through them locks each for a moment, and
// must not be taken for a process that works on the job. sortDirKept is in a directory that a checkpoint
// depends on: it outlives its process and names the cluster whose job it is.
const (
	sortDirPrefix = "job-"
	sortDirPart   = "part"
	sortDirLock   = "lock"
	sortDirKept   = "checkpoint"
	sortBaseLock  = ".lock"
)

// sortDir is a job's own directory for sorting.
type sortDir struct {
	path string
	lock *os.File // locked for as long as the job runs
}

// newSortDir removes what processes that died have left below base, unless
// a checkpoint needs it, and makes a directory for a job of a cluster. The caller removes or releases it. What the job
// itself has left there goes too: it begins anew, maybe because its process died before its first checkpoint was saved.
func newSortDir(base string, clusterID uint64, jobID int64, part int, log *zap.Logger) (_ *sortDir, err error) {
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.User, 0, "the sort directory can't be made")
	}
	sweepSortDirs(base, log, func(job int64, ofPart int, cluster string) bool {
		return job == jobID && ofPart == part && cluster == strconv.FormatUint(clusterID, 10)
	})
	baseLock, err := lockFile(filepath.Join(base, sortBaseLock), os.O_CREATE, 0)
	if err != nil {
		return nil, fault.Wrap(err, fault.User, 0, "the sort directory %s can't be locked", filepath.Clean(base))
	}
	defer func() { err = errors.Join(err, baseLock.Close()) }()
	path, err := os.MkdirTemp(base, sortDirName(jobID, part))
	if err != nil {
		return nil, fault.Wrap(err, fault.User, 0, "no directory for sorting can be made in %s", filepath.Clean(base))
	}
	lock, err := lockFile(filepath.Join(path, sortDirLock), os.O_CREATE, 0)
	if err != nil {
		err = fault.Wrap(err, fault.User, 0, "the directory for sorting %s can't be locked", path)
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &sortDir{path: path, lock: lock}, nil
}

// takeSortDir takes over a directory that release was called for, or whose process
// died. It fails with fs.ErrNotExist or syscall.EWOULDBLOCK if there is none or another process has it.
func takeSortDir(path string) (_ *sortDir, err error) {
	baseLock, err := lockFile(filepath.Join(filepath.Dir(path), sortBaseLock), os.O_CREATE, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, baseLock.Close()) }()
	lock, err := lockFile(filepath.Join(path, sortDirLock), 0, syscall.LOCK_NB)
	if err != nil {
		return nil, err
	}
	return &sortDir{path: path, lock: lock}, nil
}

// keep makes the directory outlive this process, until the job of the cluster is over.
func (d *sortDir) keep(clusterID uint64) error {
	path := filepath.Join(d.path, sortDirKept)
	if err := os.WriteFile(path, []byte(strconv.FormatUint(clusterID, 10)), 0o600); err != nil {
		return fault.Wrap(err, fault.User, 0, "the sort directory can't be written")
	}
	return nil
}

// remove removes the directory with all that is in it and gives up its lock.
func (d *sortDir) remove() error { return errors.Join(os.RemoveAll(d.path), d.lock.Close()) }

// release gives up the directory and leaves it for a later takeSortDir.
func (d *sortDir) release() error { return d.lock.Close() }

// SweepSortDirs removes the directories that jobs which are over have left below
// the sort directory: their process died after a checkpoint, and the job was ended elsewhere.
// over tells whether a job of the core's cluster can't go on any more.
func (c *Core) SweepSortDirs(over func(jobID int64) bool) {
	mine := strconv.FormatUint(c.cluster.ID(), 10)
	sweepSortDirs(c.cfg.SortDir, c.cfg.Logger, func(jobID int64, _ int, clusterID string) bool {
		return clusterID == mine && over(jobID)
	})
}

// sweepSortDirs removes what processes that died have left below base. Several
// processes may share base: a directory whose lock is held is in use. Of those that
// a checkpoint may need it removes the ones that over approves of. It never
// fails the caller; what can't be removed is logged.
func sweepSortDirs(base string, log *zap.Logger, over func(jobID int64, part int, clusterID string) bool) {
	dead, kept, err := deadSortDirs(base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the sort directory can't be looked through", zap.String("dir", base), zap.Error(err))
	}
	for path, clusterID := range kept {
		if jobID, part := ownerOfSortDir(path); !over(jobID, part, clusterID) {
			continue
		}
		dir, err := takeSortDir(path)
		if err == nil {
			dead = append(dead, dir)
		} else if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("a sort directory can't be taken", zap.String("dir", path), zap.Error(err))
		}
	}
	for _, dir := range dead {
		if err := dir.remove(); err != nil {
			log.Warn("files of a dead process can't be removed", zap.String("dir", dir.path), zap.Error(err))
			continue
		}
		log.Info("removed the files of a dead process", zap.String("dir", dir.path))
	}
}

// sortDirName begins the name of the directory of a job, or of a part of one.
func sortDirName(jobID int64, part int) string {
	if part == 0 {
		return fmt.Sprintf("%s%d-", sortDirPrefix, jobID)
	}
	return fmt.Sprintf("%s%d-%s%d-", sortDirPrefix, jobID, sortDirPart, part)
}

// ownerOfSortDir returns the job that a directory was made for, and the part of it.
func ownerOfSortDir(path string) (jobID int64, part int) {
	text, rest, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), sortDirPrefix), "-")
	jobID, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, 0
	}
	if text, _, ok := strings.Cut(rest, "-"); ok {
		if n, err := strconv.Atoi(strings.TrimPrefix(text, sortDirPart)); err == nil {
			part = n
		}
	}
	return jobID, part
}

// deadSortDirs returns the directories that belong to no living process, locked, and those of them that a
// checkpoint may need, not locked, with the cluster whose job they are.
// A directory without a lock was not made here or is being made just now.
func deadSortDirs(base string) (dead []*sortDir, kept map[string]string, err error) {
	baseLock, err := lockFile(filepath.Join(base, sortBaseLock), os.O_CREATE, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, baseLock.Close()) }()
	entries, err := os.ReadDir(base)
	if err != nil {
		return nil, nil, err
	}
	kept = map[string]string{}
	var failures []error
	for _, entry := range entries {
		path := filepath.Join(base, entry.Name())
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), sortDirPrefix) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(path, sortDirLock)); err != nil {
			continue
		}
		lock, err := lockFile(filepath.Join(path, sortDirLock), 0, syscall.LOCK_NB)
		if err == nil {
			dir := &sortDir{path: path, lock: lock}
			if clusterID, readErr := os.ReadFile(filepath.Join(path, sortDirKept)); readErr == nil {
				kept[path], err = string(clusterID), dir.release()
			} else {
				dead = append(dead, dir)
			}
		}
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) { // which ended meanwhile
			failures = append(failures, err)
		}
	}
	return dead, kept, errors.Join(failures...)
}

// lockFile opens a file, with os.O_CREATE also one that is missing, and locks it
// against all other processes and calls until it is closed or the process ends.
// With syscall.LOCK_NB it does not wait but fails with syscall.EWOULDBLOCK.
func lockFile(path string, open, lock int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|open, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|lock)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, file.Close())
	}
	return file, nil
}
