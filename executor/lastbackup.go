package executor

import (
	"fmt"
	"time"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/sqlext"
)

// logicalBits is the number of bits of a timestamp of PD behind its milliseconds.
const logicalBits = 18

// lastBackup is the timestamp that LAST_BACKUP means, 0 if it isn't given. A date and time is one of the session's time zone, and means the first
// timestamp of its millisecond, as in BACKUP.
func lastBackup(o *sqlext.RestoreOptions, zone *time.Location) (uint64, error) {
	if o.LastBackupTime == "" {
		return o.LastBackup, nil
	}
	if zone == nil {
		zone = time.UTC
	}
	parsed, err := types.ParseTime(types.DefaultStmtNoWarningContext.WithLocation(zone), o.LastBackupTime, mysql.TypeTimestamp, types.MaxFsp)
	if err == nil {
		var at time.Time
		if at, err = parsed.GoTime(zone); err == nil && at.UnixMilli() > 0 {
			return uint64(at.UnixMilli()) << logicalBits, nil
		}
	}
	return 0, codedError(errno.ErrInvalidOptionVal, fmt.Sprintf("last_backup, '%s' is no timestamp and no date with a time", o.LastBackupTime))
}
