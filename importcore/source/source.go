// Package source turns a location as users write it into files and byte
// streams. Formats read from it without knowing where the bytes live.
//
// # Stores that are away
//
// Files of an object store are read in parts, each with a request of its own
// (objects.go), for a job several at a time and ahead of the reader (ahead.go).
// What fails for a while is tried again from the byte that was reached
// (retry.go): a refused or cut connection, a truncated body, an answer of the
// store that it is overloaded, a request that hangs. Each request asks for the
// very version of the file that was listed, and each answer is compared with
// it, so that bytes of two versions are never mixed.
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
	// ETag is the entity tag that an object store gives to each version of a file,
	// without quotes; empty on local disk.
	ETag string
	// Compression is how the bytes are packed, by the name's suffix.
	Compression Compression
}

// Identity is another one when the file was changed: its path, and what else is
// known of its version. JSON shows it in full.
func (f *File) Identity() []any {
	id := []any{f.Path, f.Size, f.ModTime.UnixNano()}
	if f.ETag != "" {
		id = append(id, f.ETag)
	}
	return id
}

// Store is one kind of place that files live in. Implementations are safe for
// concurrent use.
type Store interface {
	// List returns the files that the location names, in name order.
	List(ctx context.Context) ([]File, error)
	// Open returns a stream that starts offset bytes into the file. The caller
	// closes it. A file that has changed since it was listed is an error, at the
	// latest of the stream's end. Reading ends with ctx.
	Open(ctx context.Context, file File, offset int64) (io.ReadCloser, error)
	// Close releases connections.
	Close() error
}

// Config is what a location leaves open.
type Config struct {
	// S3 is for s3:// locations.
	S3 S3
	// Patience is how long a store that fails is tried again, without a byte of
	// progress, before that is the error; 0 means DefaultPatience.
	Patience time.Duration
	// Stall is how long a request may go without a byte before it counts as
	// failed; 0 means DefaultStall.
	Stall time.Duration
	// Trouble, if set, hears when a store begins to fail for longer than a moment
	// and when it is over. It is called by one goroutine at a time.
	Trouble func(Trouble)

	pause time.Duration // before the second try; 0 means firstPause
}

// Defaults of Config. The patience outlasts a restart of a store, a failover and most faults of networks.
const (
	DefaultPatience = 15 * time.Minute
	DefaultStall    = 30 * time.Second
)

// Trouble tells of a store that doesn't answer as it should.
type Trouble struct {
	// Location without credentials.
	Location string
	Since    time.Time
	// Reason is the last error's, in one line without credentials.
	Reason string
	// Over tells that nothing fails any more.
	Over bool
}
