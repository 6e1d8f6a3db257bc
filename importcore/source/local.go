package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
)

// local is a directory of this machine and the name or pattern of the files
// in it. It holds no resources.
type local struct {
	dir  string
	name string // pattern if glob
	glob bool
}

func openLocal(path string) (*local, error) {
	if !filepath.IsAbs(path) {
		return nil, invalidURI("file location should be absolute path when import from server disk")
	}
	if err := checkSuffix(path); err != nil {
		return nil, err
	}
	l := &local{dir: filepath.Dir(path), name: filepath.Base(path)}
	if _, err := os.Stat(l.dir); err != nil {
		return nil, invalidURI("%s", err)
	}
	l.glob = strings.ContainsAny(l.name, wildcards)
	if l.glob {
		var err error
		if l.name, err = checkPattern(l.name); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// List returns the named file (8160 if it can't be read), or the regular
// files that match the pattern in name order (8173 if there is none or all
// of them are empty; an entry that can't be examined is an error, as leaving
// it out would lose rows silently).
func (l *local) List(ctx context.Context) ([]File, error) {
	names := []string{l.name}
	if l.glob {
		var err error
		if names, err = l.match(ctx); err != nil {
			return nil, err
		}
	}
	var files []File
	var total int64
	for _, name := range names {
		file, ok, err := l.stat(name)
		if err != nil {
			return nil, err
		}
		if ok {
			files = append(files, file)
			total += file.Size
		}
	}
	if total == 0 {
		return nil, nothingMatches()
	}
	return files, nil
}

func (l *local) match(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, cantRead(err)
	}
	var names []string
	for _, entry := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if ok, _ := filepath.Match(l.name, entry.Name()); ok { // the pattern was checked by openLocal
			names = append(names, entry.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// stat returns ok = false for a directory that a pattern matches.
func (l *local) stat(name string) (file File, ok bool, err error) {
	path := filepath.Join(l.dir, name)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return File{}, false, cantRead(rename(err, "open"))
	case info.IsDir() && l.glob:
		return File{}, false, nil
	case !info.Mode().IsRegular():
		return File{}, false, cantRead(fmt.Errorf("%s is not a regular file", path))
	}
	if err := checkSuffix(name); err != nil {
		return File{}, false, err
	}
	return fileOf(path, name, info), true, nil
}

// fileOf is a file of this machine.
func fileOf(path, key string, info os.FileInfo) File {
	compression, _ := CompressionOf(key)
	return File{Path: path, Key: key, Size: info.Size(), ModTime: info.ModTime(), Compression: compression}
}

// Open checks size and time of change against the listing before it reads;
// the stream checks them again at its end, so that a file that changes while
// it is read is an error too (8160).
func (l *local) Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(l.dir, file.Key))
	if err != nil {
		return nil, cantRead(err)
	}
	s := &localStream{f: f, file: file, left: file.Size - offset}
	if err := s.unchanged(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if offset < 0 || offset > file.Size {
		err := fault.New(fault.Sluice, 0, "offset %d lies outside of the %d bytes of %s", offset, file.Size, file.Path)
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(cantRead(err), f.Close())
	}
	return s, nil
}

// Close does nothing: a local store holds no connection.
func (l *local) Close() error { return nil }

// localStream reads exactly the bytes that the listing promised.
type localStream struct {
	f    *os.File
	file File
	left int64
}

// Read ends with io.EOF only after all promised bytes of an unchanged file.
func (s *localStream) Read(p []byte) (int, error) {
	if s.left == 0 {
		if err := s.unchanged(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.f.Read(p)
	s.left -= int64(n)
	switch {
	case err == io.EOF:
		return n, s.changed()
	case err != nil:
		return n, cantRead(err)
	}
	return n, nil
}

// Close closes the file.
func (s *localStream) Close() error { return s.f.Close() }

func (s *localStream) unchanged() error {
	info, err := s.f.Stat()
	if err != nil {
		return cantRead(err)
	}
	if info.Size() != s.file.Size || !info.ModTime().Equal(s.file.ModTime) {
		return s.changed()
	}
	return nil
}

func (s *localStream) changed() error {
	return cantRead(fmt.Errorf("%s was changed after it had been listed with %d bytes", s.file.Path, s.file.Size))
}

func cantRead(cause error) error { return readFault(cause.Error()) }

func readFault(cause string) *fault.Error {
	return fault.New(fault.Source, codeCantRead,
		"Failed to read source files. Reason: %s. Please check the file location is correct", cause)
}

// rename makes a stat error read like one of opening the file, as TiDB's text has it.
func rename(err error, op string) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return &os.PathError{Op: op, Path: pe.Path, Err: pe.Err}
	}
	return err
}
