package importcore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/util/timeutil"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
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

// layouts are those of a plan. Files of FormatSQL may bring more of them while they are read.
type layouts struct {
	compile func(mapping *table.Mapping, err error, s sqldump.Settings) (*layout, error)
	mu      sync.Mutex
	all     []*layout
	byKey   map[string]*layout
}

// lay finds the layout of each file. now is what CURRENT_TIMESTAMP means.
func (p *Plan) lay(ctx context.Context, now time.Time) error {
	partitions, err := p.target.FindPartitions(p.Task.Partitions)
	if err != nil {
		return err
	}
	p.known = &layouts{byKey: map[string]*layout{}}
	p.known.compile = func(mapping *table.Mapping, err error, s sqldump.Settings) (*layout, error) {
		if err != nil {
			return nil, err
		}
		zone, mode, err := p.session(s)
		if err != nil {
			return nil, err
		}
		l := &layout{mapping: mapping}
		l.encoding, err = encode.Compile(encode.Config{
			Target: p.target, Mapping: mapping, SQLMode: mode, Location: zone, Now: now,
			Partitions: partitions, SysVars: p.Task.SysVars, User: p.Task.User, CurrentDB: p.Task.CurrentDB,
		})
		return l, err
	}
	p.layouts = make([]*layout, len(p.Files))
	if !p.Task.readsHeads() {
		all, err := p.layOf("", func() (*table.Mapping, error) { return p.target.Map(p.Task.Columns, p.Task.Assignments...) }, sqldump.Settings{})
		if err != nil {
			return err
		}
		for i := range p.layouts {
			p.layouts[i] = all
		}
		p.encoding = all.encoding
		return nil
	}
	return p.layByHeads(ctx)
}

// session returns what of the session a dump has set differently: it is obeyed where rows would mean something else without it.
func (p *Plan) session(s sqldump.Settings) (*time.Location, mysql.SQLMode, error) {
	zone, mode := p.Task.TimeZone, p.Task.SQLMode
	if s.NoAutoValueOnZero() {
		mode |= mysql.ModeNoAutoValueOnZero
	}
	if t := s.TimeZone; t.Given && !strings.EqualFold(t.Text, "SYSTEM") {
		given, err := timeutil.ParseTimeZone(t.Text)
		if err != nil {
			return nil, 0, fault.New(fault.Source, errno.ErrUnknownTimeZone, "Unknown or incorrect time zone: '%s', which the file sets", t.Text)
		}
		zone = given
	}
	return zone, mode, nil
}

// layOf returns the layout of a key, which is compiled when it is first asked for.
func (p *Plan) layOf(key string, mapping func() (*table.Mapping, error), s sqldump.Settings) (*layout, error) {
	k := p.known
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.byKey[key]; l != nil {
		return l, nil
	}
	m, err := mapping()
	l, err := k.compile(m, err, s)
	if err != nil {
		return nil, err
	}
	k.byKey[key] = l
	k.all = append(k.all, l)
	return l, nil
}

// allLayouts returns those that are known so far.
func (p *Plan) allLayouts() []*layout {
	if p.known == nil {
		return nil
	}
	p.known.mu.Lock()
	defer p.known.mu.Unlock()
	return slices.Clip(p.known.all)
}

// layByHeads finds the layouts of files that say themselves where fields go.
func (p *Plan) layByHeads(ctx context.Context) error {
	if err := p.readHeads(ctx); err != nil {
		return err
	}
	for i := range p.Files {
		var err error
		switch {
		case p.isSQL(i) && p.heads[i] != nil:
			p.layouts[i], err = p.layOfHeading(p.heads[i].Heading, p.heads[i].Settings)
			err = placed(err, p.heads[i].At, "")
		case p.isSQL(i), p.Task.HeaderNames && p.headers[i] == nil:
		case p.Task.HeaderNames:
			h := p.headers[i]
			p.layouts[i], err = p.layOf(columnsKey(h.Names), func() (*table.Mapping, error) { return p.target.MapHeader(h.Names, p.Task.Assignments...) }, sqldump.Settings{})
			err = placed(err, h.At, ": the columns are those that the file's header names")
		default:
			p.layouts[i], err = p.layOf("", func() (*table.Mapping, error) { return p.target.Map(p.Task.Columns, p.Task.Assignments...) }, sqldump.Settings{})
		}
		if err != nil {
			return err
		}
	}
	if all := p.allLayouts(); len(all) > 0 {
		p.encoding = all[len(all)-1].encoding
		return nil
	}
	// There are no rows at all. The table is looked at all the same.
	m, err := p.target.Map(nil)
	l, err := p.known.compile(m, err, sqldump.Settings{})
	if err == nil {
		p.encoding = l.encoding
	}
	return err
}

func columnsKey(names []string) string { return strings.ToLower(fmt.Sprintf("%q", names)) }

