package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
)

// The kinds of leases.
const (
	LeaseSafePoint      = "safe-point"
	LeaseImportMode     = "import-mode"
	LeaseSchedulers     = "schedulers"
	LeasePartitionRange = "partition-range"
)

// LeaseInfo describes a held lease.
type LeaseInfo struct {
	// Kind is one of the Lease constants.
	Kind string
	// ID is the cluster's name of it; "" where the cluster keeps none.
	ID string
	// Owner names the job and the purpose, as it was acquired.
	Owner string
	// Expires is when the change ends by itself if it is not renewed again.
	Expires time.Time
}

// leaseSpec is how a kind of lease is kept.
type leaseSpec struct {
	kind, id, owner string
	ranges          []KeyRange // that it is about; none means all keys
	ttl, every      time.Duration
	// renew takes or prolongs the lease. errLeaseGone in its error's chain
	// means that trying again is useless.
	renew func(ctx context.Context) error
	// undo removes it. It must work for a lease that was never taken.
	undo func(ctx context.Context) error
	// leave, if set, forgets it without a change to the cluster.
	leave func(ctx context.Context) error
}

// errLeaseGone says that what a lease protects has been lost for good.
var errLeaseGone = errors.New("the lease cannot be kept any more")

// errNotCertain says that a lease was not renewed because it may be another's by now, see package fence.
var errNotCertain = errors.New("it is not certain that the lease is still this process's")

const (
	renewTimeout = 20 * time.Second
	undoTimeout  = 10 * time.Second
	undoTries    = 3
	undoPause    = 500 * time.Millisecond
	// releaseWait is how long somebody in a hurry waits for leases that are given
	// back. What takes longer goes on without him.
	releaseWait = 500 * time.Millisecond
	// renewRetries is how many tries to renew fit between two regular ones.
	renewRetries = 5
)

// keeper holds all leases of a Cluster.
type keeper struct {
	log    *zap.Logger
	ledger Ledger // nil if there is none
	// releasing are those that go on without the one who began them.
	releasing sync.WaitGroup

	mu struct {
		sync.Mutex
		leases map[leaseKey]*Lease
		closed bool
	}
}

type leaseKey struct{ kind, owner string }

func newKeeper(log *zap.Logger, ledger Ledger) *keeper {
	k := &keeper{log: log, ledger: ledger}
	k.mu.leases = make(map[leaseKey]*Lease)
	return k
}

// Lease is a change to the cluster that ends by itself unless it is renewed.
// It is renewed until Release. Its methods are safe for concurrent use.
type Lease struct {
	keeper *keeper
	spec   leaseSpec
	lost   chan struct{}
	stop   context.CancelFunc
	done   chan struct{} // closed when nothing renews it any more
	turn   chan struct{} // held by the Release that is at work

	mu struct {
		sync.Mutex
		expires  time.Time
		err      error
		released bool
		leaving  bool // it is being given back
	}
}

// take acquires a lease and starts to renew it.
func (k *keeper) take(ctx context.Context, spec leaseSpec) (*Lease, error) {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Lease{
		keeper: k, spec: spec, stop: stop,
		lost: make(chan struct{}), done: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	if err := k.add(l); err != nil {
		stop()
		return nil, err
	}
	err := fence.Check(ctx) // which may take longer than a request may
	if err == nil {
		err = l.note(ctx)
	}
	// The lease counts from before the request: the cluster can't end it earlier.
	began := time.Now()
	if err == nil {
		err = l.renew(ctx)
	}
	if err != nil {
		stop()
		close(l.done)
		// The request may have had its effect all the same.
		if undone := k.release(ctx, l); undone != nil {
			k.log.Warn("cluster: could not undo a lease that was not acquired",
				zap.String("kind", spec.kind), zap.String("owner", spec.owner), zap.Error(undone))
		}
		return nil, failed(err, "acquire the %s lease for %s", spec.kind, spec.owner)
	}
	l.prolonged(began)
	go l.keep(life)
	return l, nil
}

func (k *keeper) add(l *Lease) error {
	key := leaseKey{l.spec.kind, l.spec.owner}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.closed {
		return errors.New("the cluster is closed")
	}
	if have := k.mu.leases[key]; have != nil && !have.isLeaving() {
		return fault.New(fault.Sluice, 0, "%s already holds a %s lease", l.spec.owner, l.spec.kind)
	}
	k.mu.leases[key] = l
	return nil
}

func (k *keeper) drop(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := (leaseKey{l.spec.kind, l.spec.owner}); k.mu.leases[key] == l {
		delete(k.mu.leases, key)
	}
}

func (k *keeper) held() []*Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]*Lease, 0, len(k.mu.leases))
	for _, l := range k.mu.leases {
		out = append(out, l)
	}
	return out
}

func (k *keeper) releaseAll(ctx context.Context) error {
	k.mu.Lock()
	k.mu.closed = true
	k.mu.Unlock()
	var errs []error
	for _, l := range k.held() {
		errs = append(errs, l.Release(ctx))
	}
	k.releasing.Wait()
	return errors.Join(errs...)
}

