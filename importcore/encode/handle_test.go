package encode

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/kv"
)

// TestRowIDsEnd: rows are numbered on from the table's next id. Behind the
// greatest one there is none; counting on there gives negative numbers, which
// TiDB would never make.
func TestRowIDsEnd(t *testing.T) {
	t.Parallel()
	e, a := compile(t, tableInfo(t, "a INT"), strictMode, time.UTC).NewEncoder(), kv.NewArena(1<<10, 10)
	last := int64(math.MaxInt64)
	require.NoError(t, e.EncodeRow(fields("1"), last, a))
	err := e.EncodeRow(fields("2"), last+1, a)
	require.ErrorContains(t, err, "no row ids are left")
	require.Equal(t, uint16(1467), fault.As(err).Code)
	require.Len(t, a.Refs, 1)
}
