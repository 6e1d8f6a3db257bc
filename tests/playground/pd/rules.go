package pd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

const (
	keyRules         = "rules/"
	keyRuleGroups    = "rule_group/"
	defaultRuleGroup = "pd"
	defaultRuleID    = "default"
)

// LabelConstraint selects stores by a label.
type LabelConstraint struct {
	Key    string   `json:"key,omitempty"`
	Op     string   `json:"op,omitempty"`
	Values []string `json:"values,omitempty"`
}

// PlacementRule says how many peers of which role the regions of a range want.
// Keys are hex of the memcomparable form.
type PlacementRule struct {
	GroupID          string            `json:"group_id"`
	ID               string            `json:"id"`
	Index            int               `json:"index,omitempty"`
	Override         bool              `json:"override,omitempty"`
	StartKey         string            `json:"start_key"`
	EndKey           string            `json:"end_key"`
	Role             string            `json:"role"`
	IsWitness        bool              `json:"is_witness"`
	Count            int               `json:"count"`
	LabelConstraints []LabelConstraint `json:"label_constraints,omitempty"`
	LocationLabels   []string          `json:"location_labels,omitempty"`
	IsolationLevel   string            `json:"isolation_level,omitempty"`
}

// RuleGroup orders groups of rules.
type RuleGroup struct {
	ID       string `json:"id,omitempty"`
	Index    int    `json:"index,omitempty"`
	Override bool   `json:"override,omitempty"`
}

// GroupBundle is a group with its rules.
type GroupBundle struct {
	ID       string          `json:"group_id"`
	Index    int             `json:"group_index"`
	Override bool            `json:"group_override"`
	Rules    []PlacementRule `json:"rules"`
}

// ruleOp is one step of a batch.
type ruleOp struct {
	PlacementRule
	Action           string `json:"action"` // "add" or "del"
	DeleteByIDPrefix bool   `json:"delete_by_id_prefix"`
}

type ruleKey struct{ group, id string }

// placementRules keeps placement rules and their groups. They are only kept:
// no peer moves because of them.
type placementRules struct {
	kv       *kvStore
	replicas func() int // for the default rule as long as no rule was set

	mu struct {
		sync.Mutex
		rules  map[ruleKey]PlacementRule
		groups map[string]RuleGroup
	}
}

func newPlacementRules(ctx context.Context, kv *kvStore, replicas func() int) (*placementRules, error) {
	p := &placementRules{kv: kv, replicas: replicas}
	p.mu.rules = map[ruleKey]PlacementRule{}
	p.mu.groups = map[string]RuleGroup{}
	rules, err := listJSON[PlacementRule](ctx, kv, keyRules)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		p.mu.rules[ruleKey{r.GroupID, r.ID}] = r
	}
	groups, err := listJSON[RuleGroup](ctx, kv, keyRuleGroups)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		p.mu.groups[g.ID] = g
	}
	return p, nil
}

func (p *placementRules) defaultRule() PlacementRule {
	return PlacementRule{GroupID: defaultRuleGroup, ID: defaultRuleID, Role: "voter", Count: p.replicas()}
}

func (r PlacementRule) check() error {
	if r.GroupID == "" {
		return errors.New("group ID should not be empty")
	}
	if r.ID == "" {
		return errors.New("ID should not be empty")
	}
	if !slices.Contains([]string{"voter", "leader", "follower", "learner"}, r.Role) {
		return fmt.Errorf("invalid role %s", r.Role)
	}
	if r.Count <= 0 {
		return fmt.Errorf("invalid count %d", r.Count)
	}
	if r.Role == "leader" && r.Count > 1 {
		return fmt.Errorf("define multiple leaders by count %d", r.Count)
	}
	start, err := hex.DecodeString(r.StartKey)
	if err != nil {
		return fmt.Errorf("start key is not hex format: %w", err)
	}
	end, err := hex.DecodeString(r.EndKey)
	if err != nil {
		return fmt.Errorf("end key is not hex format: %w", err)
	}
	if len(end) > 0 && string(end) <= string(start) {
		return errors.New("endKey should be greater than startKey")
	}
	return nil
}

func (k ruleKey) storage() string {
	return keyRules + hex.EncodeToString([]byte(k.group)) + "-" + hex.EncodeToString([]byte(k.id))
}

