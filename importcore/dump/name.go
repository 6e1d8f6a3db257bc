package dump

import (
	"net/url"
	"path"
	"strings"
)

// Kind is what a file is.
type Kind uint8

// The kinds of files.
const (
	KindNone     Kind = iota // its name says nothing
	KindDatabase             // CREATE DATABASE
	KindTable                // CREATE TABLE
	KindView                 // CREATE VIEW
	KindSequence             // CREATE SEQUENCE
	KindData                 // rows
	KindTrigger              // triggers of a table or a database
	KindPost                 // routines and events
	KindBackup               // a backup copy of a file
	KindMetadata             // what the dumping tool says of itself
	KindPolicy               // CREATE PLACEMENT POLICY
	KindPacked               // data or a schema, packed in a way that can't be read, or with a suffix that isn't known
)

// String returns the kind in words, for messages.
func (k Kind) String() string {
	return [...]string{"unknown", "database schema", "table schema", "view schema", "sequence schema", "data", "triggers",
		"routines and events", "backup copy", "metadata", "placement policy", "packed file"}[k]
}

// Format is how rows are written in a data file.
type Format uint8

// The formats of data files.
const (
	FormatNone Format = iota // of other files
	FormatSQL
	FormatCSV
	FormatParquet
)

// String returns the suffix of the format's files.
func (f Format) String() string { return [...]string{"", "sql", "csv", "parquet"}[f] }

// Name is what the path of one file says.
type Name struct {
	Kind Kind
	// DB and Object are the names of the database and of the table, view or sequence, with %XX undone.
	// Object is empty for databases; both are for files that belong to no object.
	DB, Object string
	// Number is the digits of a data file's number, "" if it has none.
	Number string
	Format Format
	// Key is what a rule orders the data files of a table by, "" for the numbers in their names.
	Key string
	// Packing is the suffix of a compressed file, in lower case and without its dot.
	Packing string
}

// packings are the suffixes of compressed files: true for those that can be read.
var packings = map[string]bool{
	"gz": true, "gzip": true, "zst": true, "zstd": true, "snappy": true,
	"lz4": false, "xz": false, "lzo": false, "bz2": false, "zip": false,
}

// formats are the suffixes of data files.
var formats = map[string]Format{"sql": FormatSQL, "csv": FormatCSV, "parquet": FormatParquet}

// ParseName reads a file's path below the dump's folder, with / between its parts. It never fails: KindNone
// is the name of a file that belongs to no dump.
func ParseName(file string) Name {
	base := path.Base(file)
	lower := lowerASCII(base)
	switch {
	case lower == "metadata" || lower == "metadata.partial":
		return Name{Kind: KindMetadata}
	case strings.HasSuffix(lower, ".bak"):
		inner := lower[:len(lower)-len(".bak")]
		if stem, suffix := cutSuffix(inner); formats[suffix] != FormatNone || formats[last(stem)] != FormatNone {
			return Name{Kind: KindBackup}
		}
		return Name{}
	}
	stem, suffix := cutSuffix(base)
	suffix = lowerASCII(suffix)
	if format := formats[suffix]; format != FormatNone {
		return parseStem(stem, format)
	}
	inner, format := cutSuffix(stem)
	known := formats[lowerASCII(format)]
	if known == FormatNone {
		return Name{}
	}
	n := parseStem(inner, known)
	n.Packing = suffix
	// Parquet files are compressed inside.
	if belongs := n.Kind != KindNone && n.Kind != KindTrigger && n.Kind != KindPost; belongs && (!packings[suffix] || known == FormatParquet) {
		n.Kind = KindPacked
	}
	return n
}

// isSQL tells whether a file is of SQL, by its suffix, and can be read.
func isSQL(file string) bool {
	stem, suffix := cutSuffix(lowerASCII(path.Base(file)))
	if packings[suffix] {
		suffix = last(stem)
	}
	return formats[suffix] == FormatSQL
}

// parseStem reads a name without its suffixes.
func parseStem(stem string, format Format) Name {
	if format == FormatSQL {
		if n := parseSchema(stem); n.Kind != KindNone {
			return n
		}
	}
	db, object, ok := strings.Cut(stem, ".")
	if !ok {
		return Name{}
	}
	n := Name{Kind: KindData, Format: format}
	if bare, number := cutSuffix(object); isNumber(number) {
		object, n.Number = bare, number
	}
	return n.named(db, object)
}

// schemaEndings are how the names of schema files end.
var schemaEndings = []struct {
	ending string
	kind   Kind
}{
	{"-schema-triggers", KindTrigger}, {"-schema-trigger", KindTrigger}, {"-schema-post", KindPost},
	{"-placement-policy-create", KindPolicy}, {"-schema-create", KindDatabase},
	{"-schema-view", KindView}, {"-schema-sequence", KindSequence}, {"-schema", KindTable},
}

// parseSchema reads the name of a schema file, KindNone if it is none.
func parseSchema(stem string) Name {
	lower := lowerASCII(stem)
	for _, e := range schemaEndings {
		if !strings.HasSuffix(lower, e.ending) {
			continue
		}
		bare := stem[:len(stem)-len(e.ending)]
		db, object, dotted := strings.Cut(bare, ".")
		switch {
		case e.kind == KindTrigger || e.kind == KindPost:
			return Name{Kind: e.kind}
		case e.kind == KindPolicy && bare != "":
			return Name{Kind: e.kind}
		case e.kind == KindDatabase && !dotted && bare != "":
			return Name{Kind: KindDatabase, DB: unescape(bare)}
		case e.kind != KindDatabase && e.kind != KindPolicy && dotted:
			return Name{Kind: e.kind}.named(db, object)
		}
	}
	return Name{}
}

// named completes a name with those of the database and the object, which are as in the path.
func (n Name) named(db, object string) Name {
	n.DB, n.Object = unescape(db), unescape(object)
	if n.DB == "" || n.Object == "" {
		return Name{}
	}
	return n
}

// maskedPrefix is how mydumper begins the names of files that can't have the names of what is in them; behind it is a number.
const maskedPrefix = "mydumper_"

// Masked tells whether the name of a database or of an object in a file's name may stand for another one, which the schema file has.
func Masked(name string) bool {
	number, ok := strings.CutPrefix(name, maskedPrefix)
	return ok && isNumber(number)
}

// unescape undoes %XX, once; what is no valid escape stands for itself.
func unescape(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		return plain
	}
	return name
}

// cutSuffix cuts a name at its last dot; suffix is empty if there is none.
func cutSuffix(name string) (stem, suffix string) {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return name, ""
	}
	return name[:at], name[at+1:]
}

// last is the suffix of a name.
func last(name string) string {
	_, suffix := cutSuffix(name)
	return suffix
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// lowerASCII keeps the length, so that places in both texts are the same.
func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
