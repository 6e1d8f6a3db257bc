package pd

import "net/http"

func (s *Server) routeLabels(handle func(string, apiFunc)) {
	const base = "/pd/api/v1/config/region-label/"
	handle("GET "+base+"rules", func(r *http.Request) (any, error) { return s.labels.live(r.Context()) })
	handle("PATCH "+base+"rules", s.patchLabelRules)
	handle("GET "+base+"rules/ids", s.getLabelRulesByIDs)
	handle("GET "+base+"rule/{id}", s.getLabelRule)
	handle("POST "+base+"rule", s.postLabelRule)
	handle("DELETE "+base+"rule/{id}", s.deleteLabelRule)
}

func (s *Server) patchLabelRules(r *http.Request) (any, error) {
	var patch struct {
		Sets    []labelRuleInput `json:"sets"`
		Deletes []string         `json:"deletes"`
	}
	if err := readJSON(r, &patch); err != nil {
		return nil, err
	}
	if err := s.labels.patch(r.Context(), patch.Sets, patch.Deletes); err != nil {
		return nil, err
	}
	return "Update region label rules successfully.", nil
}

// getLabelRulesByIDs takes the ids as a JSON array in the body of a GET.
func (s *Server) getLabelRulesByIDs(r *http.Request) (any, error) {
	var ids []string
	if err := readJSON(r, &ids); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return []LabelRule{}, nil
	}
	return s.labels.live(r.Context(), ids...)
}

func (s *Server) getLabelRule(r *http.Request) (any, error) {
	rules, err := s.labels.live(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, notFound(nil)
	}
	return rules[0], nil
}

func (s *Server) postLabelRule(r *http.Request) (any, error) {
	var rule labelRuleInput
	if err := readJSON(r, &rule); err != nil {
		return nil, err
	}
	if err := s.labels.patch(r.Context(), []labelRuleInput{rule}, nil); err != nil {
		return nil, err
	}
	return "Update region label rule successfully.", nil
}

func (s *Server) deleteLabelRule(r *http.Request) (any, error) {
	if err := s.labels.patch(r.Context(), nil, []string{r.PathValue("id")}); err != nil {
		return nil, err
	}
	return "Delete region label rule successfully.", nil
}
