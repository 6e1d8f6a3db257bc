package dump

import (
	"strconv"
	"strings"
)

// Position returns the timestamp of the snapshot that a dump of TiDB was taken from, as its metadata file has it; 0 if
// there is none: a dump of another server, or by another tool.
func Position(metadata string) (ts uint64) {
	tidb := false
	for line := range strings.Lines(metadata) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case name == "Log":
			tidb = value == "tidb-binlog"
		case name == "Pos" && tidb:
			ts, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return ts
		}
	}
	return 0
}
