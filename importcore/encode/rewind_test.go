package encode

import (
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/kv"
)

func TestRewind(t *testing.T) {
	t.Parallel()
	e, a := compile(t, tableInfo(t, "id BIGINT AUTO_INCREMENT, a TINYINT, j JSON"), mysql.SQLMode(0), time.UTC).NewEncoder(), kv.NewArena(1<<10, 10)
	require.NoError(t, e.EncodeRow(fields("7", "300", "{}"), 1, a))
	before, warned := e.Mark(), e.Warnings().First
	require.Len(t, warned, 1)
	require.NoError(t, e.EncodeRow(fields("500", "400", "{}"), 2, a))
	e.Rewind(before)
	require.Error(t, e.EncodeRow(fields("600", "500", "{"), 3, a))
	e.Rewind(before)
	require.Equal(t, MaxIDs{RowID: 1, AutoIncrement: 7}, e.MaxIDs())
	require.Equal(t, Warnings{Count: 1, First: warned}, e.Warnings())
	require.NoError(t, e.EncodeRow(fields("8", "300", "{}"), 4, a))
	require.EqualValues(t, 2, e.Warnings().Count)
	require.Len(t, e.Warnings().First, 2)
	require.Equal(t, MaxIDs{RowID: 4, AutoIncrement: 8}, e.MaxIDs())
}
