package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
)

// BenchmarkSetTables writes what a heartbeat of a restore of 10,000 tables has to tell.
func BenchmarkSetTables(b *testing.B) {
	schema := newSchema()
	s := open(b, onTiDB(b), schema, "a:1", time.Minute)
	db := strings.Trim(schema, "`") + "_data"
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	restore := aRestore(db, names...)
	j, err := s.Create(b.Context(), restore)
	require.NoError(b, err)
	require.NoError(b, s.Claim(b.Context(), j.Lease))
	told := make([]job.Table, 64)
	at := 0
	for b.Loop() {
		for i := range told {
			told[i] = job.Table{DB: db, Name: names[at%len(names)], State: "done", Rows: 10}
			at++
		}
		require.NoError(b, s.SetTables(b.Context(), j.Lease, told))
	}
}
