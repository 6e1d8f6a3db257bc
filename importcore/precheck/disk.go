package precheck

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// Disk judges whether a directory's disk has room for as many bytes as a job is
// expected to write there; 0 means that everything fits into memory. free tells how
// many bytes a directory's disk has, see FreeBytes.
func Disk(dir string, need int64, free func(dir string) (int64, error)) Finding {
	if need == 0 {
		return Pass("the pairs are expected to fit into memory")
	}
	have, err := free(dir)
	if err != nil {
		return Unknown(err)
	}
	wanted, has := units.BytesSize(float64(need)), units.BytesSize(float64(have))
	if have < need {
		return Fail("sorting needs about %s in %s, whose disk has %s free", wanted, dir, has)
	}
	return Pass("sorting needs about %s in %s, whose disk has %s free", wanted, dir, has)
}

// FreeBytes returns how many bytes an unprivileged user can write to the disk of
// a directory that need not exist yet.
func FreeBytes(dir string) (int64, error) {
	at, err := existing(dir)
	if err != nil {
		return 0, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: at, Err: err}
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // of other types on other systems
}

// existing returns the directory, or the nearest one above it that exists.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return dir, err
		}
		dir = up
	}
}
