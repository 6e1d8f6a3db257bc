package dump

import (
	"strconv"
	"strings"
)

// Position returns the timestamp of the snapshot that a dump of TiDB was taken from, as its metadata file has it; 0 if
// there is none: a dump of another server, or by another tool. Dumpling, and mydumper up to 0.13, write "Log: tidb-binlog" and "Pos: ts"; later
// ones "File = tidb-binlog" and "Position = ts": https://mydumper.github.io/mydumper/docs/html/files.html. Their sections for tables are not
// used: a table's real name is in its schema file too, and the checksums are MySQL's own.
func Position(metadata string) (ts uint64) {
	tidb := false
	for line := range strings.Lines(metadata) {
		name, value := cutSetting(strings.TrimSpace(line))
		switch {
		case name == "Log" || name == "File" || name == "SOURCE_LOG_FILE":
			tidb = value == "tidb-binlog"
		case (name == "Pos" || name == "Position" || name == "SOURCE_LOG_POS") && tidb:
			ts, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return ts
		}
	}
	return 0
}

// cutSetting cuts "name: value" or "name = value"; a value may be quoted.
func cutSetting(line string) (name, value string) {
	at := strings.IndexAny(line, ":=")
	if at < 0 {
		return line, ""
	}
	return strings.TrimSpace(line[:at]), strings.Trim(strings.TrimSpace(line[at+1:]), `"'`)
}
