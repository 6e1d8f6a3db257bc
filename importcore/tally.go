package importcore

import (
	"fmt"
	"sync"

	"github.com/sluicedb/sluice/importcore/encode"
)

// tally adds up what the workers' encoders know, on top of what a run before
// this one had counted. It is asked when they rest or have ended.
type tally struct {
	mu       sync.Mutex
	encoders []*encode.Encoder

	ids      encode.MaxIDs
	warnings int64
	warned   []encode.Warning // the first one
}

func (r *run) newTally() *tally {
	e := r.saved.Encoded
	return &tally{ids: e.IDs, warnings: e.Warnings, warned: e.Warned}
}

// watch takes an encoder that counts from now on.
func (t *tally) watch(e *encode.Encoder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.encoders = append(t.encoders, e)
}

func (t *tally) maxIDs() encode.MaxIDs {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := t.ids
	for _, e := range t.encoders {
		ids.Merge(e.MaxIDs())
	}
	return ids
}

// warningsSoFar returns how many values a lax SQL mode made to fit, and one of the warnings.
func (t *tally) warningsSoFar() (count int64, one []encode.Warning) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count, one = t.warnings, t.warned
	for _, e := range t.encoders {
		w := e.Warnings()
		count += w.Count
		if len(one) == 0 && len(w.First) > 0 {
			one = w.First[:1:1]
		}
	}
	return count, one
}

// tell warns once of all values that a lax SQL mode made to fit.
func (t *tally) tell(r *run) {
	count, one := t.warningsSoFar()
	if len(one) == 0 {
		return
	}
	r.warn(fmt.Sprintf("%d values were changed to fit, because the SQL mode is not strict; one of them: column %s: %s",
		count, one[0].Column, one[0].Message), nil)
}
