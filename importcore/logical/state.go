package logical

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// stateVersion is the version of laneState's form. A higher one is refused.
const stateVersion = 1

// laneState is what a lane's ledger row says, in JSON.
type laneState struct {
	Version int `json:"v"`
	// Basis is the task's: states of another one mean other rows.
	Basis string `json:"basis"`
	// Floor: all rows before it are in the table.
	Floor place `json:"floor"`
	// Done are rows beyond the floor that the lane has brought in.
	Done []span `json:"done,omitempty"`
	// Counts are of the lane's own rows.
	Counts Counts `json:"counts"`
	// Complete says that all rows are in and this is the only lane left.
	Complete bool `json:"complete,omitempty"`
}

// Counts are numbers of rows of the source.
type Counts struct {
	// Rows that were read and not left out as bad ones.
	Rows int64 `json:"rows"`
	// Bytes of the source that the rows took, about.
	Bytes int64 `json:"bytes"`
	// Ignored rows collide with others, with OnDuplicate ignore.
	Ignored int64 `json:"ignored,omitempty"`
	// Replaced rows gave way, with OnDuplicate replace, as the server counts them.
	Replaced int64 `json:"replaced,omitempty"`
	// Rejected rows are bad ones that were left out.
	Rejected int64 `json:"rejected,omitempty"`
	// Warnings of the server about values that it changed, notes among them.
	Warnings int64 `json:"warnings,omitempty"`
}

// Add adds others.
func (c *Counts) Add(o Counts) {
	c.Rows += o.Rows
	c.Bytes += o.Bytes
	c.Ignored += o.Ignored
	c.Replaced += o.Replaced
	c.Rejected += o.Rejected
	c.Warnings += o.Warnings
}

// place is the start of a block.
type place struct {
	File int             `json:"file"`
	At   format.RowPlace `json:"at"` // zero: the file's beginning
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.File, o.File), cmp.Compare(p.At.Row, o.At.Row), cmp.Compare(p.At.Line, o.At.Line))
}

// span is the rows From to To, without To, of a file.
type span struct {
	File     int
	From, To int64
}

// MarshalJSON keeps states short.
func (s span) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]int64{int64(s.File), s.From, s.To})
}

// UnmarshalJSON is MarshalJSON undone.
func (s *span) UnmarshalJSON(b []byte) error {
	var v [3]int64
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	s.File, s.From, s.To = int(v[0]), v[1], v[2]
	return nil
}

// with is the state after the rows of s as well, when floor is known to be in. The receiver stays as it is.
func (l laneState) with(s span, floor place, c Counts) laneState {
	if floor.compare(l.Floor) > 0 {
		l.Floor = floor
	}
	done := make([]span, 0, len(l.Done)+1)
	for _, d := range append(slices.Clone(l.Done), s) {
		if d.File < l.Floor.File || d.File == l.Floor.File && d.To <= l.Floor.At.Row {
			continue
		}
		if n := len(done); n > 0 && done[n-1].File == d.File && done[n-1].To == d.From {
			done[n-1].To = d.To
			continue
		}
		done = append(done, d)
	}
	l.Done = done
	l.Counts.Add(c)
	return l
}

func (l laneState) encode() string {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // plain numbers and strings have a form in JSON
	}
	return string(b)
}

// parseState reads what a lane's row says.
func parseState(text []byte) (laneState, error) {
	var l laneState
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fault.Wrap(err, fault.Sluice, 0, "a row of the ledger can't be read")
	}
	if l.Version != stateVersion {
		return l, fault.New(fault.User, 0, "the ledger was written by another version of Sluice (form %d, this one knows %d)", l.Version, stateVersion)
	}
	return l, nil
}

// decodeState is parseState of a row that an import goes on from.
func decodeState(text []byte, basis string) (laneState, error) {
	l, err := parseState(text)
	if err != nil {
		return l, err
	}
	if l.Basis != basis {
		return l, fmt.Errorf("%w: the ledger holds what was done for other files or options", ErrBasis)
	}
	return l, nil
}

// progress is what all lanes together have done.
type progress struct {
	floor  place
	done   []span // ordered, disjoint
	counts Counts
}

func merge(states []laneState) progress {
	var p progress
	for _, s := range states {
		if s.Floor.compare(p.floor) > 0 {
			p.floor = s.Floor
		}
		p.done = append(p.done, s.Done...)
		p.counts.Add(s.Counts)
	}
	slices.SortFunc(p.done, func(a, b span) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.From, b.From)) })
	return p
}

// within returns the parts of done that lie in a file's rows from to to.
func within(done []span, file int, from, to int64) []span {
	var found []span
	for _, d := range done {
		if d.File == file && d.From < to && d.To > from {
			found = append(found, span{File: file, From: max(d.From, from), To: min(d.To, to)})
		}
	}
	return found
}

// covered tells whether spans, ordered, hold all rows from from to to.
func covered(spans []span, from, to int64) bool {
	for _, s := range spans {
		if s.From > from {
			return false
		}
		from = max(from, s.To)
	}
	return from >= to
}

// holds tells whether one of the spans has a row.
func holds(spans []span, row int64) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.From <= row && row < s.To })
}
