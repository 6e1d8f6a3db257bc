package archive

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/sluicedb/sluice/importcore/archive/blocktable"
	"github.com/sluicedb/sluice/importcore/fault"
)

// open returns a data file's plain bytes from an offset on.
func (a *Archive) open(ctx context.Context, f *DataFile, offset int64) (io.ReadCloser, error) {
	in, err := a.folder.Open(ctx, f.File, offset)
	if err != nil || !a.cipher.On() {
		return in, err
	}
	key, err := a.cipher.stream(f.IV, offset)
	if err != nil {
		return nil, errors.Join(damaged(f.Path, err), in.Close())
	}
	return &decrypted{ReadCloser: in, key: key}, nil
}

type decrypted struct {
	io.ReadCloser
	key cipher.Stream
}

// Read implements io.Reader.
func (d *decrypted) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.key.XORKeyStream(p[:n], p[:n])
	return n, err
}

// tableIter reads a data file's pairs from the first to the last and compares all its bytes with its sum.
type tableIter struct {
	*blocktable.Iter
	file *DataFile
	in   io.ReadCloser
	body io.Reader // what Iter reads from
	sum  hash.Hash
	err  error
}

// table opens a data file. The caller closes it.
func (a *Archive) table(ctx context.Context, f *DataFile) (*tableIter, error) {
	t, err := blocktable.Open(f.Size, func(offset int64) (io.ReadCloser, error) { return a.open(ctx, f, offset) })
	if err != nil {
		return nil, inFile(f, err)
	}
	in, err := a.folder.Open(ctx, f.File, 0)
	if err != nil {
		return nil, err
	}
	it := &tableIter{file: f, in: in, sum: sha256.New()}
	it.body = io.TeeReader(in, it.sum) // the sum is over what is stored
	if a.cipher.On() {
		key, err := a.cipher.stream(f.IV, 0)
		if err != nil {
			return nil, errors.Join(damaged(f.Path, err), in.Close())
		}
		it.body = cipher.StreamReader{S: key, R: it.body}
	}
	it.Iter = t.Iter(it.body)
	return it, nil
}

// Next moves on; behind the last pair it reads what is left of the file.
func (it *tableIter) Next() bool {
	if it.err != nil {
		return false
	}
	if it.Iter.Next() {
		return true
	}
	if err := it.Iter.Err(); err != nil {
		it.err = inFile(it.file, err)
		return false
	}
	if _, err := io.Copy(io.Discard, it.body); err != nil {
		it.err = inFile(it.file, err)
	} else if !bytes.Equal(it.sum.Sum(nil), it.file.SHA256) {
		it.err = damaged(it.file.Path, errSum)
	}
	return false
}

// Err returns what made Next return false, nil at the end of a whole file.
func (it *tableIter) Err() error { return it.err }

// Close closes the file.
func (it *tableIter) Close() error { return it.in.Close() }

// inFile names the file unless the error does so already.
func inFile(f *DataFile, err error) error {
	if fault.As(err) != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("read the file %s of the archive: %w", f.Path, err)
	}
	return damaged(f.Path, err)
}
