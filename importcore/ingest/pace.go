package ingest

import (
	"slices"
	"time"
)

const (
	// leastSpeed is in bytes per second and store: a run goes on however slow the store is.
	leastSpeed = 1 << 20
	// paceSettle is what a change of speed gets to show its effect before the next one: what was under way has arrived then.
	paceSettle = time.Second
	// A store that is slow gets so much less, one that is fast again so much more, after each paceSettle.
	paceCut, paceRaise = 0.5, 1.5
	// paceCalm is the part of MaxLatency below which a store is fast again; in between its speed stays.
	paceCalm = 0.8
	// paceWindow is how many answers count, which come about four times a second, paceRank which of them in order does.
	// It leaves the slowest one or two out of account, whatever their number.
	paceWindow, paceRank = 12, 0.9
	// paceFew answers are enough to slow down, paceSome to go faster again.
	paceFew, paceSome = 2, 3
	// The speed is averaged over about a second; what was once reached is forgotten within a minute.
	paceSmooth, paceForget = 0.2, 0.99
	// paceFree times what was reached is a limit that holds nothing back any more.
	paceFree = 4
)

// pace decides how fast one store may be written to, from how long it takes to answer: less and less while it
// is slow, more and more when it is fast again. It has no clock of its own. It is used by one goroutine.
type pace struct {
	latency time.Duration // above which a store is slow
	ceiling float64       // bytes per second that the store may get at most; 0 is any number

	limit   float64 // bytes per second at present; 0 is no limit but the ceiling
	changed time.Time
	decided time.Duration // the latency for which it was changed last
	// window has the last answers since then, the oldest first.
	window []time.Duration
	// speed is how fast the store was written to lately, reached the most of that.
	speed, reached float64
}

// paced is what a pace has decided.
type paced uint8

const (
	paceKept paced = iota
	paceSlower
	paceFaster
	paceLifted // the store is at full speed again
)

// answer is told how long the store took to answer, and how fast, in bytes per second, it was written to since the answer before.
func (p *pace) answer(now time.Time, took time.Duration, speed float64) paced {
	p.speed += paceSmooth * (speed - p.speed)
	p.reached = max(p.speed, paceForget*p.reached)
	if len(p.window) == paceWindow {
		p.window = p.window[1:]
	}
	p.window = append(p.window, took)
	if now.Sub(p.changed) < paceSettle {
		return paceKept
	}
	switch high := p.high(); {
	case high > p.latency && len(p.window) >= paceFew:
		return p.slower(now, high)
	case p.limit > 0 && float64(high) <= paceCalm*float64(p.latency) && len(p.window) >= paceSome:
		return p.faster(now, high)
	}
	return paceKept
}

// high is what all but the slowest answers are within.
func (p *pace) high() time.Duration {
	sorted := slices.Sorted(slices.Values(p.window))
	return sorted[int(paceRank*float64(len(sorted)-1))]
}

func (p *pace) slower(now time.Time, high time.Duration) paced {
	from := p.reached
	for _, bound := range []float64{p.limit, p.ceiling} {
		if bound > 0 {
			from = min(from, bound)
		}
	}
	least := leastOf(p.ceiling)
	to := max(from*paceCut, least)
	if p.limit > 0 && to >= p.limit || p.ceiling > 0 && to >= p.ceiling {
		return paceKept
	}
	p.change(now, to, high)
	return paceSlower
}

func (p *pace) faster(now time.Time, high time.Duration) paced {
	to := p.limit * paceRaise
	if p.ceiling > 0 && to >= p.ceiling || p.ceiling == 0 && to >= paceFree*p.reached {
		p.change(now, 0, high)
		return paceLifted
	}
	p.change(now, to, high)
	return paceFaster
}

func (p *pace) change(now time.Time, to float64, high time.Duration) {
	p.limit, p.changed, p.decided, p.window = to, now, high, p.window[:0]
}

// leastOf is the lowest speed that a store under a ceiling may get, in bytes per second.
func leastOf(ceiling float64) float64 {
	if ceiling > 0 {
		return min(ceiling, leastSpeed)
	}
	return leastSpeed
}
