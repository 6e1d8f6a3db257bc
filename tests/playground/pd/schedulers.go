package pd

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

var errSchedulerNotFound = errors.New("scheduler not found")

// PausedScheduler is a scheduler that a client has paused.
type PausedScheduler struct {
	Name     string    `json:"name"`
	PausedAt time.Time `json:"paused_at"`
	ResumeAt time.Time `json:"resume_at"`
}

// schedulers are the names of the schedulers and until when each is paused.
// They schedule nothing: leaders and peers of the playground move only when
// scatter or the TiKV half moves them.
type schedulers struct {
	now func() time.Time

	mu struct {
		sync.Mutex
		names  []string // in the order of creation
		paused map[string]PausedScheduler
	}
}

func newSchedulers(now func() time.Time) *schedulers {
	s := &schedulers{now: now}
	// What PD 8.5 creates in a new cluster.
	s.mu.names = []string{
		"balance-region-scheduler", "balance-leader-scheduler",
		"balance-hot-region-scheduler", "evict-slow-store-scheduler",
	}
	s.mu.paused = map[string]PausedScheduler{}
	return s
}

// reset ends all pauses: a new PD leader knows nothing of them.
func (s *schedulers) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.paused = map[string]PausedScheduler{}
}

func (s *schedulers) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.names)
}

// pause holds a scheduler, or every one for the name "all", for a time from
// now; 0 resumes.
func (s *schedulers) pause(name string, delay time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.mu.names
	if name != "all" {
		if !slices.Contains(names, name) {
			return errSchedulerNotFound
		}
		names = []string{name}
	}
	now := s.now()
	for _, n := range names {
		if delay <= 0 {
			delete(s.mu.paused, n)
			continue
		}
		s.mu.paused[n] = PausedScheduler{Name: n, PausedAt: now, ResumeAt: now.Add(delay)}
	}
	return nil
}

// pausedNow lists the schedulers that are paused at this moment.
func (s *schedulers) pausedNow() []PausedScheduler {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]PausedScheduler, 0, len(s.mu.paused))
	for _, n := range s.mu.names {
		if p, ok := s.mu.paused[n]; ok && s.now().Before(p.ResumeAt) {
			out = append(out, p)
		}
	}
	return out
}

func (s *schedulers) add(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.mu.names, name) {
		return fmt.Errorf("scheduler %s existed", name)
	}
	s.mu.names = append(s.mu.names, name)
	return nil
}

func (s *schedulers) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.mu.names, name)
	if i < 0 {
		return errSchedulerNotFound
	}
	s.mu.names = slices.Delete(s.mu.names, i, i+1)
	delete(s.mu.paused, name)
	return nil
}
