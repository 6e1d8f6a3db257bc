package executor

import (
	"context"

	"github.com/sluicedb/sluice/executor/job"
)

var eventColumns = []Column{
	intColumn("Seq"), timeColumn("Event_Time"), textColumn("Event"), textColumn("Status"), textColumn("Account"), textColumn("Instance"),
	intColumn("Term"), textColumn("Message"),
}

// showEvents is SHOW IMPORT JOB n EVENTS: what has happened to the job, in order.
func (e *Executor) showEvents(ctx context.Context, s Session, id int64) (*Result, error) {
	store, _, state, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	events, err := store.Events(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: eventColumns}
	for i := range events {
		r.Rows = append(r.Rows, eventRow(&events[i], state))
	}
	return r, nil
}

// eventRow shows what nobody asked for without an account.
func eventRow(e *job.Event, state *sessionState) []Value {
	account := Value(e.Account)
	if e.Account == "" {
		account = nil
	}
	return []Value{
		intValue(e.Seq), timeValue(e.Time, state.timeZone), Value(e.Kind), Value(e.Status), account, Value(e.Instance), intValue(e.Term),
		Value(e.Message),
	}
}
