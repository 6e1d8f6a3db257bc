package csv

import (
	"strings"
	"unicode/utf8"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/decode"
)

// Config says how a file is to be read. The zero value is not usable: start
// from DefaultConfig. It is a plain value; a copy shares NullText.
type Config struct {
	// FieldsTerminatedBy separates fields: one byte or more.
	FieldsTerminatedBy string
	// FieldsEnclosedBy may enclose a field: one byte, or empty for none.
	FieldsEnclosedBy string
	// FieldsEscapedBy takes away the meaning of the byte after it: one ASCII byte, or empty for none.
	FieldsEscapedBy string
	// NullText lists the unescaped fields that are NULL, quoted or not; nil stands for `\N` alone.
	// `\N` written with the escape byte is NULL, `\\N` is the text `\N`.
	NullText []string
	// LinesTerminatedBy ends rows; empty stands for \n, \r and \r\n, whatever comes.
	LinesTerminatedBy string
	// SkipRows is how many lines to skip at the start of each file, \r\n being one line end.
	// Lines are lines here: quotes have no meaning, and an empty line counts.
	SkipRows int64
	// TrimLastSeparator takes a separator at the end of a row for none: the empty field behind it, which is not enclosed, isn't there.
	TrimLastSeparator bool `json:",omitempty"`
	// CharacterSet is that of the files as decode.Find has it. All texts above are
	// in UTF-8 in any case.
	CharacterSet string
	// Recover makes splitters and readers go on behind a malformed row where it
	// is certain where that ends (see the package doc). Both must agree on it.
	Recover bool
}

// DefaultConfig returns what IMPORT INTO uses without options: comma, double
// quote, backslash, `\N`, any line end.
func DefaultConfig() Config {
	return Config{FieldsTerminatedBy: ",", FieldsEnclosedBy: `"`, FieldsEscapedBy: `\`, NullText: []string{`\N`}}
}

// Decodes tells whether blocks are turned into UTF-8 before they are looked at.
func (c Config) Decodes() bool { return decode.Find(c.CharacterSet) != nil }

// TiDB's error numbers, see pkg/errno of TiDB.
const (
	codeWrongFormat   = 8162
	codeInvalidOption = 8164
)

// Validate reports the first thing that makes the configuration ambiguous or
// unusable, with TiDB's code for it.
func (c Config) Validate() error {
	switch {
	case c.FieldsTerminatedBy == "":
		return invalidOption("fields_terminated_by")
	case len(c.FieldsEnclosedBy) > 1:
		return invalidOption("fields_enclosed_by")
	case len(c.FieldsEscapedBy) > 1 || c.FieldsEscapedBy != "" && c.FieldsEscapedBy[0] >= 0x80:
		return invalidOption("fields_escaped_by")
	case c.SkipRows < 0:
		return invalidOption("skip_rows")
	}
	if q := c.FieldsEnclosedBy; q != "" && (strings.HasPrefix(c.FieldsTerminatedBy, q) || strings.HasPrefix(q, c.FieldsTerminatedBy)) {
		return clash("FIELDS ENCLOSED BY and TERMINATED BY must not be prefix of each other")
	}
	if err := c.validateText(); err != nil {
		return err
	}
	if e := c.FieldsEscapedBy; e != "" {
		switch e {
		case c.FieldsTerminatedBy:
			return clash("FIELDS ESCAPED BY and TERMINATED BY must differ")
		case c.FieldsEnclosedBy:
			return clash("FIELDS ESCAPED BY and ENCLOSED BY must differ")
		case c.LinesTerminatedBy:
			return clash("FIELDS ESCAPED BY and LINES TERMINATED BY must differ")
		}
	}
	if c.FieldsTerminatedBy == c.LinesTerminatedBy {
		return clash("FIELDS TERMINATED BY and LINES TERMINATED BY must differ")
	}
	return nil
}

// validateText refuses markers that are no text for files that are decoded,
// where they would never be met.
func (c Config) validateText() error {
	switch {
	case !c.Decodes():
	case !utf8.ValidString(c.FieldsTerminatedBy):
		return invalidOption("fields_terminated_by")
	case !utf8.ValidString(c.FieldsEnclosedBy):
		return invalidOption("fields_enclosed_by")
	case !utf8.ValidString(c.LinesTerminatedBy):
		return invalidOption("lines_terminated_by")
	}
	return nil
}

func invalidOption(name string) error {
	return fault.New(fault.User, codeInvalidOption, "Invalid option value for %s", name)
}

func clash(why string) error {
	return fault.New(fault.User, codeWrongFormat, "The FIELDS and LINES options are wrong: %s", why)
}

func (c Config) nullText() []string {
	if c.NullText == nil {
		return []string{`\N`}
	}
	return c.NullText
}
