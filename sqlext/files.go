package sqlext

import (
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/pingcap/tidb/pkg/errno"
)

// FileRule says what files of a dump are by their paths below the location, as an entry of mydumper.files in tidb-lightning's
// configuration does.
// https://docs.pingcap.com/tidb/v8.5/tidb-lightning-data-source#match-customized-files
type FileRule struct {
	// Pattern is a regular expression of Go for the path, "" if Path is the whole path.
	Pattern string `toml:"pattern"`
	Path    string `toml:"path"`
	// Schema, Table, Type, Key and Compression may have the pattern's groups, as $1 or ${name}. Type comes to be one of FileTypes, Key
	// orders a table's files, Compression is "" for what the file's suffix says.
	Schema      string `toml:"schema"`
	Table       string `toml:"table"`
	Type        string `toml:"type"`
	Key         string `toml:"key"`
	Compression string `toml:"compression"`
}

// FileTypes are the types of files that a FileRule may give: tidb-lightning's, and that of sequences.
var FileTypes = []string{"schema-schema", "table-schema", "view-schema", "sequence-schema", "sql", "csv", "parquet", "ignore"}

// parseFiles reads the text of FILES: the section mydumper of tidb-lightning's configuration with files and default-file-rules,
// or only the entries of files, each in braces, separated by commas. Without default-file-rules = true, files that no rule fits belong to nothing.
func parseFiles(text string) (rules []FileRule, withDefault bool, _ *Error) {
	type section struct {
		Files       []FileRule `toml:"files"`
		WithDefault bool       `toml:"default-file-rules"`
	}
	var s section
	var found toml.MetaData
	var err error
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		found, err = toml.Decode("files = ["+text+"]", &s)
	} else {
		var whole struct {
			Mydumper section `toml:"mydumper"`
		}
		found, err = toml.Decode(text, &whole)
		s = whole.Mydumper
	}
	if err != nil {
		return nil, false, newError(errno.ErrInvalidOptionVal, "files, which is no TOML: "+strings.TrimPrefix(err.Error(), "toml: "))
	}
	if unknown := found.Undecoded(); len(unknown) > 0 {
		return nil, false, newError(errno.ErrInvalidOptionVal, "files, which has the unknown key "+unknown[0].String())
	}
	if len(s.Files) == 0 || len(s.Files) > maxRules {
		return nil, false, newError(errno.ErrInvalidOptionVal, "files, which has no rules, or too many")
	}
	for i := range s.Files {
		if what := s.Files[i].check(); what != "" {
			return nil, false, newError(errno.ErrInvalidOptionVal, "files, a rule "+what)
		}
	}
	return s.Files, s.WithDefault, nil
}

// check says what is wrong with a rule, or "".
func (r *FileRule) check() string {
	if (r.Pattern == "") == (r.Path == "") {
		return "has neither a pattern nor a path, or both"
	}
	if _, err := regexp.Compile(r.Pattern); err != nil {
		return "has the pattern " + quoteText(r.Pattern) + ", which is no regular expression"
	}
	if !strings.Contains(r.Type, "$") && !slices.Contains(FileTypes, r.Type) {
		return "has the type " + quoteText(r.Type) + ", which is none of " + strings.Join(FileTypes, ", ")
	}
	switch {
	case r.Type == "ignore":
	case r.Schema == "":
		return "gives no schema"
	case r.Table == "" && r.Type != "schema-schema" && !strings.Contains(r.Type, "$"):
		return "gives no table"
	}
	return ""
}
