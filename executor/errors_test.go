package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
)

func TestMySQLError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err     error
		code    uint16
		state   string
		message string
	}{
		"ours":        {codedError(8170, 7), 8170, "HY000", "Job ID 7 doesn't exist"},
		"wrapped":     {fmt.Errorf("x: %w", codedError(8171, "CANCEL")), 8171, "HY000", "The current job status cannot perform the operation. CANCEL"},
		"joined":      {errors.Join(codedError(8173, "busy"), errors.New("close")), 8173, "HY000", "PreCheck failed: busy"},
		"privilege":   {errNeedsSuper(), 1227, "42000", "Access denied; you need (at least one of) the SUPER privilege(s) for this operation"},
		"unsupported": {notSupportedYet("X"), 1235, "42000", "X is not supported yet"},
		"cluster's":   {fmt.Errorf("x: %w", &mysql.MyError{Code: 1146, State: "42S02", Message: "Table 'a.b' doesn't exist"}), 1146, "42S02", "Table 'a.b' doesn't exist"},
		"fault": {fmt.Errorf("encode: %w", fault.New(fault.Source, 1264, "Out of range").Place(fault.Position{File: "a.csv", Line: 3})),
			1264, "22003", "Out of range (file a.csv, line 3, offset 0)"},
		"fault without code": {fault.New(fault.Sluice, 0, "broken"), 1105, "HY000", "broken"},
		"interrupted":        {fmt.Errorf("x: %w", context.Canceled), 1317, "70100", "Query execution was interrupted"},
		"stopped":            {fmt.Errorf("%w; table t holds a part", errCancelled), 1317, "70100", "cancelled by user; table t holds a part"},
		"unknown":            {errors.New("boom"), 1105, "HY000", "boom"},
		"nil":                {nil, 1105, "HY000", "unknown error"},
		"url":                {errors.New("open s3://b/p?secret-access-key=SSSS&region=r: no"), 1105, "HY000", "open s3://b/p?secret-access-key=xxxxxx&region=r: no"},
		"secret":             {errors.New("bad secret_access_key=SSSS in x"), 1105, "HY000", "bad secret_access_key=xxxxxx in x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, state, message := MySQLError(tc.err)
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.state, state)
			require.Equal(t, tc.message, message)
		})
	}
}

func TestMessageText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short \uFFFD", messageText("short \xff\xfe"))
	exact := strings.Repeat("x", maxMessage)
	require.Equal(t, exact, messageText(exact))
	long := messageText("begin é" + strings.Repeat("é", maxMessage) + "é the table holds a part of the rows")
	require.LessOrEqual(t, len(long), maxMessage)
	require.True(t, utf8.ValidString(long))
	require.NotContains(t, long, "\uFFFD", "no half characters")
	require.Contains(t, long, "begin é")
	require.Contains(t, long, "é the table holds a part of the rows")
}
