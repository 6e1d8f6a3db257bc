package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseFlags(t *testing.T) {
	t.Parallel()
	s, err := parseFlags([]string{"--stores", "3", "--dir", "d", "--watch-stdin", "--print-json=false"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, settings{stores: 3, dir: "d", watchStdin: true, logLevel: "info"}, s)
	_, err = parseFlags([]string{"extra"}, io.Discard)
	require.Error(t, err)
}
