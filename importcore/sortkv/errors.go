package sortkv

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/sluicedb/sluice/importcore/fault"
)

// DuplicateKeyError says that the pairs hold one key twice. The slices are
// the error's own copies.
type DuplicateKeyError struct{ Key, Value1, Value2 []byte }

func duplicateKey(key, value1, value2 []byte) *DuplicateKeyError {
	return &DuplicateKeyError{
		Key:    append([]byte(nil), key...),
		Value1: append([]byte(nil), value1...),
		Value2: append([]byte(nil), value2...),
	}
}

// Error names the key in hexadecimal and says whether the values differ.
func (e *DuplicateKeyError) Error() string {
	values := "equal values"
	if string(e.Value1) != string(e.Value2) {
		values = "different values"
	}
	const shown = 256
	if len(e.Key) > shown {
		return fmt.Sprintf("duplicate key %x... (%d bytes) with %s", e.Key[:shown], len(e.Key), values)
	}
	return fmt.Sprintf("duplicate key %x with %s", e.Key, values)
}

// MySQL's error numbers for files, see the server error reference.
const (
	codeDiskFull     = 1021 // ER_DISK_FULL
	codeErrorOnRead  = 1024 // ER_ERROR_ON_READ
	codeErrorOnWrite = 1026 // ER_ERROR_ON_WRITE
)

// writeError makes an error of the sort directory that its owner can act on.
func writeError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(err, fault.User, codeDiskFull, "the sort directory %s is full", dir)
	}
	return fault.Wrap(err, fault.User, codeErrorOnWrite, "writing to the sort directory %s failed", dir)
}

func readError(dir string, err error) error {
	return fault.Wrap(err, fault.User, codeErrorOnRead, "reading back from the sort directory %s failed", dir)
}
