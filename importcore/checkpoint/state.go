package checkpoint

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// Version is that of the form and the meaning of a State. One with rounds has VersionRounds, because
// who doesn't know of them would take the first round for the whole job.
const (
	Version       = 1
	VersionRounds = 2
)

// ErrVersion says that a state was written by a Sluice that this one doesn't understand.
var ErrVersion = errors.New("the checkpoint has another version")

// State is what a job has done.
type State struct {
	Version int   `json:"version"`
	Basis   Basis `json:"basis"`
	// Now is the job's NOW(), in milliseconds since 1970 UTC. FirstRowID is the row id of the
	// source's first row. Filled tells that the table had rows. All three are fixed for the job's whole life.
	Now        int64 `json:"now"`
	FirstRowID int64 `json:"first_row_id"`
	Filled     bool  `json:"filled,omitempty"`

	Encoded Encoded `json:"encoded"`
	// Deleting tells that rows of the table, which rows of the source replace, are being deleted.
	Deleting bool    `json:"deleting,omitempty"`
	Ingest   *Ingest `json:"ingest,omitempty"`
	// Rounds is nil until a part of the source is in the table for good. Encoded and Ingest are about what comes behind it.
	Rounds *Rounds `json:"rounds,omitempty"`
}

// Rounds are those that are over: the parts of the source that were imported early, because
// sorting more would have taken more disk than the job may have. Nothing of them is encoded again.
type Rounds struct {
	Count int `json:"count"`
	// Begin is where the present round begins, without runs.
	Begin Encoded `json:"begin"`
	// Sum is that of all their pairs; Spilled bytes were written to sort them.
	Sum     kv.Checksum `json:"sum"`
	Spilled int64       `json:"spilled,omitempty"`
	// CommitTS, Alone and Used are those of Ingest, for all rounds of the job.
	CommitTS uint64        `json:"commit_ts"`
	Alone    bool          `json:"alone"`
	Used     encode.MaxIDs `json:"used"`
	// Warnings are what the job has to tell its user so far.
	Warnings []string `json:"warnings,omitempty"`
}

// Sent tells whether pairs may be in the table.
func (s *State) Sent() bool { return s.Ingest != nil || s.Rounds != nil }

// Begin is where the present round begins, for whoever has none of its runs.
func (s *State) Begin() Encoded {
	if s.Rounds == nil {
		return Encoded{}
	}
	return s.Rounds.Begin
}

// Encoded is how far the source has been encoded.
type Encoded struct {
	// Dir is the job's own sort directory, "" while nothing depends on it.
	Dir string `json:"dir,omitempty"`
	// Next is the place of the first row that isn't encoded yet.
	Next Place `json:"next"`
	// Rows and SourceBytes are what was encoded before Next, without rows left out.
	Rows        int64 `json:"rows"`
	SourceBytes int64 `json:"source_bytes"`
	// Blocks is the number of entries in the index of blocks.
	Blocks int64 `json:"blocks,omitempty"`
	// IDs are the highest ids that were met or given.
	IDs encode.MaxIDs `json:"ids"`
	// Warnings counts the values that were made to fit, Warned is one of them.
	Warnings int64            `json:"warnings,omitempty"`
	Warned   []encode.Warning `json:"warned,omitempty"`
	// Bad is what was recorded of rows before Next.
	Bad badrows.Progress `json:"bad"`
	// Runs hold the pairs of everything before Next.
	Runs sortkv.Manifest `json:"runs"`
}

// Place is one between two rows of the source.
type Place struct {
	// File is the index of the file; the number of files stands for the end of the source.
	File int `json:"file"`
	// At is where in the file the row starts; the zero value stands for the file's beginning.
	At format.RowPlace `json:"at"`
	// Row counts the rows before it in the whole job, those left out included.
	Row int64 `json:"row"`
}

// Ingest is what is known of pairs that are, or may be, in the cluster.
type Ingest struct {
	// CommitTS is the timestamp of every pair; Alone tells that nobody else commits at it.
	CommitTS uint64 `json:"commit_ts"`
	Alone    bool   `json:"alone"`
	// Used are the table's automatic ids as they were before.
	Used encode.MaxIDs `json:"used"`
	// IDs are the highest ids of the source.
	IDs encode.MaxIDs `json:"ids"`
	// Sum is that of all pairs to be ingested, Before that of the rows that the
	// table had; without Verifiable it isn't known.
	Sum        kv.Checksum `json:"sum"`
	Before     kv.Checksum `json:"before"`
	Verifiable bool        `json:"verifiable"`
	// Rows, LostRows and DeletedRows are what the job's summary says.
	Rows        int64 `json:"rows"`
	LostRows    int64 `json:"lost_rows,omitempty"`
	DeletedRows int64 `json:"deleted_rows,omitempty"`
	// BadRows is how many rows were left out that count towards the job's limit.
	BadRows int64 `json:"bad_rows,omitempty"`
	// Warnings are what the job has to tell its user so far.
	Warnings []string `json:"warnings,omitempty"`
	// Done are the key ranges that are in the cluster for good.
	Done Ranges `json:"done"`
	// Complete tells that all of them are, and that no round follows.
	Complete bool `json:"complete,omitempty"`
	// End is where the round ends whose pairs these are; nil for the source's end.
	End *Place `json:"end,omitempty"`
}

// Marshal returns the state in its lasting form.
func (s *State) Marshal() ([]byte, error) {
	s.Version = Version
	if s.Rounds != nil || s.Ingest != nil && s.Ingest.End != nil {
		s.Version = VersionRounds
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write a checkpoint: %w", err)
	}
	return pack(text)
}

// packers are the *gzip.Writer that are free. A new one takes 800 KiB, which would be most of what a small state costs.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func pack(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w := packers.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool has nothing else
	defer packers.Put(w)
	w.Reset(&b)
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("write a checkpoint: %w", err)
	}
	return b.Bytes(), nil
}

// maxState bounds what is unpacked, in bytes, so that damaged data can't fill the memory.
const maxState = 256 << 20

// Unmarshal reads a state. Errors wrap ErrVersion for one of another version.
func Unmarshal(data []byte) (*State, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxState+1))
	if err == nil && len(text) > maxState {
		err = fmt.Errorf("it has more than %d bytes", maxState)
	}
	if err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	if head.Version != Version && head.Version != VersionRounds {
		return nil, fmt.Errorf("%w: it has %d, this Sluice reads %d and %d", ErrVersion, head.Version, Version, VersionRounds)
	}
	s := &State{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	return s, nil
}
