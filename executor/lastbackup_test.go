package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/oracle"

	"github.com/sluicedb/sluice/sqlext"
)

func TestLastBackup(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 5*3600)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, zone)
	for text, want := range map[string]uint64{
		"": 7, "2026-01-02 03:04:05.678": oracle.GoTimeToTS(at), "2026-01-02 03:04:05.678901": oracle.GoTimeToTS(at), "2026-01-02": oracle.GoTimeToTS(time.Date(2026, 1, 2, 0, 0, 0, 0, zone)),
	} {
		got, err := lastBackup(&sqlext.RestoreOptions{LastBackup: 7, LastBackupTime: text}, zone)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"yesterday", "2026-13-01", "1900-01-01 00:00:00"} {
		_, err := lastBackup(&sqlext.RestoreOptions{LastBackupTime: text}, nil)
		require.ErrorContains(t, err, "last_backup, '"+text+"'")
	}
}
