package pd

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keyLabelRules    = "region_label/"
	labelKeyRange    = "key-range"
	labelStartFormat = time.UnixDate
)

// RegionLabel is one label of a rule. TTL is a Go duration, StartAt the moment
// it counts from, in time.UnixDate; both empty for a label that stays.
type RegionLabel struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	TTL     string `json:"ttl,omitempty"`
	StartAt string `json:"start_at,omitempty"`
}

// LabelKeyRange is a range of keys in hex of their memcomparable form; an empty
// end is the end of the key space.
type LabelKeyRange struct {
	StartKey string `json:"start_key"`
	EndKey   string `json:"end_key"`
}

// LabelRule gives labels to the regions that lie in its ranges.
type LabelRule struct {
	ID       string          `json:"id"`
	Index    int             `json:"index"`
	Labels   []RegionLabel   `json:"labels"`
	RuleType string          `json:"rule_type"`
	Data     []LabelKeyRange `json:"data"`
}

// labelRuleInput takes any data, to answer a wrong type as PD does rather than
// with a decoding error.
type labelRuleInput struct {
	LabelRule
	Data json.RawMessage `json:"data"`
}

// labelEntry is a stored rule with the expiry of each label (zero: never).
type labelEntry struct {
	rule   LabelRule
	expiry []time.Time
}

// labelRules keeps the region label rules. Expired labels leave when a rule is
// read, and the rule with its last label.
type labelRules struct {
	kv  *kvStore
	now func() time.Time

	mu struct {
		sync.Mutex
		entries map[string]*labelEntry
	}
}

func newLabelRules(ctx context.Context, kv *kvStore, now func() time.Time) (*labelRules, error) {
	l := &labelRules{kv: kv, now: now}
	l.mu.entries = map[string]*labelEntry{}
	rules, err := listJSON[LabelRule](ctx, kv, keyLabelRules)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		e, err := l.adjust(r)
		if err != nil {
			return nil, fmt.Errorf("stored label rule %s: %w", r.ID, err)
		}
		l.mu.entries[r.ID] = e
	}
	return l, nil
}

// parse checks what came over the network.
func (l *labelRules) parse(in labelRuleInput) (*labelEntry, error) {
	r := in.LabelRule
	if r.RuleType != labelKeyRange {
		return nil, fmt.Errorf("invalid rule type: %s", r.RuleType)
	}
	if err := json.Unmarshal(in.Data, &r.Data); err != nil {
		return nil, fmt.Errorf("invalid rule data: %w", err)
	}
	e, err := l.adjust(r)
	if err != nil {
		return nil, err
	}
	for i, exp := range e.expiry {
		if !exp.IsZero() && !l.now().Before(exp) {
			return nil, fmt.Errorf("region label with expired ttl, label: %s=%s", r.Labels[i].Key, r.Labels[i].Value)
		}
	}
	return e, nil
}

// adjust checks a rule and stamps the start of labels that count from now.
func (l *labelRules) adjust(r LabelRule) (*labelEntry, error) {
	if r.ID == "" {
		return nil, errors.New("empty rule id")
	}
	if len(r.Labels) == 0 {
		return nil, errors.New("no region labels")
	}
	for _, kr := range r.Data {
		if err := kr.check(); err != nil {
			return nil, err
		}
	}
	r.Labels = slices.Clone(r.Labels)
	e := &labelEntry{rule: r, expiry: make([]time.Time, len(r.Labels))}
	for i := range r.Labels {
		exp, err := l.expiry(&r.Labels[i])
		if err != nil {
			return nil, err
		}
		e.expiry[i] = exp
	}
	return e, nil
}

func (r LabelKeyRange) check() error {
	start, err := hex.DecodeString(r.StartKey)
	if err != nil {
		return fmt.Errorf("start key is not in hex format: %s", r.StartKey)
	}
	end, err := hex.DecodeString(r.EndKey)
	if err != nil {
		return fmt.Errorf("end key is not in hex format: %s", r.EndKey)
	}
	if len(end) > 0 && string(end) <= string(start) {
		return errors.New("endKey should be greater than startKey")
	}
	return nil
}

func (l *labelRules) expiry(label *RegionLabel) (time.Time, error) {
	if label.Key == "" {
		return time.Time{}, errors.New("empty region label key")
	}
	if label.Value == "" {
		return time.Time{}, errors.New("empty region label value")
	}
	if label.TTL == "" {
		return time.Time{}, nil
	}
	ttl, err := time.ParseDuration(label.TTL)
	if err != nil {
		return time.Time{}, fmt.Errorf("ttl of region label %s: %w", label.Key, err)
	}
	start := l.now()
	if label.StartAt == "" {
		label.StartAt = start.UTC().Format(labelStartFormat)
	} else if start, err = time.ParseInLocation(labelStartFormat, label.StartAt, time.UTC); err != nil {
		return time.Time{}, fmt.Errorf("start_at of region label %s: %w", label.Key, err)
	}
	return start.Add(ttl), nil
}

// key escapes the id, which may hold slashes.
func (l *labelRules) key(id string) string { return keyLabelRules + url.QueryEscape(id) }

// patch stores and deletes rules together; nothing changes if one of the sets
// is wrong. Deleting a missing rule is no error.
func (l *labelRules) patch(ctx context.Context, sets []labelRuleInput, deletes []string) error {
	entries := make([]*labelEntry, len(sets))
	for i, in := range sets {
		e, err := l.parse(in)
		if err != nil {
			return badRequest{err}
		}
		entries[i] = e
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range deletes {
		if err := l.kv.delete(ctx, l.key(id)); err != nil {
			return err
		}
		delete(l.mu.entries, id)
	}
	for _, e := range entries {
		if err := l.kv.putJSON(ctx, l.key(e.rule.ID), e.rule); err != nil {
			return err
		}
		l.mu.entries[e.rule.ID] = e
	}
	return nil
}

// live drops what has expired and returns the rules that are left, by index,
// then id. With ids only those, in any order of the request.
func (l *labelRules) live(ctx context.Context, ids ...string) ([]LabelRule, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.expireLocked(ctx); err != nil {
		return nil, err
	}
	out := make([]LabelRule, 0, len(l.mu.entries))
	for id, e := range l.mu.entries {
		if len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		r := e.rule
		r.Labels = slices.Clone(r.Labels)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b LabelRule) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

func (l *labelRules) expireLocked(ctx context.Context) error {
	now := l.now()
	for id, e := range l.mu.entries {
		kept := &labelEntry{rule: e.rule}
		kept.rule.Labels = nil
		for i, exp := range e.expiry {
			if exp.IsZero() || now.Before(exp) {
				kept.rule.Labels = append(kept.rule.Labels, e.rule.Labels[i])
				kept.expiry = append(kept.expiry, exp)
			}
		}
		switch len(kept.expiry) {
		case len(e.expiry):
		case 0:
			if err := l.kv.delete(ctx, l.key(id)); err != nil {
				return err
			}
			delete(l.mu.entries, id)
		default:
			if err := l.kv.putJSON(ctx, l.key(id), kept.rule); err != nil {
				return err
			}
			l.mu.entries[id] = kept
		}
	}
	return nil
}
