package dump

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// Listing is what a folder holds. Names that differ in case only are one object.
type Listing struct {
	// Databases, and in each of the lists below the objects, are in the order of their names.
	Databases []Database
	// Tables are those that have a schema file or data files.
	Tables, Views, Sequences []Object
	// Whole are files that may be whole dumps, each in one file, in the order of their paths: ReadWhole puts what is in them into
	// the lists above. A folder with schema files has none.
	Whole []source.File
	// Policies are schema files of placement policies.
	Policies []source.File
	// Metadata is nil if there is none.
	Metadata *source.File
	// Skipped are the files that belong to nothing that could be restored, in the order of their paths.
	Skipped []Skipped
	// Problems are files that belong to an object and can't be read. Whoever restores the object must refuse.
	Problems []Problem
	// BR is the path of a backup's meta file, "" if there is none. Then this is no dump.
	BR string
	// Shell is the path of the file that makes the folder a dump of MySQL Shell, "" if there is none. Its other files mean something else then.
	Shell string
}

// Database is a database that a file's name mentions.
type Database struct {
	Name string
	// Schema is nil if the dump doesn't say how it is made.
	Schema *Schema
}

// Schema says how an object is made.
type Schema struct {
	// File is a schema file, or the one in which Text is.
	source.File
	// Text are the statements, "" for all that is in the file. They begin in the 1-based Line of the file's text.
	Text string
	Line int64
	// Collation is collation_connection as the statements around Text have set it, "" if they don't.
	Collation string
}

// Place is where the statements are, for messages.
func (s *Schema) Place() string {
	if s.Text == "" {
		return s.Path
	}
	return fmt.Sprintf("%s (line %d)", s.Path, s.Line)
}

// Object is a table, a view or a sequence.
type Object struct {
	// DB and Name are as in the schema file's name or statement, or in the name of the first data file.
	DB, Name string
	// Schema is nil for a table that has data files only.
	Schema *Schema
	// Data are a table's data files, in the order in which their rows count.
	Data []Data
	// Bytes is the size of the data files, as they are stored; of parts of a file that of their text.
	Bytes int64
}

// Data is one data file, or a part of one.
type Data struct {
	source.File
	Format Format
	// Section is the part of an SQL file that holds the table's rows; nil for all of it.
	Section *sqldump.Section
	// order are what the files of a table are ordered by first.
	order []string
}

// Skipped is a file that is not restored.
type Skipped struct {
	Path, Reason string
}

// Problem says why an object of a dump, or of a database all that is in it, can't be restored.
type Problem struct {
	DB, Object string // Object is "" for a database
	Path       string
	Reason     string
}

// key is a name without regard to case.
type key struct{ db, name string }

func keyOf(db, name string) key { return key{strings.ToLower(db), strings.ToLower(name)} }

// lister builds a Listing.
type lister struct {
	out       *Listing
	databases map[string]*Database
	tables    map[key]*Object
	views     map[key]*Object
	sequences map[key]*Object
	data      []namedFile
	unknown   []source.File // SQL files of which the name doesn't say what they are
	rules     *Rules
}

// namedFile is a data file with what its name says.
type namedFile struct {
	source.File
	name Name
}

// ReadFile is Read for one file that is a whole dump of its own, whatever its name.
func ReadFile(f source.File) *Listing {
	if !isSQL(f.Key) {
		return &Listing{Skipped: []Skipped{{f.Path, "its suffix is not that of an SQL file that can be read"}}}
	}
	return &Listing{Whole: []source.File{f}}
}

// Read sorts the files of a source.Folder, which may come in any order, by their names. It opens none.
func Read(files []source.File) *Listing { return ReadBy(files, nil) }

// ReadBy is Read by rules; nil are those of the names.
func ReadBy(files []source.File, rules *Rules) *Listing {
	l := &lister{
		rules: rules,
		out:   &Listing{}, databases: map[string]*Database{},
		tables: map[key]*Object{}, views: map[key]*Object{}, sequences: map[key]*Object{},
	}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b source.File) int { return cmp.Compare(a.Key, b.Key) })
	for _, f := range files {
		l.file(f)
	}
	for _, f := range l.data {
		l.dataFile(f)
	}
	l.wholes()
	l.placeholders()
	return l.finish()
}

// backupMeta is the name of the file that makes a folder a BR archive.
const backupMeta = "backupmeta"

// shellMeta is that of MySQL Shell's dumps.
// https://dev.mysql.com/doc/mysql-shell/8.4/en/mysql-shell-utilities-dump-instance-schema.html
const shellMeta = "@.json"

