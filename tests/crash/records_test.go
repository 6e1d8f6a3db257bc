package crash_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCapturedRowsStayRecorded interrupts the ingest into a table that had rows, at each
// event of it. What collides was decided and recorded before, and isn't decided again:
// the records are there in the end, each once.
func TestCapturedRowsStayRecorded(t *testing.T) {
	t.Parallel()
	var k kind
	for _, c := range kinds(engineSize) {
		if c.name == "filled, capture" {
			k = c
		}
	}
	b := newEngineBench(t, k)
	require.NotEmpty(t, b.records)
	ingests := 0
	for at := b.events; ; at-- {
		what := fmt.Sprintf("dies at event %d of %d", at, b.events)
		b.create(t, b.pg.DB(t), b.schema, "t")
		task := b.newTask(t, b.schema, "t", b.location)
		w, core := &world{}, openCore(t, b.pg, t.TempDir())
		_, _, err := w.live(t, core, task, at, errDied)
		require.ErrorIs(t, err, errDied, what)
		saved := w.saved(t)
		if saved.Ingest == nil {
			break
		}
		if !saved.Ingest.Complete {
			ingests++
		}
		summary, _, err := w.live(t, core, task, 0, nil)
		require.NoError(t, err, what)
		b.check(what, w, summary)
	}
	require.Positive(t, ingests, "interrupted while pairs were sent")
}
