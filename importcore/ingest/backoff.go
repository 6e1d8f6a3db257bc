package ingest

import "time"

// Backoff says how errors are waited out: the n-th try in a row without
// progress waits Base*2^n up to Max, plus or minus a fifth at random. After
// Tries of them the run fails.
type Backoff struct {
	Base  time.Duration // default 100ms
	Max   time.Duration // default 30s
	Tries int           // default 40, which with the other defaults is about 16 minutes
}
