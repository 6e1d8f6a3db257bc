package main

import "fmt"

// metadataBytes is what a process may cause to be written without a byte in
// the sort directory: pages of its log, directory entries.
const metadataBytes = 256 << 10

// bar is one of the goals with what was measured.
type bar struct {
	Name string `json:"name"`
	// Limit is the largest Value that meets the bar, or the smallest with AtLeast.
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least,omitempty"`
	// Value is valid when Measured.
	Value    float64 `json:"value"`
	Measured bool    `json:"measured"`
	// Detail shows the figures behind Value.
	Detail string `json:"detail"`
}

// met reports whether the bar was measured and is met.
func (b bar) met() bool {
	if !b.Measured {
		return false
	}
	if b.AtLeast {
		return b.Value >= b.Limit
	}
	return b.Value <= b.Limit
}

// barsOf holds the bars of part 2 against the medians. A bar whose cases were
// not run is there too, not measured and so not met.
func barsOf(s summaries) []bar {
	bars := []bar{
		s.ratio("CPU per GiB, demo table", demoCase, 1.0/5, "s/GiB", measurement.cpuPerGiB),
		s.ratio("CPU per GiB, unsorted keys (the demo table)", demoCase, 1.0/4, "s/GiB", measurement.cpuPerGiB),
	}
	for _, c := range []struct{ name, about string }{
		{"sorted", "sorted keys"}, {"narrow", "narrow table, no secondary index"}, {"wide", "wide table, 60 columns"},
		{"index8", "8 indexes"}, {"long", "long strings"},
	} {
		bars = append(bars, s.ratio("CPU per GiB, "+c.about, c.name, 1.0/4, "s/GiB", measurement.cpuPerGiB))
	}
	return append(bars,
		s.ratio("wall time end to end, demo table", demoCase, 1.0/2, "s", func(m measurement) float64 { return m.Wall }),
		s.ratio("wall time until the pairs can be sent, demo table", demoCase, 1.0/4, "s", func(m measurement) float64 { return m.Alone }),
		s.ratio("peak memory, demo table", demoCase, 1.0/4, "MiB", func(m measurement) float64 { return mib(m.Peak) }),
		s.flat(), s.writtenOnce(), s.nothingWritten(), s.twoCores())
}

// ratio compares a figure of Sluice with tidb-lightning's.
func (s summaries) ratio(name, caseName string, limit float64, unit string, figure func(measurement) float64) bar {
	b := bar{Name: name + ", of tidb-lightning's", Limit: limit}
	ours, ok := s[key{caseName, sluiceName}]
	theirs, okToo := s[key{caseName, lightningName}]
	if ok && okToo {
		b.set(figure(ours), figure(theirs), unit)
	}
	return b
}

// set makes the quotient the bar's value, if there is one.
func (b *bar) set(value, of float64, unit string) {
	if of <= 0 {
		return // nothing to divide by: not measured
	}
	b.Value, b.Measured = value/of, true
	b.Detail = fmt.Sprintf("%.2f of %.2f %s", value, of, unit)
}

func (s summaries) flat() bar {
	b := bar{Name: fmt.Sprintf("peak memory with %d times the data, of that without", bigFactor), Limit: 1.1}
	big, ok := s[key{bigCase, sluiceName}]
	usual, okToo := s[key{demoCase, sluiceName}]
	if ok && okToo {
		b.set(mib(big.Peak), mib(usual.Peak), "MiB")
	}
	return b
}

// writtenOnce looks at the largest case that did spill.
func (s summaries) writtenOnce() bar {
	b := bar{Name: "bytes written, of the sorted pairs after compression", Limit: 1.1}
	for _, name := range []string{bigCase, demoCase} {
		m, ok := s[key{name, sluiceName}]
		if ok && m.Runs > 0 {
			b.set(mib(m.Written), mib(m.Runs), "MiB")
			b.Detail += fmt.Sprintf(" (%s; %.0f MiB of pairs before)", name, mib(int64(m.PairBytes)))
			return b
		}
	}
	return b
}

func (s summaries) nothingWritten() bar {
	b := bar{Name: "bytes written when the pairs fit the memory budget"}
	m, ok := s[key{fitCase, sluiceName}]
	if !ok {
		return b
	}
	b.Measured, b.Value = true, float64(m.Runs)
	if m.Written > metadataBytes {
		b.Value = max(b.Value, float64(m.Written))
	}
	b.Detail = fmt.Sprintf("%d bytes of runs, %d by the process (up to %d count as metadata and log)", m.Runs, m.Written, metadataBytes)
	return b
}

func (s summaries) twoCores() bar {
	b := bar{Name: "speed of encode and sort with 2 cores, of that with 1", Limit: 1.8, AtLeast: true}
	one, ok := s[key{oneCoreCase, sluiceName}]
	two, okToo := s[key{twoCoresCase, sluiceName}]
	if ok && okToo {
		b.set(one.Alone, two.Alone, "s")
	}
	return b
}
