package main

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// active is the time that the job has worked until a moment.
func (w *watched) active(at time.Duration) time.Duration {
	if w.idle[0] == 0 || at <= w.idle[0] {
		return at
	}
	until := w.idle[1]
	if until == 0 || at < until {
		return w.idle[0]
	}
	return at - (until - w.idle[0])
}

// total is what a sample says that the job takes in all, without the time in which it stood still.
func (w *watched) total(s *sample) time.Duration { return w.active(s.at) + s.left }

// deviation is how far a sample's total is from the real one, as a part of that. ok is false for samples that
// say nothing that can be judged: before judgedFrom percent, while the job stands still, and before a kill, which costs
// work that nobody could expect to be lost.
func (w *watched) deviation(s *sample) (part float64, ok bool) {
	if s.percent < judgedFrom || s.status != "running" || s.left == 0 || w.killed && (w.idle[1] == 0 || s.at <= w.idle[1]) {
		return 0, false
	}
	if w.idle[0] > 0 && s.at > w.idle[0] && s.at <= w.idle[1] {
		return 0, false
	}
	real := w.active(w.end)
	return math.Abs((w.total(s) - real).Seconds()) / real.Seconds(), true
}

// judge returns what the job's samples come to, in a line, and what is wrong with them.
func (w *watched) judge() (line string, err error) {
	worst, judged, silent := 0.0, 0, 0
	var at sample
	var failed []error
	before, jump := int64(0), int64(0)
	for i := range w.samples {
		s := &w.samples[i]
		if s.percent < before {
			failed = append(failed, fmt.Errorf("%s: %d %% after %d %% at %.1f s", w.name, s.percent, before, s.at.Seconds()))
		}
		if w.idle[0] > 0 && s.at > w.idle[0] && i > 0 && w.samples[i-1].at <= w.idle[1] {
			jump = max(jump, s.percent-before)
		}
		before = s.percent
		if s.percent >= judgedFrom && s.status == "running" && s.left == 0 {
			silent++
		}
		if part, ok := w.deviation(s); ok {
			judged++
			if part > worst {
				worst, at = part, *s
			}
		}
	}
	if worst > allowed {
		failed = append(failed, fmt.Errorf("%s: the expected end is wrong by %.1f %% at %d %%", w.name, 100*worst, at.percent))
	}
	line = fmt.Sprintf("progress: %-34s %5.1f s of work, %3d samples judged, %d without ETA, largest deviation %4.1f %% at %d %% (%s)",
		w.name, w.active(w.end).Seconds(), judged, silent, 100*worst, at.percent, at.step)
	if w.idle[0] > 0 {
		line += fmt.Sprintf(", largest jump over the interruption %d %%", jump)
	}
	return line, errors.Join(failed...)
}

// print prints every sample, with what was expected in all.
func (w *watched) print() {
	for i := range w.samples {
		s := &w.samples[i]
		part, judged := w.deviation(s)
		fmt.Printf("%7.1f s %8s %-9s %3d %% %6.0f s left %6.1f s in all, wrong by %5.1f %% (judged: %v)\n",
			s.at.Seconds(), s.status, s.step, s.percent, s.left.Seconds(), w.total(s).Seconds(), 100*part, judged)
	}
}
