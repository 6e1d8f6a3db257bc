package precheck

import (
	"fmt"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
)

// LogBackups judges the tasks of log backup, with TiDB's text for its IMPORT
// INTO: what is ingested is in no log, so a restore to a point in time would lose it.
func LogBackups(f cluster.Followers) Finding {
	if len(f.LogBackups) == 0 {
		return Pass("no task of log backup (PITR) is running")
	}
	return FailWith(fault.New(fault.User, codeFailed, "PreCheck failed: %s",
		fmt.Sprintf("found PiTR log streaming task(s): %v,", f.LogBackups)))
}

// Changefeeds judges TiCDC's changefeeds in the same way.
func Changefeeds(f cluster.Followers) Finding {
	if f.Changefeeds == "" {
		return Pass("no changefeed of TiCDC is running")
	}
	return FailWith(fault.New(fault.User, codeFailed, "PreCheck failed: %s", f.Changefeeds))
}
