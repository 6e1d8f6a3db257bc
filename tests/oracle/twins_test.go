package oracle_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// allTwins are all shapes; their names are distinct.
func allTwins() []twin { return append(specials(), matrix()...) }

// sampleStep is how far apart the shapes of the sample are: a prime, so that
// every kind of table comes up, though not with every type.
const sampleStep = 41

// TestTwins is the judge: INSERTs by TiDB into one table, an import through
// Sluice into its twin, and no byte may differ. The long form takes all shapes,
// the short one a sample.
func TestTwins(t *testing.T) {
	t.Parallel()
	t.Logf("seed %d", seed)
	lanes := openLanes(t)
	for i, s := range allTwins() {
		if !full && i%sampleStep != int(seed%sampleStep) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			judge(t, take(t, lanes), s)
		})
	}
}

// TestTwinsAreMany holds the promised number of shapes.
func TestTwinsAreMany(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, s := range allTwins() {
		require.False(t, names[s.name], "two shapes are called %s", s.name)
		names[s.name] = true
		require.NotEmpty(t, s.order, s.name)
	}
	t.Logf("%d shapes, %d types", len(names), len(typeCases()))
	require.Greater(t, len(names), 300)
}

// TestCollationsAreComplete asks TiDB which collations there are.
func TestCollationsAreComplete(t *testing.T) {
	t.Parallel()
	l := take(t, openLanes(t))
	known := map[string]bool{"binary": true}
	for _, c := range collations {
		known[c.collation] = true
	}
	_, rows := l.mustQuery(t, "SHOW COLLATION")
	require.NotEmpty(t, rows)
	for _, row := range rows {
		require.True(t, known[*row[0]], "collation %s is judged by nobody", *row[0])
	}
}
