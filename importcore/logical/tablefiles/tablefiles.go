// Package tablefiles is the data files of one table, CSV or SQL, as a source of package logical.
package tablefiles

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/source"
)

// readers is how many files' heads are read at a time.
const readers = 8

// File is one data file.
type File struct {
	source.File
	// SQL says that it holds INSERT statements; otherwise it is CSV.
	SQL bool
	// Section is the part of an SQL file that is the table's; nil is all of it.
	Section *sqldump.Section
}

// Config says what the files are.
type Config struct {
	// Store gives the files' text, unpacked. It stays the caller's.
	Store source.Store
	// Files in the order in which their rows count.
	Files []File
	// CSV and SQL say how files of the formats are read. Recover has to be set in both where bad rows are left out.
	CSV csv.Config
	SQL sqldump.Config
	// Header says that the first row of each CSV file names its columns.
	Header bool
	// Layout is that of rows for which neither a header nor an INSERT lists columns.
	Layout *logical.Layout
}

// Files is a logical.Source. It is safe for concurrent use.
type Files struct {
	cfg      Config
	headers  []*csv.Header // per CSV file with Header; nil for one without rows
	settings []sqldump.Settings

	mu      sync.Mutex
	layouts map[string]*logical.Layout // of lists of columns
	files   []*logical.Layout          // per CSV file with Header
}

// Open reads what stands before the files' first rows. Errors are those of the store, and *fault.Error with their place; files of which
// one sets another time zone or SQL mode than another one can't go into one table's session.
func Open(ctx context.Context, cfg Config) (*Files, error) {
	n := len(cfg.Files)
	f := &Files{cfg: cfg, headers: make([]*csv.Header, n), settings: make([]sqldump.Settings, n), files: make([]*logical.Layout, n),
		layouts: map[string]*logical.Layout{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i := range cfg.Files {
		group.Go(fault.Contain(func() error { return f.readHead(ctx, i) }))
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, h := range f.headers {
		if h != nil {
			f.files[i] = f.layout(h.Names)
		}
	}
	return f, f.agree()
}

func (f *Files) readHead(ctx context.Context, i int) (err error) {
	file := &f.cfg.Files[i]
	switch {
	case file.SQL:
		var head *sqldump.Head
		if head, err = sqldump.ReadHead(ctx, f.cfg.Store, &file.File, file.Section, f.cfg.SQL); head != nil {
			f.settings[i] = head.Settings
		}
	case f.cfg.Header:
		f.headers[i], err = csv.ReadHeader(ctx, f.cfg.Store, &file.File, f.cfg.CSV)
	}
	return err
}

// agree refuses files whose rows belong into different sessions. A file without rows says nothing.
func (f *Files) agree() error {
	first := -1
	for i := range f.cfg.Files {
		if !f.cfg.Files[i].SQL {
			continue
		}
		if first < 0 {
			first = i
		} else if a, b := f.settings[first], f.settings[i]; a.TimeZone != b.TimeZone || a.NoAutoValueOnZero() != b.NoAutoValueOnZero() {
			return fault.New(fault.Source, 0, "the files %s and %s of one table set different time zones or SQL modes",
				f.cfg.Files[first].Path, f.cfg.Files[i].Path)
		}
	}
	return nil
}

// Settings are what the SQL files set for all their rows.
func (f *Files) Settings() sqldump.Settings {
	for i := range f.cfg.Files {
		if f.cfg.Files[i].SQL {
			return f.settings[i]
		}
	}
	return sqldump.Settings{}
}

// Basis is what logical.Task.Basis has to hold of the files.
func (f *Files) Basis() string {
	var b strings.Builder
	for i := range f.cfg.Files {
		file := &f.cfg.Files[i]
		fmt.Fprintf(&b, "%v %v", file.Identity(), file.SQL)
		if file.Section != nil {
			fmt.Fprintf(&b, " %d-%d", file.Section.Start, file.Section.End)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Files implements logical.Source.
func (f *Files) Files() int { return len(f.cfg.Files) }

// Open implements logical.Source.
func (f *Files) Open(ctx context.Context, i int, from format.RowPlace, pool *format.BlockPool) (format.Splitter, error) {
	file := &f.cfg.Files[i]
	switch {
	case file.SQL:
		return sqldump.NewSplitter(ctx, f.cfg.Store, &file.File, i, file.Section, from, f.cfg.SQL, pool)
	case from.Line > 0:
		return csv.NewSplitterAt(ctx, from, f.cfg.Store, &file.File, i, f.cfg.CSV, pool)
	case f.headers[i] != nil:
		return csv.NewSplitterBehind(ctx, f.headers[i], f.cfg.Store, &file.File, i, f.cfg.CSV, pool)
	default:
		return csv.NewSplitter(ctx, f.cfg.Store, &file.File, i, f.cfg.CSV, pool)
	}
}

// Layout implements logical.Source.
func (f *Files) Layout(b *format.Block) (*logical.Layout, error) {
	switch {
	case b.Heading != nil && b.Heading.Columns != nil:
		return f.layout(b.Heading.Columns), nil
	case f.files[b.FileIndex] != nil:
		return f.files[b.FileIndex], nil
	default:
		return f.cfg.Layout, nil
	}
}

// layout returns the one layout of a list of columns.
func (f *Files) layout(columns []string) *logical.Layout {
	key := strings.Join(columns, "\x00")
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.layouts[key]
	if l == nil {
		l = &logical.Layout{Columns: columns}
		f.layouts[key] = l
	}
	return l
}

// Reader implements logical.Source.
func (f *Files) Reader() format.RowReader { return &reader{files: f} }

// reader reads blocks of both formats.
type reader struct {
	files *Files
	csv   format.RowReader
	sql   format.RowReader
	format.RowReader
}

// Reset implements format.RowReader.
func (r *reader) Reset(b *format.Block) {
	if r.files.cfg.Files[b.FileIndex].SQL {
		if r.sql == nil {
			r.sql = sqldump.NewReader(r.files.cfg.SQL)
		}
		r.RowReader = r.sql
	} else {
		if r.csv == nil {
			r.csv = csv.NewReader(r.files.cfg.CSV)
		}
		r.RowReader = r.csv
	}
	r.RowReader.Reset(b)
}
