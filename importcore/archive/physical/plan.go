package physical

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
)

// Target is a table of the archive and the one of the cluster that gets its pairs.
type Target struct {
	From *archive.Table
	// DB and To are the cluster's; To has its present ids.
	DB string
	To *model.TableInfo
	// Base tells that the table holds what an incremental archive continues. It is not verified.
	Base bool
	// Later are indexes, by their names in lower case, that get no entries, see archive.NewRulesWithout.
	Later map[string]bool
}

// Plan says which files go where. It is not changed by anybody.
type Plan struct {
	archive *archive.Archive
	tables  []planned
	parts   []ingest.Download // in key order
	global  []spread          // in key order
}

// planned is a target with the rules for its keys.
type planned struct {
	Target
	rules archive.Rules
}

// NewPlan finds out where the tables' pairs go. A table of the cluster that doesn't fit is an error of the user, one
// that names all of them.
func NewPlan(a *archive.Archive, targets []Target) (*Plan, error) {
	p := &Plan{archive: a}
	var problems []error
	for _, t := range targets {
		rules, err := archive.NewRulesWithout(t.From.Info, t.To, t.Later)
		if err == nil {
			err = p.add(planned{t, rules})
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, together(problems)
	}
	slices.SortFunc(p.parts, func(a, b ingest.Download) int { return bytes.Compare(a.Start, b.Start) })
	slices.SortFunc(p.global, func(a, b spread) int { return bytes.Compare(a.start, b.start) })
	return p, nil
}

// together makes one error of several of the same kind.
func together(problems []error) error {
	first := fault.As(problems[0])
	if len(problems) == 1 || first == nil {
		return problems[0]
	}
	text := ""
	for i, p := range problems {
		if i > 0 {
			text += "; "
		}
		text += p.Error()
	}
	return fault.New(first.Whose, first.Code, "%s", text)
}

func (p *Plan) add(t planned) error {
	for _, part := range t.From.Parts {
		if later, err := archive.LaterPart(part, t.Later); later || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if isGlobal(part) {
			if err := p.addGlobal(t, part); err != nil {
				return err
			}
			continue
		}
		d, err := t.download(part)
		if err != nil {
			return err
		}
		p.parts = append(p.parts, d)
	}
	p.tables = append(p.tables, t)
	return nil
}

// download says how a part of the archive gets its place in the target.
func (t *planned) download(part *archive.Part) (d ingest.Download, err error) {
	rule, err := onlyRule(t.rules.Of(part.Start, part.End))
	if err != nil {
		return d, fault.New(fault.Source, 0, "the file %s of the archive can't be used: %s", part.Write.Path, err)
	}
	d = ingest.Download{Old: rule.Old, New: rule.New, Start: rule.New, End: archive.After(rule.New)}
	if rest, ok := bytes.CutPrefix(part.Start, rule.Old); ok {
		d.Start = append(slices.Clone(rule.New), rest...)
	}
	if rest, ok := bytes.CutPrefix(part.End, rule.Old); ok {
		d.End = append(slices.Clone(rule.New), rest...)
	}
	for _, f := range part.Files() {
		d.Files = append(d.Files, ingest.File{Name: f.Key, CF: f.CF, Size: f.Size, IV: f.IV})
	}
	return d, nil
}

// tableLen is the length of what keys of a table begin with: t and the id.
const tableLen = 9

// onlyRule returns the rule for all keys of a part: stores know one per file. That of rows and indexes together is
// that of the table, if it changes no index's id.
func onlyRule(rules archive.Rules) (archive.Rule, error) {
	switch len(rules) {
	case 0:
		return archive.Rule{}, fmt.Errorf("its keys are neither rows of the table nor entries of an index that it has")
	case 1:
		return rules[0], nil
	}
	for _, r := range rules {
		if !bytes.Equal(r.Old[tableLen:], r.New[tableLen:]) || !bytes.Equal(r.New[:tableLen], rules[0].New[:tableLen]) {
			return archive.Rule{}, fmt.Errorf("it holds entries of several indexes, whose ids are others in the target")
		}
	}
	return archive.Rule{Old: rules[0].Old[:tableLen], New: rules[0].New[:tableLen]}, nil
}

// Moved returns the targets, quoted, whose pairs go to other keys by a plan for the same tables that was made later.
func (p *Plan) Moved(later *Plan) (names []string) {
	for i, t := range p.tables {
		if !slices.EqualFunc(t.rules, later.tables[i].rules, func(a, b archive.Rule) bool { return bytes.Equal(a.Old, b.Old) && bytes.Equal(a.New, b.New) }) {
			names = append(names, fmt.Sprintf("`%s`.`%s`", t.DB, t.To.Name.O))
		}
	}
	return names
}

// Bytes is the size of all files that are to be downloaded, or read and sent.
func (p *Plan) Bytes() (n int64) {
	for i := range p.parts {
		for _, f := range p.parts[i].Files {
			n += f.Size
		}
	}
	for i := range p.global {
		for _, f := range p.global[i].part.Files() {
			n += f.Size
		}
	}
	return n
}

// Spans are the key ranges of the cluster that the plan writes to, in order, one for each table or partition.
func (p *Plan) Spans() []cluster.KeyRange {
	var starts [][]byte
	for i := range p.parts {
		starts = append(starts, p.parts[i].New[:tableLen])
	}
	for i := range p.global {
		starts = append(starts, p.global[i].start[:tableLen])
	}
	slices.SortFunc(starts, bytes.Compare)
	var spans []cluster.KeyRange
	for _, start := range starts {
		if n := len(spans); n == 0 || !bytes.Equal(spans[n-1].Start, start) {
			spans = append(spans, cluster.KeyRange{Start: start, End: archive.After(start)})
		}
	}
	return spans
}
