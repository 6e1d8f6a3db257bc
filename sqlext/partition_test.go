package sqlext

import (
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
)

func TestParsePartitions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql      string
		mode     mysql.SQLMode
		want     []string
		redacted string
	}{
		{"IMPORT INTO t PARTITION (p0) FROM '/d/a.csv'", 0, []string{"p0"}, "IMPORT INTO `t` PARTITION (`p0`) FROM '/d/a.csv'"},
		{"import/**/into `d``b`. t partition(p0,`p``1` , P2)(a, @b) SET c = 1 FROM 's3://b/x?secret-access-key=S' WITH thread=2", 0,
			[]string{"p0", "p`1", "P2"}, "IMPORT INTO `d``b`.`t` PARTITION (`p0`, `p``1`, `P2`) (`a`,@`b`) SET `c`=1 FROM 's3://b/x?secret-access-key=xxxxxx' WITH thread=2"},
		{"/*!80000 IMPORT INTO t*/ # to the end\n PARTITION (--  \n p0) FROM '/d/a.csv';", 0, []string{"p0"}, "IMPORT INTO `t` PARTITION (`p0`) FROM '/d/a.csv'"},
		{`IMPORT INTO "t" PARTITION ("p""0") FROM '/d/a.csv'`, mysql.ModeANSIQuotes, []string{`p"0`}, "IMPORT INTO `t` PARTITION (`p\"0`) FROM '/d/a.csv'"},
	} {
		require.True(t, MaybeOurs([]byte(c.sql)), c.sql)
		st, err := Parse(c.sql, c.mode)
		require.NoError(t, err, c.sql)
		require.NotNil(t, st, c.sql)
		require.Equal(t, c.want, st.(*ImportInto).Partitions, c.sql)
		require.Equal(t, c.redacted, st.Redacted(), c.sql)
	}
	require.Empty(t, mustParse(t, "IMPORT INTO t FROM '/d/a.csv'").(*ImportInto).Partitions)

	// Not ours: the cluster answers with its syntax error.
	for _, sql := range []string{
		"IMPORT INTO t PARTITION FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION () FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION (p0 FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION (p0,) FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION (p0) PARTITION (p1) FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION (`p0) FROM '/d/a.csv'",
		`IMPORT INTO t PARTITION ("p0") FROM '/d/a.csv'`,
		"IMPORT INTO t (a) PARTITION (p0) FROM '/d/a.csv'",
		"IMPORT INTO a.b.c PARTITION (p0) FROM '/d/a.csv'",
		"IMPORT INTO t PARTITION (p0)",
		"IMPORT INTO t PARTITION (p0) FROM",
		"SELECT 1; IMPORT INTO t PARTITION (p0) FROM '/d/a.csv'",
		"IMPORT INTO PARTITION (p0) FROM '/d/a.csv'",
		"/*T![x] IMPORT INTO t */ PARTITION (p0) FROM '/d/a.csv'",
	} {
		st, err := Parse(sql, mysql.ModeNone)
		require.NoError(t, err, sql)
		require.Nil(t, st, sql)
	}
	for sql, code := range map[string]uint16{
		"IMPORT INTO t PARTITION (p0) FROM '/d/a.csv'; SELECT 1":       1105,
		"IMPORT INTO t PARTITION (p0) FROM SELECT 1":                   1235,
		"IMPORT INTO t PARTITION (p0) FROM '/d/a.csv' WITH thread='x'": 8164,
		"IMPORT INTO t PARTITION (p\xff) FROM '/d/a.csv'":              1105,
	} {
		_, err := Parse(sql, mysql.ModeNone)
		require.Error(t, err, sql)
		var told *Error
		require.ErrorAs(t, err, &told, sql)
		require.Equal(t, code, told.Code, sql)
	}
}
