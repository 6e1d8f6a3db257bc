package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a run found, as the JSON file has it.
type report struct {
	Time      time.Time `json:"time"`
	GoVersion string    `json:"go_version"`
	CPUs      int       `json:"cpus"`
	Scale     float64   `json:"scale"`
	Threads   int       `json:"threads"`
	Stores    int       `json:"stores"`
	// Base is what the ratios are taken of.
	Base string `json:"base"`
	// MemoryBudget is Sluice's, empty for its default.
	MemoryBudget string `json:"memory_budget,omitempty"`
	// LightningStart is the CPU that "tidb-lightning -V" takes, in seconds.
	LightningStart float64       `json:"lightning_start_cpu_s"`
	Measurements   []measurement `json:"measurements"`
	Medians        []measurement `json:"medians"`
	Bars           []bar         `json:"bars"`
	Met            int           `json:"met"`
	Missed         int           `json:"missed"`
}

func newReport(o options, lightningStart time.Duration, all []measurement) *report {
	r := &report{
		Time: time.Now().UTC(), GoVersion: runtime.Version(), CPUs: runtime.NumCPU(),
		Scale: o.scale, Threads: o.threads, Stores: o.stores, MemoryBudget: o.memory, Base: lightningName,
		LightningStart: lightningStart.Seconds(), Measurements: all,
	}
	s := summarize(all)
	seen := map[key]bool{}
	for _, m := range all {
		if k := (key{m.Case, m.Program}); !seen[k] {
			seen[k] = true
			r.Medians = append(r.Medians, s[k])
		}
	}
	if o.base != "" {
		r.Base = baseName
		return r // two revisions: there are no bars
	}
	r.Bars = barsOf(s)
	for _, b := range r.Bars {
		if b.met() {
			r.Met++
		} else {
			r.Missed++
		}
	}
	return r
}

func (r *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// print writes the table, the bars and, as the last line, their count.
func (r *report) print(w io.Writer) error {
	var sb strings.Builder
	fmt.Fprintf(&sb, "\n%d CPUs, %s, scale %g, %d threads, %d store(s); medians; x is the ratio to %s\n\n",
		r.CPUs, r.GoVersion, r.Scale, r.Threads, r.Stores, r.Base)
	r.table(&sb)
	if r.Base == baseName {
		_, err := io.WriteString(w, sb.String())
		return err
	}
	sb.WriteString("\n* the cluster's whole process: TiDB, PD and the stores\n")
	fmt.Fprintf(&sb, "  CPU of tidb-lightning without its start (%.2f s), that of Sluice from the statement to its answer\n\n", r.LightningStart)
	r.bars(&sb)
	fmt.Fprintf(&sb, "bars: %d met, %d missed\n", r.Met, r.Missed)
	_, err := io.WriteString(w, sb.String())
	return err
}

func (r *report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "case\tprogram\truns\tMiB\tCPU s\tCPU s/GiB\tx\twall s\tx\talone s\tx\tpeak MiB\tx\twritten MiB\tx\tcluster CPU s\t")
	peers := map[string]measurement{}
	for _, m := range r.Medians {
		if m.Program == r.Base {
			peers[m.Case] = m
		}
	}
	for _, m := range r.Medians {
		p := peers[m.Case]
		mark := ""
		if m.Program == importIntoName {
			mark = "*"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s%s\t%d\t%.1f\t%.2f\t%.2f\t%s\t%.2f\t%s\t%s\t%s\t%.0f\t%s\t%.1f\t%s\t%.2f\t\n",
			m.Case, m.Program, mark, m.Run, mib(m.SourceBytes), m.CPU, m.cpuPerGiB(), times(m.cpuPerGiB(), p.cpuPerGiB()),
			m.Wall, times(m.Wall, p.Wall), known(m.Alone), times(m.Alone, p.Alone),
			mib(m.Peak), times(float64(m.Peak), float64(p.Peak)),
			mib(m.Written), times(float64(m.Written), float64(p.Written)), m.ClusterCPU)
	}
	_ = t.Flush() // a strings.Builder takes everything
}

// times shows a ratio, or nothing where there is none to show.
func times(value, of float64) string {
	if value <= 0 || !(of > 0) {
		return "-"
	}
	return fmt.Sprintf("%.3f", value/of)
}

func known(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", seconds)
}

func (r *report) bars(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, b := range r.Bars {
		verdict, relation, value := "missed", "at most", "not measured"
		if b.met() {
			verdict = "met"
		}
		if b.AtLeast {
			relation = "at least"
		}
		if b.Measured {
			value = fmt.Sprintf("%.3f", b.Value)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s %.3g\t%s\t%s\n", verdict, b.Name, relation, b.Limit, value, b.Detail)
	}
	_ = t.Flush()
}
