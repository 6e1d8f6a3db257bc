// Package archiverows is the rows of a table in an archive of BR as a source of package logical:
//
//	archiverows.go  a table's files in their order; which columns their rows have
//	splitter.go     a file's pairs → blocks of rows
//	reader.go       blocks → fields
//	value.go        a value as the text of a literal, without loss
//
// # Rows and their numbers
//
// A file of logical.Source is a part of the archive: a key range of the table, or of one of its partitions, with the one or two SSTs that hold it.
// Rows are numbered in the order of their keys. Nothing but the archive decides about them: they are the same on every machine.
// Who goes on with a job leaves out the parts that are done, and reads the one in which it stopped from its beginning: the sums that the
// archive has are over whole files.
//
// # Where the work is done
//
// The splitter unpacks blocks of the SSTs and joins column families. What it gives out is pairs as the archive has them; they are decoded by
// the readers, of which each lane has its own.
//
// # What is checked
//
// Each part is compared with its files' sums (SHA-256, and the number, bytes and checksum of its pairs) when its last row has been read, and Rows.Expected
// is how many rows there have to be in the end. A row that lacks a value, or whose value isn't one of its column's type, is an error that names the file.
package archiverows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/logical"
)

// Rows is a logical.Source. It is safe for concurrent use and holds nothing that has to be closed.
type Rows struct {
	archive *archive.Archive
	table   *archive.Table
	parts   []*archive.Part
	columns []*model.ColumnInfo
	layout  *logical.Layout
}

// New returns the rows of a table. The archive and its folder stay the caller's and are needed as long as the rows are.
// A table whose rows can't be read on their own is an error of the user.
func New(a *archive.Archive, t *archive.Table) (*Rows, error) {
	if a.Incremental() {
		return nil, fault.New(fault.User, 0, "the archive holds only what has changed since another one, which can't be brought in by SQL")
	}
	r := &Rows{archive: a, table: t, parts: t.RowParts(), columns: t.RowColumns(), layout: &logical.Layout{}}
	for _, c := range t.Info.Columns {
		if c.State != model.StatePublic && !c.Hidden {
			return nil, fault.New(fault.User, 0, "table %s of the archive can't be brought in by SQL: its column %s was being changed", t.Info.Name.O, c.Name.O)
		}
	}
	for _, c := range r.columns {
		if err := known(c); err != nil {
			return nil, fault.Wrap(err, fault.User, 0, "table %s of the archive can't be brought in by SQL", t.Info.Name.O)
		}
		name := c.Name.O
		if c.IsGenerated() {
			name = "" // the target computes it
		}
		r.layout.Columns = append(r.layout.Columns, name)
	}
	_, err := r.decoder()
	return r, err
}

func (r *Rows) decoder() (*archive.RowDecoder, error) { return r.archive.RowDecoder(r.table, time.UTC) }

// Columns are those that the rows have values for, in the order of the fields: all but virtual ones. Those that are generated and stored are
// among them, though the target computes them itself.
func (r *Rows) Columns() []*model.ColumnInfo { return r.columns }

// Basis is what logical.Task.Basis has to hold of the rows: a digest of what the archive says of them, wherever it is.
func (r *Rows) Basis() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %d %q\n", r.archive.ClusterID, r.archive.EndTS, r.table.Info.ID, r.layout.Columns)
	for _, p := range r.parts {
		fmt.Fprintf(&b, "%x-%x %v", p.Start, p.End, p.Sum)
		for _, f := range p.Files() {
			fmt.Fprintf(&b, " %s %x", f.CF, f.SHA256)
		}
		b.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// Expected is how many rows the archive says that there are; false if it has counted them together with the entries of indexes.
func (r *Rows) Expected() (n int64, ok bool) {
	for _, p := range r.parts {
		record := tablecodec.GenTableRecordPrefix(p.PhysicalID)
		if string(p.Start) < string(record) || string(p.End) > string(archive.After(record)) {
			return 0, false
		}
		n += int64(p.Sum.Pairs)
	}
	return n, true
}

// Bytes is the size of the files.
func (r *Rows) Bytes() (n int64) {
	for _, p := range r.parts {
		n += p.Size()
	}
	return n
}

// Files implements logical.Source.
func (r *Rows) Files() int { return len(r.parts) }

// Open implements logical.Source.
func (r *Rows) Open(ctx context.Context, i int, from format.RowPlace, pool *format.BlockPool) (format.Splitter, error) {
	pairs, err := r.archive.Pairs(ctx, r.parts[i])
	if err != nil {
		return nil, err
	}
	return &splitter{part: r.parts[i], index: i, skip: from.Row, pairs: pairs, pool: pool}, nil
}

// Layout implements logical.Source.
func (r *Rows) Layout(*format.Block) (*logical.Layout, error) { return r.layout, nil }

// Reader implements logical.Source.
func (r *Rows) Reader() format.RowReader {
	decoder, err := r.decoder()
	return &reader{rows: r, decoder: decoder, err: err}
}
