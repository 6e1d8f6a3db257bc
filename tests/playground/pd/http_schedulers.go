package pd

import (
	"errors"
	"net/http"
	"time"
)

func (s *Server) routeSchedulers(handle func(string, apiFunc)) {
	handle("GET /pd/api/v1/schedulers", s.getSchedulers)
	handle("POST /pd/api/v1/schedulers", s.postScheduler)
	handle("POST /pd/api/v1/schedulers/{name}", s.pauseScheduler)
	handle("DELETE /pd/api/v1/schedulers/{name}", s.deleteScheduler)
}

// getSchedulers lists the names; ?status=paused only those paused now, with
// ?timestamp also since and until when.
func (s *Server) getSchedulers(r *http.Request) (any, error) {
	switch r.URL.Query().Get("status") {
	case "paused":
		paused := s.schedulers.pausedNow()
		if r.URL.Query().Get("timestamp") != "" {
			return paused, nil
		}
		names := make([]string, 0, len(paused))
		for _, p := range paused {
			names = append(names, p.Name)
		}
		return names, nil
	case "disabled":
		return []string{}, nil
	}
	return s.schedulers.list(), nil
}

func (s *Server) postScheduler(r *http.Request) (any, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Name == "" {
		return nil, badRequest{errors.New("missing scheduler name")}
	}
	if err := s.schedulers.add(in.Name); err != nil {
		return nil, err
	}
	return "The scheduler is created.", nil
}

func (s *Server) pauseScheduler(r *http.Request) (any, error) {
	var in struct {
		Delay *int64 `json:"delay"` // seconds
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Delay == nil {
		return nil, badRequest{errors.New("missing pause time")}
	}
	if err := s.schedulers.pause(r.PathValue("name"), time.Duration(*in.Delay)*time.Second); err != nil {
		return nil, err
	}
	return "Pause or resume the scheduler successfully.", nil
}

func (s *Server) deleteScheduler(r *http.Request) (any, error) {
	err := s.schedulers.remove(r.PathValue("name"))
	if errors.Is(err, errSchedulerNotFound) {
		return nil, notFound(err.Error())
	}
	if err != nil {
		return nil, err
	}
	return "The scheduler is removed.", nil
}
