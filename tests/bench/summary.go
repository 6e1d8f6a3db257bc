package main

import "slices"

// key names what the medians are taken over.
type key struct{ name, program string }

// summaries holds the median of every figure for each case and program.
type summaries map[key]measurement

// summarize takes the medians. Run is the number of runs in the result.
func summarize(all []measurement) summaries {
	groups := map[key][]measurement{}
	for _, m := range all {
		k := key{m.Case, m.Program}
		groups[k] = append(groups[k], m)
	}
	result := summaries{}
	for k, group := range groups {
		m := group[0]
		m.Run = len(group)
		for _, figure := range []func(*measurement) *float64{
			func(m *measurement) *float64 { return &m.Wall },
			func(m *measurement) *float64 { return &m.CPU },
			func(m *measurement) *float64 { return &m.ClusterCPU },
			func(m *measurement) *float64 { return &m.Alone },
		} {
			*figure(&m) = medianOf(group, func(g measurement) float64 { return *figure(&g) })
		}
		for _, size := range []func(*measurement) *int64{
			func(m *measurement) *int64 { return &m.Peak },
			func(m *measurement) *int64 { return &m.Written },
			func(m *measurement) *int64 { return &m.Runs },
		} {
			*size(&m) = int64(medianOf(group, func(g measurement) float64 { return float64(*size(&g)) }))
		}
		result[k] = m
	}
	return result
}

func medianOf(group []measurement, figure func(measurement) float64) float64 {
	values := make([]float64, len(group))
	for i, m := range group {
		values[i] = figure(m)
	}
	return median(values)
}

// median returns the middle value, of an even number the mean of both middle
// ones, and 0 of none. It does not change values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}
