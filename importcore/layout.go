package importcore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/importcore/table"
)

// layout is where the fields of a file's rows go, and how they are encoded for
// that. Files whose headers name the same columns in the same order share one; without
// headers all files do.
type layout struct {
	mapping  *table.Mapping
	encoding *encode.Plan
}

// lay finds the layout of each file. now is what CURRENT_TIMESTAMP means.
func (p *Plan) lay(ctx context.Context, now time.Time) error {
	partitions, err := p.target.FindPartitions(p.Task.Partitions)
	if err != nil {
		return err
	}
	compile := func(mapping *table.Mapping, err error) (*layout, error) {
		if err != nil {
			return nil, err
		}
		l := &layout{mapping: mapping}
		l.encoding, err = encode.Compile(encode.Config{
			Target: p.target, Mapping: mapping, SQLMode: p.Task.SQLMode, Location: p.Task.TimeZone, Now: now,
			Partitions: partitions, SysVars: p.Task.SysVars, User: p.Task.User, CurrentDB: p.Task.CurrentDB,
		})
		p.encoding = l.encoding
		return l, err
	}
	p.layouts = make([]*layout, len(p.Files))
	if p.Task.HeaderNames {
		if err := p.layByHeaders(ctx, compile); err != nil || p.encoding != nil {
			return err
		}
		// There are no rows at all. The table is looked at all the same.
		_, err := compile(p.target.Map(nil))
		return err
	}
	all, err := compile(p.target.Map(p.Task.Columns, p.Task.Assignments...))
	for i := range p.layouts {
		p.layouts[i] = all
	}
	return err
}

func (p *Plan) layByHeaders(ctx context.Context, compile func(*table.Mapping, error) (*layout, error)) error {
	if err := p.readHeaders(ctx); err != nil {
		return err
	}
	known := map[string]*layout{}
	for i, h := range p.headers {
		if h == nil {
			continue
		}
		key := strings.ToLower(fmt.Sprintf("%q", h.Names))
		if known[key] == nil {
			l, err := compile(p.target.MapHeader(h.Names, p.Task.Assignments...))
			if err != nil {
				return inHeader(err, h)
			}
			known[key] = l
		}
		p.layouts[i] = known[key]
	}
	return nil
}

// headersAtOnce is how many files' headers are read at a time: there may be many files, and
// each answer of an object store takes its time.
const headersAtOnce = 8

// readHeaders reads the headers of all files. Of several errors it returns that of the first file.
func (p *Plan) readHeaders(ctx context.Context) error {
	p.headers = make([]*csv.Header, len(p.Files))
	var mu sync.Mutex
	var failed error
	first := len(p.Files) // of those with an error
	group := errgroup.Group{}
	group.SetLimit(headersAtOnce)
	for i := range p.Files {
		group.Go(fault.Contain(func() error {
			mu.Lock()
			needless := first < i
			mu.Unlock()
			if needless {
				return nil
			}
			h, err := csv.ReadHeader(ctx, p.store, &p.Files[i], p.Task.CSV)
			mu.Lock()
			defer mu.Unlock()
			if p.headers[i] = h; err != nil && i < first {
				first, failed = i, err
			}
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return err // a panic
	}
	return failed
}

// inHeader adds to an error which file's header asks for what can't be.
func inHeader(err error, h *csv.Header) error {
	if f := fault.As(err); f != nil {
		f.Message += ": the columns are those that the file's header names"
		f.At.File, f.At.Line, f.At.Offset = h.At.File, h.At.Line, h.At.Offset
	}
	return err
}

// drawnColumns returns the offsets of columns that get drawn values in some file.
func (p *Plan) drawnColumns() map[int]bool {
	drawn, seen := map[int]bool{}, map[*layout]bool{nil: true}
	for _, l := range p.layouts {
		if !seen[l] {
			seen[l] = true
			maps.Copy(drawn, l.encoding.DrawnColumns())
		}
	}
	return drawn
}

// newSplitter returns a splitter for the rows of a file that has a layout, from
// a place in it on if that is one of a block. store is the plan's, or reads its files ahead.
func (p *Plan) newSplitter(ctx context.Context, store source.Store, file int, from checkpoint.Place, pool *format.BlockPool) (format.Splitter, error) {
	if from.File == file && from.At.Line > 0 {
		return csv.NewSplitterAt(ctx, from.At, store, &p.Files[file], file, p.Task.CSV, pool)
	}
	if p.headers != nil {
		return csv.NewSplitterBehind(ctx, p.headers[file], store, &p.Files[file], file, p.Task.CSV, pool)
	}
	return csv.NewSplitter(ctx, store, &p.Files[file], file, p.Task.CSV, pool)
}

// usable takes a reader's error about the present row. It returns nil if the
// row can be encoded all the same: nothing gets its fields that are no text.
func (l *layout) usable(err error, r format.RowReader, file *source.File) error {
	var foreign *format.ForeignText
	if !errors.As(err, &foreign) {
		return err
	}
	for i, field := range foreign.Fields {
		name := l.mapping.Receiver(field)
		if name == "" {
			continue
		}
		place, text := r.Place(), foreign.Texts[i]
		at := fault.Position{File: file.Path, Line: place.Line, Offset: place.Offset, Column: name, Value: fault.ShortValue(text)}
		return &format.BadRow{Value: text, Cause: fault.Wrap(foreign, fault.Source, errno.ErrTruncatedWrongValueForField,
			"Incorrect string value for column '%s'", name).Place(at)}
	}
	return nil
}

// encoders are a worker's own, one for each layout that it has met.
type encoders struct {
	layout  *layout
	encoder *encode.Encoder // for layout
	made    map[*layout]*encode.Encoder
	onMade  func(*encode.Encoder) // nil: nobody wants to know
}

// use makes a layout the present one.
func (e *encoders) use(l *layout) {
	if l == e.layout {
		return
	}
	if e.made == nil {
		e.made = map[*layout]*encode.Encoder{}
	}
	if e.made[l] == nil {
		e.made[l] = l.encoding.NewEncoder()
		if e.onMade != nil {
			e.onMade(e.made[l])
		}
	}
	e.layout, e.encoder = l, e.made[l]
}