// Release gives leases back, all at the same time, and waits for that; once ctx has
// ended only for a moment. What takes longer goes on without the caller, and ends by
// itself if that fails too. The error says what could not be given back, or not yet.
func (c *Cluster) Release(ctx context.Context, leases ...*Lease) error {
	return c.keeper.release(ctx, leases...)
}

func (k *keeper) release(ctx context.Context, leases ...*Lease) error {
	ended := make(chan error, len(leases))
	for _, l := range leases {
		l.mu.Lock()
		l.mu.leaving = true
		l.mu.Unlock()
		k.releasing.Go(func() {
			err := l.Release(ctx)
			if err != nil {
				k.log.Warn("cluster: a lease could not be given back and ends by itself",
					zap.String("kind", l.spec.kind), zap.String("owner", l.spec.owner), zap.Error(err))
				k.drop(l)
			}
			ended <- err
		})
	}
	hurry, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		wait := time.NewTimer(releaseWait)
		defer wait.Stop()
		select {
		case <-wait.C:
			cancel()
		case <-hurry.Done():
		}
	})()
	var errs []error
	for range leases {
		select {
		case err := <-ended:
			errs = append(errs, err)
		case <-hurry.Done():
			return errors.Join(append(errs, fmt.Errorf("not all of %d leases are given back within %v", len(leases), releaseWait))...)
		}
	}
	return errors.Join(errs...)
}

func (l *Lease) isLeaving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.leaving
}

// Leases returns what is held at the moment, ordered by kind and owner.
func (c *Cluster) Leases() []LeaseInfo {
	var out []LeaseInfo
	for _, l := range c.keeper.held() {
		out = append(out, l.Info())
	}
	slices.SortFunc(out, func(a, b LeaseInfo) int {
		return strings.Compare(a.Kind+"\x00"+a.Owner, b.Kind+"\x00"+b.Owner)
	})
	return out
}

// Info returns what is held.
func (l *Lease) Info() LeaseInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LeaseInfo{Kind: l.spec.kind, ID: l.spec.id, Owner: l.spec.owner, Expires: l.mu.expires}
}

// Lost is closed when the lease ended although it was not released; Err then
// says why. A lost lease still wants a Release.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Err returns why the lease was lost, or nil.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// Release undoes the change. Repeated calls do nothing once it has worked. It
// does its work even if ctx has ended, within a time limit of its own; an
// error means that the change may stay until it ends by itself.
func (l *Lease) Release(ctx context.Context) error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	released := l.mu.released
	l.mu.Unlock()
	if released {
		return nil
	}
	l.stop()
	<-l.done
	if err := l.undo(ctx); err != nil {
		return failed(err, "release the %s lease of %s", l.spec.kind, l.spec.owner)
	}
	l.mu.Lock()
	l.mu.released = true
	l.mu.Unlock()
	l.keeper.drop(l)
	return nil
}

func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if err := fence.Check(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNotCertain, err)
	}
	return l.spec.renew(ctx)
}

// undo tries a few times, on a context of its own. What is not the caller's any
// more (see package fence) is left to whoever has it now.
func (l *Lease) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	var err error
	for try := range undoTries {
		if try > 0 {
			if pause(ctx, undoPause) != nil {
				break
			}
		}
		if notOurs := fence.Check(ctx); notOurs != nil {
			if l.spec.leave != nil {
				notOurs = errors.Join(notOurs, l.spec.leave(ctx))
			}
			return notOurs
		}
		if err = l.spec.undo(ctx); err == nil {
			l.forget(ctx)
			return nil
		}
	}
	return err
}

// keep renews the lease until ctx ends or the lease is gone for good.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.done)
	wait := l.spec.every
	for pause(ctx, wait) == nil {
		began := time.Now()
		if err := l.note(ctx); err != nil && ctx.Err() == nil {
			l.keeper.log.Warn("cluster: a lease could not be noted",
				zap.String("kind", l.spec.kind), zap.String("owner", l.spec.owner), zap.Error(err))
		}
		err := l.renew(ctx)
		switch {
		case err == nil:
			l.prolonged(began)
			wait = l.spec.every
		case ctx.Err() != nil:
			return
		case errors.Is(err, errLeaseGone):
			l.lose(err)
			return
		case errors.Is(err, errNotCertain):
			// Whoever holds the lease waits as well, or hears that it is another's: then
			// this ends with him. Otherwise it is taken again, should it have ended meanwhile.
			wait = l.spec.every / renewRetries
		default:
			l.keeper.log.Warn("cluster: a lease could not be renewed",
				zap.String("kind", l.spec.kind), zap.String("owner", l.spec.owner), zap.Error(err))
			if time.Now().After(l.Info().Expires) {
				l.lose(err)
			}
			wait = l.spec.every / renewRetries
		}
	}
}

func (l *Lease) prolonged(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.expires = began.Add(l.spec.ttl)
}

// lose marks the lease as lost, once.
func (l *Lease) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return
	}
	l.mu.err = fault.Wrap(fault.Retryable(err), fault.Cluster, 0, "the %s lease of %s was lost", l.spec.kind, l.spec.owner)
	close(l.lost)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