// layOfHeading returns the layout of rows of an SQL file. The task's own list of columns goes before that of a statement.
func (p *Plan) layOfHeading(h *format.Heading, s sqldump.Settings) (*layout, error) {
	key := fmt.Sprintf("sql %t %q ", s.NoAutoValueOnZero(), s.TimeZone.Text)
	listed := h.Columns != nil && len(p.Task.Columns) == 0
	if listed {
		key += columnsKey(h.Columns)
	}
	return p.layOf(key, func() (*table.Mapping, error) {
		if listed {
			return p.target.MapHeader(h.Columns, p.Task.Assignments...)
		}
		return p.target.Map(p.Task.Columns, p.Task.Assignments...)
	}, s)
}

// layoutOf returns the layout of a block's rows. Columns that can't be are an error with the block's place.
func (p *Plan) layoutOf(b *format.Block) (*layout, error) {
	if b.Heading == nil {
		return p.layouts[b.FileIndex], nil
	}
	l, err := p.layOfHeading(b.Heading, p.heads[b.FileIndex].Settings)
	if err != nil {
		return nil, placed(err, fault.Position{File: b.File.Path, Line: b.FirstLine, Offset: b.Offset}, "")
	}
	if was := p.layouts[b.FileIndex]; p.filled && (was.encoding.OwnIDs() == nil) != (l.encoding.OwnIDs() == nil) {
		return nil, fault.New(fault.Source, 0, "some rows have values for the table's automatic ids and some leave them to the job, which allow_non_empty can't tell apart; "+
			"import them one after the other").Place(fault.Position{File: b.File.Path, Line: b.FirstLine, Offset: b.Offset})
	}
	return l, nil
}

// headersAtOnce is how many files' headers are read at a time: there may be many files, and
// each answer of an object store takes its time. Of files that are unpacked it is fewer, because each takes memory.
const (
	headersAtOnce = 8
	packedAtOnce  = 2
)

// readHeads reads what files say before their rows. Of several errors it returns that of the first file.
func (p *Plan) readHeads(ctx context.Context) error {
	p.headers, p.heads = make([]*csv.Header, len(p.Files)), make([]*sqldump.Head, len(p.Files))
	var mu sync.Mutex
	var failed error
	first := len(p.Files) // of those with an error
	group := errgroup.Group{}
	group.SetLimit(headersAtOnce)
	if p.unpackMemory(p.Task.MemoryBudget) > 0 {
		group.SetLimit(packedAtOnce)
	}
	texts := p.texts(p.store)
	for i := range p.Files {
		group.Go(fault.Contain(func() error {
			mu.Lock()
			needless := first < i
			mu.Unlock()
			if needless {
				return nil
			}
			err := p.readHeadOf(ctx, texts, i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && i < first {
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

// readHeadOf sets what there is of one file.
func (p *Plan) readHeadOf(ctx context.Context, texts source.Store, i int) (err error) {
	switch {
	case p.isSQL(i):
		p.heads[i], err = sqldump.ReadHead(ctx, texts, &p.Files[i], p.section(i), p.Task.dumps())
	case p.Task.HeaderNames:
		p.headers[i], err = csv.ReadHeader(ctx, texts, &p.Files[i], p.Task.CSV)
	}
	return err
}

// placed adds to an error where the columns stand that it is about, and why these.
func placed(err error, at fault.Position, why string) error {
	if f := fault.As(err); f != nil {
		f.Message += why
		f.At.File, f.At.Line, f.At.Offset = at.File, at.Line, at.Offset
	}
	return err
}

// drawnColumns returns the offsets of columns that get drawn values in some file. Of files of FormatSQL it isn't known what they list
// until they have been read, so that every column counts that may.
func (p *Plan) drawnColumns() map[int]bool {
	drawn := map[int]bool{}
	for _, l := range p.allLayouts() {
		maps.Copy(drawn, l.encoding.DrawnColumns())
	}
	if p.Task.has(FormatSQL) && len(p.Task.Columns) == 0 {
		maps.Copy(drawn, encode.DrawnDefaults(p.target.Info))
	}
	return drawn
}

// newSplitter returns a splitter for the rows of a file that has a layout, from
// a place in it on if that is one of a block. store is one of Plan.texts.
func (p *Plan) newSplitter(ctx context.Context, store source.Store, file int, from checkpoint.Place, pool *format.BlockPool) (format.Splitter, error) {
	if p.isSQL(file) {
		at := format.RowPlace{}
		if from.File == file {
			at = from.At
		}
		return sqldump.NewSplitter(ctx, store, &p.Files[file], file, p.section(file), at, p.Task.dumps(), pool)
	}
	if from.File == file && from.At.Line > 0 {
		return csv.NewSplitterAt(ctx, from.At, store, &p.Files[file], file, p.Task.CSV, pool)
	}
	if p.headers != nil && p.headers[file] != nil {
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
