package dump

import (
	"fmt"
	"regexp"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
)

// Rule says what files are by their paths below the dump's folder, as an entry of mydumper.files in tidb-lightning's configuration does.
// Schema, Table, Type, Key and Compression may have groups of Pattern, as $1 or ${name}.
type Rule struct {
	// Pattern is a regular expression for the path, "" if Path is the whole path.
	Pattern, Path string
	Schema, Table string
	// Type is schema-schema, table-schema, view-schema, sequence-schema, sql, csv, parquet or ignore.
	Type string
	// Key orders the data files of a table: numbers as such, before all that is no number.
	Key string
	// Compression is that of the file, a suffix such as gz; "" is what the file's own suffix says.
	Compression string
}

// Rules are compiled. nil stands for the names that mydumper and Dumpling give.
type Rules struct {
	list        []rule
	withDefault bool
}

type rule struct {
	Rule
	pattern *regexp.Regexp // nil for Path
}

// NewRules compiles rules, of which the first that fits a file counts. What none fits is what its name says if withDefault is
// set, and else belongs to nothing. Without rules it returns nil.
func NewRules(list []Rule, withDefault bool) (*Rules, error) {
	if len(list) == 0 {
		return nil, nil
	}
	r := &Rules{withDefault: withDefault}
	for _, one := range list {
		c := rule{Rule: one}
		if one.Path == "" {
			var err error
			if c.pattern, err = regexp.Compile(one.Pattern); err != nil {
				return nil, fault.New(fault.User, 0, "the pattern %q of FILES can't be read: %v", one.Pattern, err)
			}
		}
		r.list = append(r.list, c)
	}
	return r, nil
}

// types are what rules call the kinds of files.
var types = map[string]Name{
	"schema-schema": {Kind: KindDatabase}, "table-schema": {Kind: KindTable}, "view-schema": {Kind: KindView}, "sequence-schema": {Kind: KindSequence},
	"sql": {Kind: KindData, Format: FormatSQL}, "csv": {Kind: KindData, Format: FormatCSV}, "parquet": {Kind: KindData, Format: FormatParquet},
}

// compressions are the suffixes that rules may give; false in packings are those that can't be read.
var compressions = map[string]source.Compression{
	"": source.Plain, "gz": source.Gzip, "gzip": source.Gzip, "zst": source.Zstd, "zstd": source.Zstd, "snappy": source.Snappy,
}

// ofFile says what a file is. skip is why it belongs to nothing, bad what is wrong with the rule that fits. A rule may change the file's compression.
func (r *Rules) ofFile(f *source.File) (n Name, skip, bad string) {
	if r == nil {
		return ParseName(f.Key), "", ""
	}
	for i := range r.list {
		if expand, ok := r.list[i].fits(f.Key); ok {
			return r.list[i].name(f, expand)
		}
	}
	if r.withDefault {
		return ParseName(f.Key), "", ""
	}
	return Name{}, "no rule of FILES fits it", ""
}

// fits tells whether the rule is for a path, and how its templates are filled.
func (r *rule) fits(path string) (expand func(string) string, ok bool) {
	if r.pattern == nil {
		return func(text string) string { return text }, r.Path == path
	}
	at := r.pattern.FindStringSubmatchIndex(path)
	return func(text string) string { return string(r.pattern.ExpandString(nil, text, path, at)) }, at != nil
}

func (r *rule) name(f *source.File, expand func(string) string) (n Name, skip, bad string) {
	kind := expand(r.Type)
	if kind == "ignore" {
		return n, "a rule of FILES leaves it out", ""
	}
	n, ok := types[kind]
	n.DB, n.Object, n.Key = expand(r.Schema), expand(r.Table), expand(r.Key)
	if n.Kind == KindDatabase {
		n.Object = ""
	}
	n.Packing = lowerASCII(expand(r.Compression))
	packed, readable := compressions[n.Packing]
	switch {
	case !ok:
		return n, "", fmt.Sprintf("the rule of FILES for it gives the type %q, which there is not", kind)
	case n.DB == "" || n.Object == "" && n.Kind != KindDatabase:
		return n, "", "the rule of FILES for it gives an empty name"
	case !readable:
		n.Kind = KindPacked
	case n.Packing != "":
		f.Compression = packed
	}
	return n, "", ""
}