// file sorts one file. Data files wait until all schema files are known.
func (l *lister) file(f source.File) {
	n, skip, bad := l.rules.ofFile(&f)
	switch {
	case skip != "":
		l.skip(f, "%s", skip)
		return
	case bad != "":
		l.ensureDatabase(n.DB)
		n.Object = ""
		l.problem(n, f, "%s", bad)
		return
	}
	switch n.Kind {
	case KindDatabase:
		l.database(n, f)
	case KindTable:
		l.schema(l.tables, n, f)
	case KindView:
		l.schema(l.views, n, f)
	case KindSequence:
		l.schema(l.sequences, n, f)
	case KindData:
		l.data = append(l.data, namedFile{f, n})
	case KindPacked:
		l.problem(n, f, "files with the suffix .%s can't be read", n.Packing)
	case KindMetadata:
		if l.out.Metadata == nil && f.Key == "metadata" {
			l.out.Metadata = &f
			return
		}
		l.skip(f, "it is the dumping tool's own")
	case KindTrigger, KindPost:
		l.skip(f, "%s are not restored", n.Kind)
	case KindBackup:
		l.skip(f, "it is a backup copy")
	case KindPolicy:
		l.out.Policies = append(l.out.Policies, f)
	default:
		switch path.Base(f.Key) {
		case backupMeta:
			l.out.BR = f.Path
		case shellMeta:
			l.out.Shell = f.Path
		}
		if isSQL(f.Key) {
			l.unknown = append(l.unknown, f)
			return
		}
		l.skip(f, notNamed)
	}
}

const notNamed = "its name is not one of a dump's files"

// wholes takes SQL files without a name of a dump's for whole dumps, unless the folder has schema files.
func (l *lister) wholes() {
	schemas := len(l.views) + len(l.sequences)
	for _, d := range l.databases {
		schemas += has(d.Schema)
	}
	for _, t := range l.tables {
		schemas += has(t.Schema)
	}
	if schemas == 0 {
		l.out.Whole = l.unknown
		return
	}
	for _, f := range l.unknown {
		l.skip(f, notNamed)
	}
}

func has(s *Schema) int {
	if s == nil {
		return 0
	}
	return 1
}

func (l *lister) database(n Name, f source.File) {
	d := l.ensureDatabase(n.DB)
	if d.Schema != nil {
		l.problem(n, f, "%s is the schema of the same database", d.Schema.Path)
		return
	}
	d.Name, d.Schema = n.DB, &Schema{File: f}
}

func (l *lister) ensureDatabase(name string) *Database {
	lower := strings.ToLower(name)
	if l.databases[lower] == nil {
		l.databases[lower] = &Database{Name: name}
	}
	return l.databases[lower]
}

func (l *lister) schema(of map[key]*Object, n Name, f source.File) {
	l.ensureDatabase(n.DB)
	k := keyOf(n.DB, n.Object)
	if had := of[k]; had != nil {
		l.problem(n, f, "%s is the schema of the same name", had.Schema.Path)
		return
	}
	of[k] = &Object{DB: n.DB, Name: n.Object, Schema: &Schema{File: f}}
}

// dataFile gives a data file to its table.
func (l *lister) dataFile(f namedFile) {
	if f.name.Format == FormatParquet {
		l.problem(f.name, f.File, "Parquet files can't be read yet")
		return
	}
	k := keyOf(f.name.DB, f.name.Object)
	if l.tables[k] == nil {
		// Some versions of mydumper number the parts of a chunk too: db.t.00001.00002.sql.
		if bare, number := cutSuffix(f.name.Object); isNumber(number) && l.tables[keyOf(f.name.DB, bare)] != nil {
			k = keyOf(f.name.DB, bare)
		}
	}
	t := l.tables[k]
	if t == nil {
		l.ensureDatabase(f.name.DB)
		t = &Object{DB: f.name.DB, Name: f.name.Object}
		l.tables[k] = t
	}
	d := Data{File: f.File, Format: f.name.Format, order: []string{f.name.Key}}
	if f.name.Key == "" {
		d.order = numbers(f.Key)
	}
	t.Data = append(t.Data, d)
	t.Bytes += f.Size
}

// placeholders drops the tables that stand for views and sequences: Dumpling and mydumper write one for
// each view, so that views can be made in any order.
func (l *lister) placeholders() {
	for _, of := range []map[key]*Object{l.views, l.sequences} {
		for k, v := range of {
			t := l.tables[k]
			if t == nil {
				continue
			}
			if len(t.Data) > 0 {
				l.out.Problems = append(l.out.Problems, Problem{v.DB, v.Name, t.Data[0].Path,
					fmt.Sprintf("%s says that it belongs to no table", v.Schema.Path)})
			}
			if t.Schema != nil {
				l.skip(t.Schema.File, "it is a placeholder: %s is what it stands for", v.Schema.Path)
			}
			delete(l.tables, k)
		}
	}
}

func (l *lister) finish() *Listing {
	for _, d := range l.databases {
		l.out.Databases = append(l.out.Databases, *d)
	}
	slices.SortFunc(l.out.Databases, func(a, b Database) int { return cmp.Compare(a.Name, b.Name) })
	l.out.Tables, l.out.Views, l.out.Sequences = sorted(l.tables), sorted(l.views), sorted(l.sequences)
	for i := range l.out.Tables {
		sortData(l.out.Tables[i].Data)
	}
	slices.SortFunc(l.out.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(l.out.Problems, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
	return l.out
}

func sorted(of map[key]*Object) []Object {
	var list []Object
	for _, o := range of {
		list = append(list, *o)
	}
	slices.SortFunc(list, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.DB, b.DB), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func (l *lister) skip(f source.File, format string, args ...any) {
	l.out.Skipped = append(l.out.Skipped, Skipped{f.Path, fmt.Sprintf(format, args...)})
}

func (l *lister) problem(n Name, f source.File, format string, args ...any) {
	l.out.Problems = append(l.out.Problems, Problem{n.DB, n.Object, f.Path, fmt.Sprintf(format, args...)})
}
