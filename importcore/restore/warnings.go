package restore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/precheck"
)

// remark is a warning that the server gave about statements of the job.
type remark struct {
	Text string `json:"t"`
	// Of are the objects that they were to make, as far as they are named, and All how many they are.
	Of  []string `json:"o"`
	All int      `json:"n"`
}

// remark notes what the server said when it made an object.
func (p *Plan) remark(of Name, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.keeper.change(func() {
		for _, text := range texts {
			if text != checksOff || !p.checksTold {
				p.saved.remark(of.String(), text)
			}
		}
	})
}

func (s *state) remark(of, text string) {
	at := slices.IndexFunc(s.Remarks, func(r remark) bool { return r.Text == text })
	if at < 0 {
		at = len(s.Remarks)
		s.Remarks = append(s.Remarks, remark{Text: text})
	}
	r := &s.Remarks[at]
	if slices.Contains(r.Of, of) {
		return // it was made again
	}
	if r.All++; len(r.Of) < maxNamed {
		r.Of = append(r.Of, of)
	}
}

// remarks are told with the result.
func (s *state) remarks() (texts []string) {
	for _, r := range s.Remarks {
		of := strings.Join(r.Of, ", ")
		if n := r.All - len(r.Of); n > 0 {
			of += fmt.Sprintf(" and %d more", n)
		}
		texts = append(texts, fmt.Sprintf("the server warns about %s: %s", of, strings.TrimSuffix(r.Text, ".")))
	}
	return texts
}

// warn notes what the user should know beside the result. What the prechecks tell becomes a part of the state with begin: a job that is gone on with
// doesn't look for all of it again.
func (p *Plan) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.keeper == nil {
		p.warnings = append(p.warnings, text)
		return
	}
	p.keeper.change(func() { p.saved.warn(text) })
}

func (s *state) warn(text string) {
	if !slices.Contains(s.Warnings, text) {
		s.Warnings = append(s.Warnings, text)
	}
}

// mostWarned bounds the tables whose warnings are kept: a job's message has room for few, and its state is saved often. All are in the log.
const mostWarned = 100

// warnOf notes what the user should know of a table's rows.
func (p *Plan) warnOf(t *table, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.keeper.change(func() {
		if len(t.state.Warnings) == 0 {
			if p.saved.Warned++; p.saved.Warned > mostWarned {
				return
			}
		}
		for _, text := range texts {
			if !slices.Contains(t.state.Warnings, text) {
				t.state.Warnings = append(t.state.Warnings, text)
			}
		}
	})
}

// warnAgain takes up what was told before: the prechecks have said some of it once more, and tables that aren't done are going to.
func (s *state) warnAgain(texts []string) {
	for _, text := range texts {
		s.warn(text)
	}
	for _, o := range s.Objects {
		if !o.Done && len(o.Warnings) > 0 {
			s.Warned, o.Warnings = s.Warned-1, nil
		}
	}
}

// told is all that the user should know beside the result.
func (s *state) told() []string {
	texts, more := slices.Clone(s.Warnings), s.Warned
	for _, o := range s.Objects {
		for i, text := range o.Warnings {
			texts = append(texts, fmt.Sprintf("table %s: %s", o.name(), text))
			if i == 0 {
				more--
			}
		}
	}
	if more > 0 {
		texts = append(texts, fmt.Sprintf("the log has warnings about %s", precheck.Counted(int64(more), "more table")))
	}
	return append(texts, s.remarks()...)
}
