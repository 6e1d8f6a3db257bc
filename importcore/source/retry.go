package source

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluicedb/sluice/importcore/fault"
)

// ErrAway is in the error of a store that has failed for longer than
// Config.Patience. Nothing is wrong with the source, as far as is known: what
// was not read can be read later.
var ErrAway = errors.New("the source's store is away")

// away is ErrAway in the words for users.
type away struct{ told *fault.Error }

// Error implements error.
func (e *away) Error() string { return e.told.Error() }

// Is makes it an ErrAway.
func (e *away) Is(target error) bool { return target == ErrAway }

// Unwrap returns the error with its code.
func (e *away) Unwrap() error { return e.told }

// The pauses between two tries. With jitter, each is between half of it and all.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 15 * time.Second
)

// watch keeps an eye on one store: it tries again what fails, and tells when the
// store begins to fail and when it no longer does.
type watch struct {
	location string
	patience time.Duration
	stall    time.Duration
	pause    time.Duration // firstPause, but in tests
	notify   func(Trouble) // nil: nobody wants to know

	mu struct {
		sync.Mutex
		failing int // attempts that have failed more than once in a row
		trouble Trouble
	}
}

func newWatch(location string, cfg Config) *watch {
	w := &watch{location: location, patience: cfg.Patience, stall: cfg.Stall, pause: cfg.pause, notify: cfg.Trouble}
	if w.pause == 0 {
		w.pause = firstPause
	}
	if w.patience == 0 {
		w.patience = DefaultPatience
	}
	if w.stall == 0 {
		w.stall = DefaultStall
	}
	return w
}

// attempt is something that is tried until it succeeds.
type attempt struct {
	// do returns whether it came any further before it failed.
	do func(ctx context.Context) (progress bool, err error)
	// lasting returns what the user is told of an error that is no use to try
	// again, and nil for others.
	lasting func(error) error
	// reason is an error in words.
	reason func(error) string
	// tired is the error, with code and place, when the patience is over.
	tired func(lasted time.Duration, reason string) *fault.Error
}

// try returns nil, an error that lasts, one that is ErrAway, or the cause of the context's end.
func (w *watch) try(ctx context.Context, a attempt) error {
	var since time.Time // when it began to fail, the last time
	pause, failing := w.pause, false
	defer func() {
		if failing {
			w.better()
		}
	}()
	for {
		began := time.Now()
		progress, err := a.do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if lasting := a.lasting(err); lasting != nil {
			return lasting
		}
		switch {
		case progress:
			since, pause = time.Now(), w.pause
		case since.IsZero():
			since = began
		case !failing:
			failing = true
			w.worse(since, a.reason(err))
		}
		if lasted := time.Since(since); lasted >= w.patience {
			return &away{a.tired(lasted, a.reason(err))}
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, mostPause, w.patience)
	}
}

// worse notes that something has failed twice.
func (w *watch) worse(since time.Time, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.failing++; w.mu.failing > 1 {
		return
	}
	w.mu.trouble = Trouble{Location: w.location, Since: since, Reason: reason}
	w.tellLocked()
}

// better notes that one of those has ended, well or not.
func (w *watch) better() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.failing--; w.mu.failing > 0 {
		return
	}
	w.mu.trouble.Over = true
	w.tellLocked()
}

func (w *watch) tellLocked() {
	if w.notify != nil {
		w.notify(w.mu.trouble)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
