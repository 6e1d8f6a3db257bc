package forecast

import "github.com/sluicedb/sluice/executor/job"

// defaults are bytes per second that a step is assumed to do as long as no job has
// shown any other speed. They are what two processors and an embedded cluster on the same
// machine do (docs/performance.md), rounded.
var defaults = map[string]float64{
	"encode": 100e6, "sort": 300e6, "conflicts": 60e6, "ingest": 40e6, "ingest end": 100e6, "checksum": 150e6, "analyze": 100e6,
}

const (
	// otherSpeed is that of a step that is not among the defaults, in bytes per second.
	otherSpeed = 50e6
	// What is known beside the jobs is that the fixed time is some seconds rather than minutes, and that the time for a
	// byte is of the magnitude of the default. Both count little; they decide where the jobs leave it open, as small ones
	// say nothing of the time for a byte.
	usualFixed    = 1
	fixedWeight   = 0.01
	perByteWeight = 1e-5
)

// cost is what a step takes: a fixed time in seconds, and seconds for each byte.
type cost struct {
	fixed, perByte float64
	learned        bool
}

func (c cost) of(bytes int64) float64 { return c.fixed + c.perByte*float64(bytes) }

// Costs are what steps take, by name. The zero value has the defaults.
type Costs struct{ steps map[string]cost }

// Learn returns what the steps of finished jobs have shown. Steps that a speed
// limit held back say nothing of others.
func Learn(jobs [][]job.Spent) Costs {
	points := map[string][]job.Spent{}
	for _, steps := range jobs {
		for _, s := range steps {
			if !s.Limited && s.Seconds > 0 && s.Bytes > 0 {
				points[s.Step] = append(points[s.Step], s)
			}
		}
	}
	c := Costs{steps: map[string]cost{}}
	for step, p := range points {
		c.steps[step] = fit(p, speedOf(step))
	}
	return c
}

func speedOf(step string) float64 {
	if speed, ok := defaults[step]; ok {
		return speed
	}
	return otherSpeed
}

// of returns what is known of a step.
func (c Costs) of(step string) cost {
	if known, ok := c.steps[step]; ok {
		return known
	}
	return cost{perByte: 1 / speedOf(step)}
}

// fit finds the line with the least squares of relative errors, sum of (fixed/t + perByte*w/t - 1)^2, and of
// the distance from what is usual, with neither part below zero.
func fit(points []job.Spent, speed float64) cost {
	var xx, xy, yy, x, y float64
	for _, p := range points {
		u, v := 1/p.Seconds, float64(p.Bytes)/p.Seconds
		xx, xy, yy, x, y = xx+u*u, xy+u*v, yy+v*v, x+u, y+v
	}
	xx += fixedWeight / usualFixed / usualFixed
	yy, y = yy+perByteWeight*speed*speed, y+perByteWeight*speed
	c := cost{learned: true}
	det := xx*yy - xy*xy // above zero: fixedWeight and perByteWeight are
	c.fixed, c.perByte = (x*yy-y*xy)/det, (y*xx-x*xy)/det
	switch {
	case c.fixed <= 0:
		c.fixed, c.perByte = 0, y/yy
	case c.perByte <= 0:
		c.fixed, c.perByte = x/xx, 0
	}
	return c
}
