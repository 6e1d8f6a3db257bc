package pd

import (
	"net/http"
	"strconv"
)

func (s *Server) routeRules(handle func(string, apiFunc)) {
	const base = "/pd/api/v1/config/"
	handle("GET "+base+"rules", func(*http.Request) (any, error) { return s.rules.list(""), nil })
	handle("POST "+base+"rules", s.postRules)
	handle("POST "+base+"rules/batch", s.postRulesBatch)
	handle("GET "+base+"rules/group/{group}", func(r *http.Request) (any, error) {
		return s.rules.list(r.PathValue("group")), nil
	})
	handle("GET "+base+"rule/{group}/{id}", s.getRule)
	handle("POST "+base+"rule", s.postRule)
	handle("DELETE "+base+"rule/{group}/{id}", s.deleteRule)
	handle("GET "+base+"rule_groups", func(*http.Request) (any, error) { return s.rules.listGroups(), nil })
	handle("GET "+base+"rule_group/{id}", s.getRuleGroup)
	handle("POST "+base+"rule_group", s.postRuleGroup)
	handle("DELETE "+base+"rule_group/{id}", s.deleteRuleGroup)
	handle("GET "+base+"placement-rule", s.getBundles)
	handle("POST "+base+"placement-rule", s.postBundles)
	handle("GET "+base+"placement-rule/{group}", func(r *http.Request) (any, error) {
		return s.rules.bundle(r.PathValue("group")), nil
	})
	handle("POST "+base+"placement-rule/{group}", s.postBundle)
	handle("DELETE "+base+"placement-rule/{group}", s.deleteBundle)
}

func (s *Server) postRules(r *http.Request) (any, error) {
	var rules []PlacementRule
	if err := readJSON(r, &rules); err != nil {
		return nil, err
	}
	ops := make([]ruleOp, len(rules))
	for i, rule := range rules {
		ops[i] = ruleOp{PlacementRule: rule, Action: "add"}
	}
	if err := s.rules.apply(r.Context(), ops); err != nil {
		return nil, err
	}
	return "Update rules successfully.", nil
}

func (s *Server) postRulesBatch(r *http.Request) (any, error) {
	var ops []ruleOp
	if err := readJSON(r, &ops); err != nil {
		return nil, err
	}
	if err := s.rules.apply(r.Context(), ops); err != nil {
		return nil, err
	}
	return "Batch operations successfully.", nil
}

func (s *Server) getRule(r *http.Request) (any, error) {
	rule, ok := s.rules.get(r.PathValue("group"), r.PathValue("id"))
	if !ok {
		return nil, notFound(nil)
	}
	return rule, nil
}

func (s *Server) postRule(r *http.Request) (any, error) {
	var rule PlacementRule
	if err := readJSON(r, &rule); err != nil {
		return nil, err
	}
	if err := s.rules.apply(r.Context(), []ruleOp{{PlacementRule: rule, Action: "add"}}); err != nil {
		return nil, err
	}
	return "Update rule successfully.", nil
}

func (s *Server) deleteRule(r *http.Request) (any, error) {
	rule := PlacementRule{GroupID: r.PathValue("group"), ID: r.PathValue("id")}
	if err := s.rules.apply(r.Context(), []ruleOp{{PlacementRule: rule, Action: "del"}}); err != nil {
		return nil, err
	}
	return "Delete rule successfully.", nil
}

func (s *Server) getRuleGroup(r *http.Request) (any, error) {
	for _, g := range s.rules.listGroups() {
		if g.ID == r.PathValue("id") {
			return g, nil
		}
	}
	return nil, notFound(nil)
}

func (s *Server) postRuleGroup(r *http.Request) (any, error) {
	var g RuleGroup
	if err := readJSON(r, &g); err != nil {
		return nil, err
	}
	if err := s.rules.setGroup(r.Context(), g); err != nil {
		return nil, err
	}
	return "Update rule group successfully.", nil
}

func (s *Server) deleteRuleGroup(r *http.Request) (any, error) {
	if err := s.rules.deleteGroup(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	return "Delete rule group successfully.", nil
}

func (s *Server) getBundles(*http.Request) (any, error) {
	out := []GroupBundle{}
	for _, g := range s.rules.listGroups() {
		out = append(out, s.rules.bundle(g.ID))
	}
	return out, nil
}

func (s *Server) postBundles(r *http.Request) (any, error) {
	var bundles []GroupBundle
	if err := readJSON(r, &bundles); err != nil {
		return nil, err
	}
	partial := false
	if text := r.URL.Query().Get("partial"); text != "" {
		var err error
		if partial, err = strconv.ParseBool(text); err != nil {
			return nil, badRequest{err}
		}
	}
	if err := s.rules.setBundles(r.Context(), bundles, partial); err != nil {
		return nil, err
	}
	return "Update rules and groups successfully.", nil
}

func (s *Server) postBundle(r *http.Request) (any, error) {
	var b GroupBundle
	if err := readJSON(r, &b); err != nil {
		return nil, err
	}
	b.ID = r.PathValue("group")
	if err := s.rules.setBundles(r.Context(), []GroupBundle{b}, true); err != nil {
		return nil, err
	}
	return "Update group and rules successfully.", nil
}

func (s *Server) deleteBundle(r *http.Request) (any, error) {
	id := r.PathValue("group")
	del := ruleOp{PlacementRule: PlacementRule{GroupID: id}, Action: "del", DeleteByIDPrefix: true}
	if err := s.rules.apply(r.Context(), []ruleOp{del}); err != nil {
		return nil, err
	}
	if err := s.rules.deleteGroup(r.Context(), id); err != nil {
		return nil, err
	}
	return "Delete group and rules successfully.", nil
}
