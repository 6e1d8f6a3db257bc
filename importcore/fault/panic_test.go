package fault

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContain(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	require.ErrorIs(t, Contain(func() error { return own })(), own)
	require.NoError(t, Contain(func() error { return nil })())

	var empty []int
	err := Contain(func() error { empty[3]++; return nil })()
	require.ErrorContains(t, err, "index out of range [3]")
	require.Equal(t, Sluice, As(err).Whose)
	var p *Panic
	require.ErrorAs(t, err, &p)
	require.Contains(t, string(p.Stack), "TestContain")
}
