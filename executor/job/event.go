package job

import "time"

// EventKind is what happened to a job. The texts are in rows: they never change.
type EventKind string

// What happens to jobs. Those that end in "asked" are a user's wish, on which the owner of the job acts.
const (
	EventAccepted    EventKind = "accepted"
	EventAdopted     EventKind = "adopted" // it has an owner again
	EventStarted     EventKind = "started" // it has its turn
	EventPauseAsked  EventKind = "pause asked"
	EventPaused      EventKind = "paused"
	EventResumed     EventKind = "resumed"
	EventAltered     EventKind = "altered"
	EventWaiting     EventKind = "waiting"    // a part of the cluster is away
	EventGivenBack   EventKind = "given back" // it has no owner any more
	EventCancelAsked EventKind = "cancel asked"
	EventRetried     EventKind = "retried"
	EventFinished    EventKind = EventKind(Finished)
	EventFailed      EventKind = EventKind(Failed)
	EventCancelled   EventKind = EventKind(Cancelled)
)

// Event is one thing that happened to a job. The same thing said again right after it, by the same instance in
// the same term, is no second event.
type Event struct {
	// Seq orders a job's events.
	Seq  int64
	Time time.Time
	Kind EventKind
	// Account is the user who asked for it, "" where nobody did.
	Account string
	// Instance is the Sluice that wrote it, Term and Status are the job's since then.
	Instance string
	Term     int64
	Status   Status
	// Message says more, without secrets.
	Message string
}