// apply runs a batch; nothing changes if an added rule is wrong.
func (p *placementRules) apply(ctx context.Context, ops []ruleOp) error {
	for _, op := range ops {
		switch op.Action {
		case "add":
			if err := op.check(); err != nil {
				return badRequest{err}
			}
		case "del":
		default:
			return badRequest{fmt.Errorf("invalid rule action %q", op.Action)}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.storeDefaultLocked(ctx); err != nil {
		return err
	}
	for _, op := range ops {
		if err := p.applyOneLocked(ctx, op); err != nil {
			return err
		}
	}
	return nil
}

// storeDefaultLocked turns the default rule into a stored one before the first
// change, so that it can be changed and deleted like any other.
func (p *placementRules) storeDefaultLocked(ctx context.Context) error {
	if len(p.mu.rules) > 0 {
		return nil
	}
	return p.putLocked(ctx, p.defaultRule())
}

func (p *placementRules) putLocked(ctx context.Context, r PlacementRule) error {
	k := ruleKey{r.GroupID, r.ID}
	if err := p.kv.putJSON(ctx, k.storage(), r); err != nil {
		return err
	}
	p.mu.rules[k] = r
	return nil
}

func (p *placementRules) applyOneLocked(ctx context.Context, op ruleOp) error {
	if op.Action == "add" {
		return p.putLocked(ctx, op.PlacementRule)
	}
	for k := range p.mu.rules {
		hit := k.group == op.GroupID && (k.id == op.ID || op.DeleteByIDPrefix && strings.HasPrefix(k.id, op.ID))
		if !hit {
			continue
		}
		if err := p.kv.delete(ctx, k.storage()); err != nil {
			return err
		}
		delete(p.mu.rules, k)
	}
	return nil
}

// list returns the rules of a group, or all for an empty name, in the order
// in which PD applies them.
func (p *placementRules) list(group string) []PlacementRule {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]PlacementRule, 0, len(p.mu.rules)+1)
	if len(p.mu.rules) == 0 && (group == "" || group == defaultRuleGroup) {
		out = append(out, p.defaultRule())
	}
	for k, r := range p.mu.rules {
		if group == "" || k.group == group {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b PlacementRule) int {
		if d := p.mu.groups[a.GroupID].Index - p.mu.groups[b.GroupID].Index; d != 0 {
			return d
		}
		if c := strings.Compare(a.GroupID, b.GroupID); c != 0 {
			return c
		}
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func (p *placementRules) get(group, id string) (PlacementRule, bool) {
	for _, r := range p.list(group) {
		if r.ID == id {
			return r, true
		}
	}
	return PlacementRule{}, false
}

func (p *placementRules) setGroup(ctx context.Context, g RuleGroup) error {
	if g.ID == "" {
		return badRequest{errors.New("group ID should not be empty")}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.kv.putJSON(ctx, keyRuleGroups+hex.EncodeToString([]byte(g.ID)), g); err != nil {
		return err
	}
	p.mu.groups[g.ID] = g
	return nil
}

func (p *placementRules) deleteGroup(ctx context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.kv.delete(ctx, keyRuleGroups+hex.EncodeToString([]byte(id))); err != nil {
		return err
	}
	delete(p.mu.groups, id)
	return nil
}

// listGroups returns the groups that have rules or were set, by index and id.
func (p *placementRules) listGroups() []RuleGroup {
	all := map[string]RuleGroup{}
	for _, r := range p.list("") {
		all[r.GroupID] = RuleGroup{ID: r.GroupID}
	}
	p.mu.Lock()
	for id, g := range p.mu.groups {
		all[id] = g
	}
	p.mu.Unlock()
	out := make([]RuleGroup, 0, len(all))
	for _, g := range all {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b RuleGroup) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func (p *placementRules) bundle(group string) GroupBundle {
	b := GroupBundle{ID: group, Rules: p.list(group)}
	for _, g := range p.listGroups() {
		if g.ID == group {
			b.Index, b.Override = g.Index, g.Override
		}
	}
	return b
}

// setBundles replaces the rules of the given groups; unless partial, all other
// groups go.
func (p *placementRules) setBundles(ctx context.Context, bundles []GroupBundle, partial bool) error {
	var ops []ruleOp
	for _, g := range p.listGroups() {
		named := slices.ContainsFunc(bundles, func(b GroupBundle) bool { return b.ID == g.ID })
		if !partial || named {
			ops = append(ops, ruleOp{PlacementRule: PlacementRule{GroupID: g.ID}, Action: "del", DeleteByIDPrefix: true})
		}
		if !partial && !named {
			if err := p.deleteGroup(ctx, g.ID); err != nil {
				return err
			}
		}
	}
	for _, b := range bundles {
		for _, r := range b.Rules {
			r.GroupID = b.ID
			ops = append(ops, ruleOp{PlacementRule: r, Action: "add"})
		}
	}
	if err := p.apply(ctx, ops); err != nil {
		return err
	}
	for _, b := range bundles {
		if err := p.setGroup(ctx, RuleGroup{ID: b.ID, Index: b.Index, Override: b.Override}); err != nil {
			return err
		}
	}
	return nil
}
