package crash_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/playground"
)

// Statements of a restore, by what its steps begin and end with.
const (
	madeDatabase = `^CREATE /\*.*\*/ DATABASE`
	madeSequence = `^CREATE /\*.*\*/ SEQUENCE`
	madeTable    = `^CREATE /\*.*\*/ TABLE`
	madeView     = `^CREATE /\*.*\*/ .*VIEW`
	savedState   = `INTO .*checkpoints`
	analyzed     = `^ANALYZE TABLE`
	jobEnds      = `^UPDATE .*jobs SET status`
)

// TestRestoresKilledInEachPhase kills Sluice before and behind the statements of each phase of a restore: what it had made is known
// again by who goes on, or by who gives the job up.
func TestRestoresKilledInEachPhase(t *testing.T) {
	t.Parallel()
	pg := playground.ForTest(t, processCluster)
	phases := map[string][]moment{
		"RESTORE dump": {
			{behindSQL + madeDatabase, 1}, {behindSQL + madeTable, 3}, {behindSQL + madeView, 1}, // the short form's
			{beforeSQL + madeDatabase, 1}, {beforeSQL + madeSequence, 1}, {behindSQL + madeSequence, 1}, {behindSQL + `SETVAL`, 1}, {beforeSQL + madeTable, 1},
			{behindSQL + madeTable, 6}, {beforeSQL + madeView, 1}, {beforeSQL + madeView, 2}, {behindSQL + madeView, 2}, {beforeSQL + savedState, 1},
			{behindSQL + savedState, 1}, {beforeSQL + savedState, 2}, {behindSQL + savedState, 4}, {beforeSQL + savedState, 9}, {beforeSQL + analyzed, 1},
			{behindSQL + analyzed, 2}, {beforeSQL + jobEnds, 1}, {behindSQL + jobEnds, 1},
		},
		"RESTORE archive": {
			{"ImportSST/Download", 2}, {"Coprocessor/checksum", 1}, // the short form's
			{behindSQL + madeDatabase, 1}, {beforeSQL + madeTable, 2}, {behindSQL + madeTable, 2}, {behindSQL + madeSequence, 1}, {"ImportSST/Download", 1},
			{"ImportSST/MultiIngest", 1}, {"ImportSST/MultiIngest", 2}, {"Coprocessor/checksum", 2}, {beforeSQL + savedState, 1}, {behindSQL + savedState, 2},
			{beforeSQL + analyzed, 1}, {behindSQL + analyzed, 1}, {beforeSQL + madeView, 1}, {behindSQL + madeView, 1}, {beforeSQL + jobEnds, 1},
			{behindSQL + jobEnds, 1},
		},
	}
	short := map[string]int{"RESTORE dump": 3, "RESTORE archive": 2}
	for name, moments := range phases {
		b := newProcessBench(t, pg, processKindNamed(t, name), 400)
		if !longForm {
			moments = moments[:short[name]]
		}
		for i, at := range moments {
			for what, cancelled := range map[string]bool{", goes on": false, ", cancelled": true} {
				if cancelled && !longForm && i > 0 {
					continue
				}
				t.Run(name+", "+at.String()+what, func(t *testing.T) {
					c := &killCase{processBench: b, T: t, at: at, detached: true, cancelled: cancelled, other: i%2 == 1}
					defer func() { report.ended(t.Name(), t.Failed()) }()
					c.run()
					require.NotZero(t, c.job)
				})
			}
		}
	}
}
