package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const gib = 1 << 30

// allMet are measurements that meet every bar exactly.
func allMet() []measurement {
	var all []measurement
	for _, name := range caseNames() {
		cpu := 1.0
		if name == demoCase {
			cpu = 0.8
		}
		all = append(all,
			measurement{Case: name, Program: sluiceName, SourceBytes: gib, CPU: cpu, Wall: 2, Alone: 1, Peak: 100 << 20, Written: 110 << 20, Runs: 100 << 20},
			measurement{Case: name, Program: lightningName, SourceBytes: gib, CPU: 4, Wall: 4, Alone: 4, Peak: 400 << 20, Written: 900 << 20},
			measurement{Case: name, Program: importIntoName, SourceBytes: gib, CPU: 9, Wall: 9, Peak: 900 << 20},
		)
	}
	return append(all,
		measurement{Case: bigCase, Program: sluiceName, SourceBytes: 10 * gib, Peak: 110 << 20, Written: 1100, Runs: 1000},
		measurement{Case: fitCase, Program: sluiceName, SourceBytes: gib, Written: metadataBytes},
		measurement{Case: oneCoreCase, Program: sluiceName, SourceBytes: gib, Alone: 1.8},
		measurement{Case: twoCoresCase, Program: sluiceName, SourceBytes: gib, Alone: 1},
	)
}

func TestBarsAreMetAtTheirLimits(t *testing.T) {
	t.Parallel()
	bars := barsOf(summarize(allMet()))
	require.Len(t, bars, 14)
	for _, b := range bars {
		require.True(t, b.met(), "%+v", b)
		require.NotEmpty(t, b.Detail)
	}
}

// Each change misses the bars that are about it, and no other.
func TestBarsAreMissedOneByOne(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, caseName string
		change         func(*measurement)
		missed         []string
	}{
		{"CPU a little", demoCase, func(m *measurement) { m.CPU = 0.9 }, []string{"CPU per GiB, demo"}},
		{"CPU", demoCase, func(m *measurement) { m.CPU = 1.1 }, []string{"CPU per GiB, demo", "CPU per GiB, unsorted"}},
		{"CPU wide", "wide", func(m *measurement) { m.CPU = 1.1 }, []string{"CPU per GiB, wide"}},
		{"wall", demoCase, func(m *measurement) { m.Wall = 2.1 }, []string{"wall time end"}},
		{"alone", demoCase, func(m *measurement) { m.Alone = 1.1 }, []string{"wall time until"}},
		{"peak", demoCase, func(m *measurement) { m.Peak = 101 << 20 }, []string{"peak memory, demo"}},
		{"not flat", bigCase, func(m *measurement) { m.Peak = 111 << 20 }, []string{"peak memory with"}},
		{"written twice", bigCase, func(m *measurement) { m.Written = 1200 }, []string{"bytes written, of"}},
		{"spilled", fitCase, func(m *measurement) { m.Runs = 1 }, []string{"bytes written when"}},
		{"written", fitCase, func(m *measurement) { m.Written++ }, []string{"bytes written when"}},
		{"cores", twoCoresCase, func(m *measurement) { m.Alone = 1.1 }, []string{"speed of"}},
		{"absent", oneCoreCase, func(m *measurement) { m.Case = "other" }, []string{"speed of"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			all := allMet()
			for i := range all {
				if all[i].Case == tc.caseName && all[i].Program == sluiceName {
					tc.change(&all[i])
				}
			}
			var missed []string
			for _, b := range barsOf(summarize(all)) {
				if !b.met() {
					missed = append(missed, b.Name)
				}
			}
			require.Len(t, missed, len(tc.missed), "%q", missed)
			for i, prefix := range tc.missed {
				require.True(t, strings.HasPrefix(missed[i], prefix), "%q", missed)
			}
		})
	}
}

func TestNothingMeasuredMeetsNothing(t *testing.T) {
	t.Parallel()
	for _, b := range barsOf(summaries{}) {
		require.False(t, b.met(), b.Name)
	}
	// A peer without figures is nothing to be compared with.
	s := summarize([]measurement{{Case: demoCase, Program: sluiceName, SourceBytes: 1}, {Case: demoCase, Program: lightningName, SourceBytes: 1}})
	for _, b := range barsOf(s) {
		require.False(t, b.Measured, b.Name)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	all := allMet()
	all = append(all, measurement{Case: "sorted", Program: sluiceName, SourceBytes: gib, CPU: 3, Run: 2})
	r := newReport(options{scale: 1, threads: 2, stores: 1}, 120*time.Millisecond, all)
	var text strings.Builder
	require.NoError(t, r.print(&text))
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	require.Equal(t, "bars: 13 met, 1 missed", lines[len(lines)-1])
	require.Regexp(t, `(?m)^ +demo +sluice +1 +1024\.0 +0\.80 +0\.80 +0\.200 +2\.00 +0\.500 +1\.00 +0\.250 +100 +0\.250`, text.String())
	require.Regexp(t, `(?m)^ +demo +import-into\* .* - +- +900 `, text.String())
	require.Regexp(t, `(?m)^missed +CPU per GiB, sorted keys, of tidb-lightning's +at most 0\.25 +0\.500 +2\.00 of 4\.00 s/GiB$`, text.String())

	path := filepath.Join(t.TempDir(), "bench.json")
	require.NoError(t, r.writeJSON(path))
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	var back report
	require.NoError(t, json.Unmarshal(file, &back))
	require.Equal(t, *r, back)
}

func TestReportWithoutPeers(t *testing.T) {
	t.Parallel()
	r := newReport(options{}, 0, []measurement{{Case: demoCase, Program: sluiceName, SourceBytes: gib, CPU: 1}})
	var text strings.Builder
	require.NoError(t, r.print(&text))
	require.Contains(t, text.String(), "not measured")
	require.NotContains(t, text.String(), "NaN")
	require.NoError(t, r.writeJSON(filepath.Join(t.TempDir(), "bench.json")))
}
