package csv

import (
	"bytes"

	"github.com/sluicedb/sluice/importcore/fault"
)

// lineByte returns the byte that ends lines as an editor would count them: \n,
// or \r if there are only those; 0 if there is neither.
func lineByte(data []byte) byte {
	switch {
	case bytes.IndexByte(data, '\n') >= 0:
		return '\n'
	case bytes.IndexByte(data, '\r') >= 0:
		return '\r'
	default:
		return 0
	}
}

// syntaxError names what is wrong with the row at a place. lost says that rows
// behind it would be read if they were to be found.
func syntaxError(what outcome, at fault.Position, lost bool) error {
	text := "the row has a quote inside an unquoted field, or something between a closing quote and the end of its field"
	switch what {
	case badUnclosed:
		text = "the row has an unterminated quoted field"
	case badDangling:
		text = "the row ends with an escape character without a character behind it"
	}
	if lost {
		text += "; where it ends is uncertain, so the rest of the file can't be divided into rows"
	}
	return fault.New(fault.Source, 0, "syntax error: %s", text).Place(at)
}
