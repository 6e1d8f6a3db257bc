package executor

import (
	"context"
	"errors"
	"sync"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/importcore/cluster"
)

// services opens the job store and the engine when they are first needed and
// keeps them. A failed attempt is forgotten: the next statement tries again.
type services struct {
	cfg        Config
	openEngine engineOpener
	// opening lets one caller at a time connect; the others wait for it with
	// their own context.
	opening chan struct{}

	mu struct {
		sync.Mutex
		store  *jobstore.Store
		engine Engine
	}
}

// engineOpener connects to the cluster. What the engine changes there it notes in the ledger.
type engineOpener func(context.Context, cluster.Ledger) (Engine, error)

func (s *services) init(cfg Config, openEngine engineOpener) {
	s.cfg, s.openEngine, s.opening = cfg, openEngine, make(chan struct{}, 1)
}

// openStore is the store if it is open, nil otherwise.
func (s *services) openStore() *jobstore.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.store
}

func (s *services) current() (*jobstore.Store, Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.store, s.mu.engine
}

// getStore returns the open store.
func (s *services) getStore(ctx context.Context) (*jobstore.Store, error) {
	err := s.open(ctx, false, false)
	return s.openStore(), err
}

// getExistingStore is getStore for a cluster that has job tables; otherwise the
// error is jobstore.ErrNoTables.
func (s *services) getExistingStore(ctx context.Context) (*jobstore.Store, error) {
	err := s.open(ctx, false, true)
	return s.openStore(), err
}

// get returns the open store and engine.
func (s *services) get(ctx context.Context) (*jobstore.Store, Engine, error) {
	err := s.open(ctx, true, false)
	store, engine := s.current()
	return store, engine, err
}

// getWithoutTables is get that makes no job tables: in a cluster without them the store is nil.
func (s *services) getWithoutTables(ctx context.Context) (*jobstore.Store, Engine, error) {
	err := s.open(ctx, true, true)
	store, engine := s.current()
	return store, engine, err
}

func (s *services) open(ctx context.Context, withEngine, existing bool) error {
	select {
	case s.opening <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.opening }()
	store, engine := s.current()
	if store == nil {
		opened, err := jobstore.Open(ctx, jobstore.Params{
			Backends: s.cfg.Backends, User: s.cfg.ServiceAccount.User, Password: s.cfg.ServiceAccount.Password,
			Schema: s.cfg.Schema, Owner: s.cfg.Instance, Process: processID(), Lease: s.cfg.Lease, Existing: existing,
		})
		if err != nil && !(withEngine && errors.Is(err, jobstore.ErrNoTables)) {
			return err
		}
		s.mu.Lock()
		s.mu.store = opened
		s.mu.Unlock()
	}
	if engine == nil && withEngine {
		opened, err := s.openEngine(ctx, ledger{s})
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.mu.engine = opened
		s.mu.Unlock()
	}
	return nil
}

// close disconnects. No statement and no job may be under way.
func (s *services) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.mu.engine != nil {
		err = errors.Join(err, s.mu.engine.Close())
	}
	if s.mu.store != nil {
		s.mu.store.Close()
	}
	return err
}
