// Package fault is the playground's list of things that shall go wrong.
//
// A test adds rules to a Set; every RPC handler of the playground asks the Set
// before it does its work and plays the fault that answers. Rules are tried in
// the order in which they were added; the first that fits and has shots left
// is used. The package knows no RPC: what a kind means for a certain RPC is
// decided where it is played.
package fault

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind says what goes wrong.
type Kind string

const (
	// NotLeader moves the leader to another store if there is one and answers
	// not_leader; with one store it answers not_leader without a hint.
	NotLeader Kind = "NotLeader"
	// EpochNotMatch raises the region's epoch and answers epoch_not_match with
	// the region as it is now.
	EpochNotMatch Kind = "EpochNotMatch"
	// ServerIsBusy answers server_is_busy.
	ServerIsBusy Kind = "ServerIsBusy"
	// RegionNotFound answers region_not_found for a region that exists.
	RegionNotFound Kind = "RegionNotFound"
	// Drop closes the client's connection before the request is worked on.
	Drop Kind = "Drop"
	// DropAfter closes the connection when the request has been worked on, so
	// that only the answer is lost.
	DropAfter Kind = "DropAfter"
	// Slow waits for Rule.Delay, then works on.
	Slow Kind = "Slow"
	// Hold waits until the rule is removed or the client gives up, then works on.
	Hold Kind = "Hold"
	// DiskFull answers as a store without free space does.
	DiskFull Kind = "DiskFull"
	// Refused answers that the store will never do this.
	Refused Kind = "Refused"
)

// Valid tells whether k is one of the kinds above.
func (k Kind) Valid() bool {
	switch k {
	case NotLeader, EpochNotMatch, ServerIsBusy, RegionNotFound, Drop, DropAfter, Slow, Hold, DiskFull, Refused:
		return true
	}
	return false
}

// Rule is one fault. It can be marshalled to JSON, Delay being in nanoseconds.
type Rule struct {
	// Store is the store that fails; 0 means any.
	Store uint64 `json:"store,omitempty"`
	// RPC is the end of the full method name, for example "ImportSST/Write" or
	// "Tikv/SplitRegion"; empty means any. A request inside a BatchCommands
	// stream answers to its own name and to "Tikv/BatchCommands", a checksum and
	// an ANALYZE also to "Coprocessor/checksum" and "Coprocessor/analyze".
	RPC string `json:"rpc,omitempty"`
	// Kind says what goes wrong.
	Kind Kind `json:"kind"`
	// Count is how often the rule fires; 0 means until it is cleared.
	Count int `json:"count,omitempty"`
	// Delay is the pause of a Slow fault.
	Delay time.Duration `json:"delay,omitempty"`

	removed chan struct{} // of a Hold rule in a Set
}

// Removed is closed when a Hold rule that Fire returned has been removed.
func (r Rule) Removed() <-chan struct{} { return r.removed }

func (r Rule) fits(store uint64, methods []string) bool {
	if r.Store != 0 && r.Store != store {
		return false
	}
	if r.RPC == "" {
		return true
	}
	for _, m := range methods {
		if m == r.RPC || strings.HasSuffix(m, "/"+r.RPC) || strings.HasSuffix(m, "."+r.RPC) {
			return true
		}
	}
	return false
}

// Hit is a rule and how often it has fired.
type Hit struct {
	Rule  Rule `json:"rule"`
	Fired int  `json:"fired"`
}

// Set is a list of rules, safe for concurrent use. The zero value is an empty
// list; a nil Set never fires.
type Set struct {
	mu struct {
		sync.Mutex
		hits []*Hit
	}
}

// Add appends a rule. It refuses a kind that does not exist, a negative count
// and a Slow rule without a delay.
func (s *Set) Add(r Rule) error {
	switch {
	case !r.Kind.Valid():
		return fmt.Errorf("fault: unknown kind %q", r.Kind)
	case r.Count < 0:
		return fmt.Errorf("fault: count %d is negative", r.Count)
	case r.Kind == Slow && r.Delay <= 0:
		return fmt.Errorf("fault: a %s rule needs a delay", Slow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Kind == Hold {
		r.removed = make(chan struct{})
	}
	s.mu.hits = append(s.mu.hits, &Hit{Rule: r})
	return nil
}

// Clear removes all rules and their counts.
func (s *Set) Clear() { s.remove(func(Rule) bool { return true }) }

// Remove removes the rules for one RPC, named as in Rule.RPC, and their counts.
func (s *Set) Remove(rpc string) { s.remove(func(r Rule) bool { return r.RPC == rpc }) }

func (s *Set) remove(which func(Rule) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.hits = slices.DeleteFunc(s.mu.hits, func(h *Hit) bool {
		gone := which(h.Rule)
		if gone && h.Rule.removed != nil {
			close(h.Rule.removed)
		}
		return gone
	})
}

// Hits returns every rule in the order of adding, used up ones included, with
// the number of times that it fired.
func (s *Set) Hits() []Hit {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Hit, len(s.mu.hits))
	for i, h := range s.mu.hits {
		out[i] = *h
		out[i].Rule.removed = nil
	}
	return out
}

// Fire returns the fault to play for a request to store that goes by one or
// more full method names ("/tikvpb.Tikv/KvGet"), and counts it; false when
// nothing goes wrong.
func (s *Set) Fire(store uint64, methods ...string) (Rule, bool) {
	if s == nil {
		return Rule{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.mu.hits {
		if h.Rule.Count > 0 && h.Fired >= h.Rule.Count {
			continue
		}
		if h.Rule.fits(store, methods) {
			h.Fired++
			return h.Rule, true
		}
	}
	return Rule{}, false
}
