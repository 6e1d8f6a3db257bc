package precheck

import (
	"os"

	"golang.org/x/sys/unix"
)

// SortDir judges whether files can be made in the sort directory, or that directory
// itself, without making any.
func SortDir(dir string) Finding {
	at, err := existing(dir)
	if err != nil {
		return Fail("the sort directory can't be used: %v", err)
	}
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return Fail("the sort directory can't be used: %v", err)
	case !info.IsDir():
		return Fail("the sort directory %s can't be used: %s is not a directory", dir, at)
	}
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		return Fail("the sort directory %s can't be written to: access %s: %v", dir, at, err)
	}
	if at != dir {
		return Pass("%s will be made", dir)
	}
	return Pass("%s can be written to", dir)
}
