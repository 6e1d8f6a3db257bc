package sqlext_test

import (
	"testing"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/sqlext"
)

// TestOnDuplicateAsABareName: the option's name is a keyword of TiDB's parser;
// it is taken as any other option's, and nowhere else.
func TestOnDuplicateAsABareName(t *testing.T) {
	t.Parallel()
	const begin = "IMPORT INTO t FROM '/d/x.csv' WITH "
	for text, want := range map[string]sqlext.OnDuplicate{
		begin + "on_duplicate='replace'":                                                       sqlext.DuplicateReplace,
		begin + "ON_Duplicate = 'ignore'":                                                      sqlext.DuplicateIgnore,
		begin + "thread=1,on_duplicate/* why */='capture', detached":                           sqlext.DuplicateCapture,
		begin + "`on_duplicate`='replace'":                                                     sqlext.DuplicateReplace,
		begin + "fields_terminated_by=',on_duplicate=''', thread=2":                            sqlext.DuplicateError,
		begin + "fields_enclosed_by='\\'', on_duplicate='ignore'":                              sqlext.DuplicateIgnore,
		"/* c */ import into t (a) from '/on_duplicate=/x.csv' with detached":                  sqlext.DuplicateError,
		"IMPORT INTO t PARTITION (p0) FROM '/d/x.csv' WITH on_duplicate='replace'":             sqlext.DuplicateReplace,
		"IMPORT INTO `with on_duplicate=` FROM '/d/x.csv' WITH thread=1, on_duplicate='error'": sqlext.DuplicateError,
	} {
		st, err := sqlext.Parse(text, 0)
		require.NoError(t, err, text)
		into, ok := st.(*sqlext.ImportInto)
		require.True(t, ok, text)
		require.Equal(t, want, into.Options.OnDuplicate, text)
		require.True(t, sqlext.MaybeOurs([]byte(text)))
	}
	for _, text := range []string{
		"IMPORT INTO t FROM '/d/x.csv' WITH on_duplicate='replace",
		"IMPORT INTO on_duplicate FROM '/d/x.csv' on_duplicate='replace'",
		"SELECT 1, on_duplicate='x' FROM t",
		"LOAD DATA INFILE 'x' INTO TABLE t WITH on_duplicate='replace'",
		"IMPORT INTO t FROM '/d/x.csv' WITH on_duplicate='a\\', on_duplicate='b'",
	} {
		st, err := sqlext.Parse(text, 0)
		require.NoError(t, err, text)
		require.Nil(t, st, text)
	}
	for text, want := range map[string]bool{
		begin + "csv_header='columns'":                                            true,
		begin + "thread=1 , CSV_Header = 'FIELDS', on_duplicate='ignore'":         true,
		begin + "on_duplicate='ignore', csv_header='Columns'":                     true,
		begin + "`csv_header`='fields'":                                           true,
		begin + "fields_terminated_by=', csv_header='":                            false,
		"IMPORT INTO t SET c = 1 FROM '/d/x.csv' WITH csv_header='columns'":       true,
		"IMPORT INTO t PARTITION (p) FROM '/d/x.csv' WITH csv_header = 'columns'": true,
	} {
		st, err := sqlext.Parse(text, 0)
		require.NoError(t, err, text)
		require.Equal(t, want, st.(*sqlext.ImportInto).Options.CSVHeader, text)
		require.True(t, sqlext.MaybeOurs([]byte(text)))
	}
	st, err := sqlext.Parse(`IMPORT INTO t FROM '/d/x.csv' WITH fields_escaped_by='\', on_duplicate='ignore'`, mysql.ModeNoBackslashEscapes)
	require.NoError(t, err)
	require.Equal(t, sqlext.DuplicateIgnore, st.(*sqlext.ImportInto).Options.OnDuplicate)
	_, err = sqlext.Parse(begin+"on_duplicate='some'", 0)
	require.ErrorContains(t, err, "on_duplicate")
}
