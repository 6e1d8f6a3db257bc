package sqlext

import (
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

// TestExplain: what stands behind EXPLAIN is the statement itself, with all that
// Sluice adds to TiDB's grammar.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"EXPLAIN ", "DESC ", "describe ", "EXPLAIN FORMAT='row' ", "explain/**/format = brief ", "/*! EXPLAIN */ FORMAT=\"brief\" ",
	} {
		for _, part := range []string{"", " PARTITION (p0, `p 1`)"} {
			for _, option := range []string{"thread=2", "on_duplicate='ignore'", "csv_header='fields'"} {
				tail := "IMPORT INTO db.t" + part + " FROM '/d/a.csv' WITH " + option
				require.True(t, MaybeOurs([]byte(head+tail)), head)
				plain := mustParse(t, tail).(*ImportInto)
				explained := mustParse(t, head+tail).(*ImportInto)
				require.False(t, plain.DryRun())
				require.True(t, explained.DryRun())
				require.Equal(t, "EXPLAIN "+plain.Redacted(), explained.Redacted())
				explained.Explain = false
				require.Equal(t, plain, explained)
			}
		}
	}
}

func TestExplainOfOthersIsForwarded(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"EXPLAIN SELECT 1", "EXPLAIN FORMAT='brief' SELECT 1", "DESC t", "EXPLAIN ANALYZE SELECT 1", "EXPLAIN FORMAT=", "EXPLAIN IMPORT",
		"EXPLAIN FORMAT='brief' IMPORT INTO", "EXPLAIN FOR CONNECTION 7", "EXPLAIN t PARTITION (p) FROM '/d/a.csv'",
	} {
		st, err := Parse(sql, mysql.ModeNone)
		require.NoError(t, err, sql)
		require.Nil(t, st, sql)
	}
}

func TestDryRunAndSkippedPrechecks(t *testing.T) {
	t.Parallel()
	st := mustParse(t, "IMPORT INTO t FROM '/d/a.csv' WITH dry_run, skip_prechecks=' Local_Disk,empty_regions '").(*ImportInto)
	require.True(t, st.DryRun())
	require.False(t, st.Explain)
	require.Equal(t, []string{"local_disk", "empty_regions"}, st.Options.SkipPrechecks)
	require.Equal(t, "IMPORT INTO `t` FROM '/d/a.csv' WITH dry_run, skip_prechecks=_UTF8MB4' Local_Disk,empty_regions '", st.Redacted())
}
