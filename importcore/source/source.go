// Package source turns a location as users write it into files and byte
// streams. Formats read from it without knowing where the bytes live.
package source

import (
	"context"
	"io"
	"time"
)

// File is one object of the source as it was when it was listed.
type File struct {
	// Path is how users know the file and errors show it (no credentials): an
	// absolute path on local disk, a URL elsewhere.
	Path string
	// Key identifies the file inside its Store.
	Key     string
	Size    int64 // bytes as stored
	ModTime time.Time
}

// Store is one kind of place that files live in. Implementations are safe for
// concurrent use.
type Store interface {
	// List returns the files that the location names, in name order.
	List(ctx context.Context) ([]File, error)
	// Open returns a stream that starts offset bytes into the file. The caller
	// closes it. A file that has changed since it was listed is an error.
	Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error)
	// Close releases connections.
	Close() error
}
