package crash_test

import (
	"os"
	"strings"
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
	drawnValues  = `SELECT NEXTVAL\(`
	savedState   = `INTO .*checkpoints`
	analyzed     = `^ANALYZE TABLE`
	jobEnds      = `^UPDATE .*jobs SET status`
	// By SQL: a batch of rows, the ledger's note of it in the same transaction, and what ends one.
	sentBatch   = `^(INSERT|REPLACE) .*_restored`
	notedBatch  = `^UPDATE .*logical_ledger.* SET seq`
	claimed     = `^(INSERT INTO|UPDATE) .*logical_ledger.* (term|VALUES)`
	committed   = `^COMMIT`
	countedRows = `^SELECT COUNT\(\*\) FROM .*_restored`
	advanced    = `SETVAL`
	checked     = `^ADMIN CHECK TABLE`
)

// restorePhases are the moments by kind. The first ones are the short form's.
var restorePhases = map[string][]moment{
	"RESTORE dump": {
		{behindSQL + madeDatabase, 1}, {behindSQL + madeTable, 3}, {behindSQL + madeView, 1}, {behindSQL + drawnValues, 1}, // the short form's
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
	"RESTORE dump by SQL": {
		{behindSQL + committed, 9}, // the short form's
		{behindSQL + madeTable, 3}, {beforeSQL + madeSequence, 1}, {behindSQL + madeSequence, 1}, {behindSQL + advanced, 1}, {beforeSQL + claimed, 1}, {behindSQL + claimed, 2},
		{beforeSQL + sentBatch, 1}, {behindSQL + sentBatch, 2}, {behindSQL + sentBatch, 5}, {beforeSQL + notedBatch, 2}, {behindSQL + notedBatch, 4}, {beforeSQL + committed, 6},
		{behindSQL + committed, 7}, {beforeSQL + committed, 14}, {behindSQL + committed, 20}, {beforeSQL + countedRows, 1}, {beforeSQL + savedState, 1}, {behindSQL + savedState, 3},
		{behindSQL + analyzed, 1}, {behindSQL + madeView, 1}, {beforeSQL + jobEnds, 1}, {behindSQL + jobEnds, 1},
	},
	"RESTORE archive by SQL": {
		{behindSQL + notedBatch, 1}, // the short form's
		{behindSQL + madeTable, 1}, {behindSQL + madeSequence, 1}, {beforeSQL + claimed, 1}, {beforeSQL + sentBatch, 1}, {behindSQL + sentBatch, 1}, {beforeSQL + notedBatch, 2},
		{beforeSQL + committed, 7}, {behindSQL + committed, 8}, {behindSQL + committed, 11}, {beforeSQL + countedRows, 1}, {behindSQL + savedState, 2}, {behindSQL + analyzed, 1},
		{beforeSQL + madeView, 1}, {beforeSQL + jobEnds, 1}, {behindSQL + jobEnds, 1},
	},
	"RESTORE incremental archive": {
		{"ImportSST/MultiIngest", 2}, // the short form's
		{beforeSQL + madeTable, 1}, {behindSQL + madeTable, 1}, {behindSQL + advanced, 1}, {"ImportSST/Download", 1}, {"ImportSST/Download", 3}, {"ImportSST/MultiIngest", 1},
		{"Coprocessor/checksum", 1}, {beforeSQL + checked, 1}, {behindSQL + checked, 2}, {beforeSQL + savedState, 1}, {behindSQL + savedState, 2}, {behindSQL + savedState, 3},
		{behindSQL + analyzed, 1}, {beforeSQL + madeView, 1}, {behindSQL + madeView, 1}, {beforeSQL + jobEnds, 1}, {behindSQL + jobEnds, 1},
	},
}

// TestRestoresKilledInEachPhase kills Sluice before and behind the statements of each phase of a restore: what it had made is known
// again by who goes on, or by who gives the job up.
func TestRestoresKilledInEachPhase(t *testing.T) {
	t.Parallel()
	pg := playground.ForTest(t, processCluster)
	short := map[string]int{"RESTORE dump": 4, "RESTORE archive": 2, "RESTORE dump by SQL": 1, "RESTORE incremental archive": 1}
	for name, moments := range restorePhases {
		if !longForm {
			moments = moments[:short[name]]
		}
		if len(moments) == 0 || !strings.HasPrefix(name, os.Getenv(kindsEnv)) {
			continue
		}
		b := newProcessBench(t, pg, processKindNamed(t, name), 400)
		for i, at := range moments {
			for what, cancelled := range map[string]bool{", goes on": false, ", cancelled": true} {
				if !longForm && cancelled != b.onto && (i > 0 || b.onto) { // what is onto something is cancelled and then tried again
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
