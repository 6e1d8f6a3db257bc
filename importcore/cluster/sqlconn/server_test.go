package sqlconn

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRelease: the release is in the first line.
func TestRelease(t *testing.T) {
	t.Parallel()
	for about, want := range map[string]string{
		"Release Version: v8.5.4\nEdition: Community\nStore: tikv": "v8.5.4",
		"Release Version: v7.1.0-serverless":                       "v7.1.0-serverless",
		"Edition: Community\nRelease Version: v8.5.4":              "",
		"": "",
	} {
		require.Equal(t, want, release(about), about)
	}
}
