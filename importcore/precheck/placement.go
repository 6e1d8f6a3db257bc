package precheck

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Placement judges whether what is read and what is written for sorting are on
// one disk. need is as for Disk.
func Placement(source, sortDir string, need int64) Finding {
	if need == 0 {
		return Pass("the pairs are expected to fit into memory")
	}
	from, err := device(source)
	if err != nil {
		return Unknown(err)
	}
	to, err := existing(sortDir)
	if err != nil {
		return Unknown(err)
	}
	into, err := device(to)
	if err != nil {
		return Unknown(err)
	}
	if from == into {
		return Warn("the source and the sort directory %s are on the same disk, which is slower than two", sortDir)
	}
	return Pass("the source and the sort directory are on different disks")
}

// device tells disks apart.
func device(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return uint64(st.Dev), nil //nolint:unconvert // of another type on other systems
}
