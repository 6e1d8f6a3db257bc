package playground

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for _, tc := range []struct {
		text  string
		lines int
		want  string
	}{
		{"", 3, ""},
		{"a\n", 1, "a"},
		{"a\nb\nc\n", 2, "b\nc"},
		{"a\nb\nc", 2, "b\nc"},
		{"a\nb\n", 2, "a\nb"},
		{"a\nb\n", 9, "a\nb"},
		{"\n\nx\n", 2, "\nx"},
		{"[t] [WARN] [a.go:1] w\n[t] [INFO] [a.go:2] i\n[t] [DEBUG] [a.go:3] d\n", 2, "[t] [WARN] [a.go:1] w"},
		{strings.Repeat("long line\n", 100_000), 2, "long line\nlong line"},
	} {
		require.NoError(t, os.WriteFile(path, []byte(tc.text), 0o600))
		got, err := tail(path, tc.lines)
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
	}
	_, err := tail(path+"-missing", 3)
	require.ErrorIs(t, err, os.ErrNotExist)
}
