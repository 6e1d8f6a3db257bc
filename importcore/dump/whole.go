package dump

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// ReadWhole reads the files of Whole, puts what is in them into the listing, and leaves Whole empty. store gives the files' text, unpacked. What
// a file makes without saying in which database belongs to the one that the file is called after, its name without the suffixes. If there is one
// file and db isn't "", it belongs to db, unless the file has a database of that name itself. Errors are those of sqldump.ReadOutline.
func (l *Listing) ReadWhole(ctx context.Context, store source.Store, cfg sqldump.Config, db string) error {
	w := &wholes{
		out: l, databases: map[string]*Database{}, tables: index(l.Tables), views: index(l.Views), sequences: index(l.Sequences),
	}
	for i := range l.Databases {
		w.databases[strings.ToLower(l.Databases[i].Name)] = &l.Databases[i]
	}
	for i := range l.Whole {
		f := &l.Whole[i]
		outline, err := sqldump.ReadOutline(ctx, store, f, cfg)
		if err != nil {
			return err
		}
		w.file, w.db = f, stemOf(f.Key)
		if db != "" && len(l.Whole) == 1 && !names(outline, db) {
			w.db = db
		}
		w.take(outline)
	}
	if len(l.Whole) > 0 {
		w.finish()
	}
	return nil
}

// stemOf is a file's name without its suffixes.
func stemOf(file string) string {
	stem, suffix := cutSuffix(path.Base(file))
	if packings[lowerASCII(suffix)] {
		stem, _ = cutSuffix(stem)
	}
	return stem
}

// names tells whether a dump says itself what is in a database.
func names(o *sqldump.Outline, db string) bool {
	return slices.ContainsFunc(o.Statements, func(s sqldump.Statement) bool { return strings.EqualFold(s.Database, db) }) ||
		slices.ContainsFunc(o.Rows, func(r sqldump.Rows) bool { return strings.EqualFold(r.Database, db) })
}

// wholes is a ReadWhole under way.
type wholes struct {
	out                      *Listing
	databases                map[string]*Database
	tables, views, sequences map[key]*Object
	file                     *source.File // the present one
	db                       string       // of what it doesn't say
}

func index(list []Object) map[key]*Object {
	at := map[key]*Object{}
	for i := range list {
		at[keyOf(list[i].DB, list[i].Name)] = &list[i]
	}
	return at
}

// take puts what the present file holds into the listing.
func (w *wholes) take(o *sqldump.Outline) {
	for i := range o.Statements {
		w.statement(&o.Statements[i])
	}
	for i := range o.Rows {
		w.rows(&o.Rows[i])
	}
	w.skipped(o.Skipped)
}

// in is a statement's database, which is in the listing then.
func (w *wholes) in(name string) *Database {
	if name == "" {
		name = w.db
	}
	l := strings.ToLower(name)
	if w.databases[l] == nil {
		w.databases[l] = &Database{Name: name}
	}
	return w.databases[l]
}

func (w *wholes) statement(s *sqldump.Statement) {
	d := w.in(s.Database)
	db := d.Name
	made := &Schema{File: *w.file, Text: s.Text, Line: s.Line, Collation: s.Collation}
	switch s.Kind {
	case sqldump.CreateDatabase:
		switch { // each file of a dump may begin with the same one
		case d.Schema == nil:
			d.Schema = made
		case d.Name != s.Database:
			w.problem(db, "", "line %d makes the database %s beside %s: only the case of their names differs", s.Line, s.Database, db)
		}
	case sqldump.CreateTable:
		w.object(w.tables, db, s.Name, made)
	case sqldump.CreateView:
		w.object(w.views, db, s.Name, made)
	case sqldump.CreateSequence:
		w.object(w.sequences, db, s.Name, made)
	case sqldump.SetSequence:
		of := w.sequences[keyOf(db, s.Name)]
		if of == nil || of.Schema == nil || of.Schema.Path != w.file.Path {
			w.problem(db, s.Name, "line %d sets a sequence that it doesn't make", s.Line)
			return
		}
		of.Schema.Text += ";\n" + s.Text
	}
}

// object puts a table, view or sequence into a list that may have its rows already.
func (w *wholes) object(of map[key]*Object, db, name string, made *Schema) {
	k := keyOf(db, name)
	for _, other := range []map[key]*Object{w.tables, w.views, w.sequences} {
		if o := other[k]; o != nil && o.Schema != nil {
			w.problem(db, name, "line %d makes what %s has made", made.Line, o.Schema.Place())
			return
		}
	}
	if of[k] == nil {
		of[k] = &Object{DB: db, Name: name}
	}
	of[k].Schema = made
}

func (w *wholes) rows(r *sqldump.Rows) {
	db := w.in(r.Database).Name
	k := keyOf(db, r.Table)
	if w.views[k] != nil || w.sequences[k] != nil {
		w.problem(db, r.Table, "line %d has rows of what is no table", r.Section.Line)
		return
	}
	t := w.tables[k]
	if t == nil {
		t = &Object{DB: db, Name: r.Table}
		w.tables[k] = t
	}
	t.Data = append(t.Data, Data{File: *w.file, Format: FormatSQL, Section: &r.Section})
	t.Bytes += r.Bytes()
}

// mostNamed bounds how many of the things that a file has beside what is restored are named.
const mostNamed = 20

// skipped tells of what isn't restored, by kind.
func (w *wholes) skipped(list []sqldump.Skipped) {
	var kinds []string
	found := map[string][]string{}
	for _, s := range list {
		if found[s.What] == nil {
			kinds = append(kinds, s.What)
		}
		found[s.What] = append(found[s.What], strings.TrimSpace(fmt.Sprintf("%s (line %d)", s.Name, s.Line)))
	}
	for _, what := range kinds {
		these := found[what]
		if n := len(these) - mostNamed; n > 0 {
			these = append(these[:mostNamed:mostNamed], fmt.Sprintf("%d more", n))
		}
		w.out.Skipped = append(w.out.Skipped, Skipped{w.file.Path, fmt.Sprintf("not restored, %s: %s", what, strings.Join(these, ", "))})
	}
}

func (w *wholes) problem(db, name, format string, args ...any) {
	w.out.Problems = append(w.out.Problems, Problem{db, name, w.file.Path, fmt.Sprintf(format, args...)})
}

func (w *wholes) finish() {
	l := w.out
	l.Tables, l.Views, l.Sequences, l.Whole = sorted(w.tables), sorted(w.views), sorted(w.sequences), nil
	var databases []Database
	for _, d := range w.databases {
		databases = append(databases, *d)
	}
	slices.SortFunc(databases, func(a, b Database) int { return cmp.Compare(a.Name, b.Name) })
	l.Databases = databases
	slices.SortStableFunc(l.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortStableFunc(l.Problems, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
}
