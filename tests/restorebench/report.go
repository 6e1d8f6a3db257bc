package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// measurement is one restore by one program. Times are in seconds, sizes in bytes; see the package doc for what each covers.
type measurement struct {
	Case    string `json:"case"`
	Source  string `json:"source"`
	Program string `json:"program"`
	Run     int    `json:"run"`
	Tables  int    `json:"tables"`
	Rows    int    `json:"rows"`
	// Bytes is the size of the dump's files with rows, or of the archive's pairs before they are compressed.
	Bytes      int64   `json:"bytes"`
	Wall       float64 `json:"wall_s"`
	CPU        float64 `json:"cpu_s"`
	ClusterCPU float64 `json:"cluster_cpu_s"`
	Peak       int64   `json:"peak_bytes"`
	// WallPerTable is in milliseconds, Speed in MB (of 1,000,000 bytes) of Bytes for each second of Wall.
	WallPerTable float64 `json:"wall_per_table_ms"`
	Speed        float64 `json:"mb_per_s"`
}

// ratio is what a program has taken, as a part of what another one has.
type ratio struct {
	Case       string  `json:"case"`
	Source     string  `json:"source"`
	Program    string  `json:"program"`
	To         string  `json:"to"`
	Run        int     `json:"run"`
	Wall       float64 `json:"wall"`
	CPU        float64 `json:"cpu"`
	ClusterCPU float64 `json:"cluster_cpu"`
	Peak       float64 `json:"peak"`
}

// report is what a run found, as the JSON file has it.
type report struct {
	Time         time.Time     `json:"time"`
	GoVersion    string        `json:"go_version"`
	CPUs         int           `json:"cpus"`
	Stores       int           `json:"stores"`
	Measurements []measurement `json:"measurements"`
	Ratios       []ratio       `json:"ratios"`
}

func newReport(o options) *report {
	return &report{Time: time.Now().UTC(), GoVersion: runtime.Version(), CPUs: runtime.NumCPU(), Stores: o.stores}
}

// add notes and prints a measurement.
func (r *report) add(w io.Writer, m measurement) error {
	m.WallPerTable, m.Speed = m.Wall*1000/float64(m.Tables), float64(m.Bytes)/1e6/m.Wall
	r.Measurements = append(r.Measurements, m)
	_, err := fmt.Fprintf(w, "%-6s %-12s run %d  %-15s wall %8.2f s (%.2f ms a table, %.1f MB/s)  CPU %7.2f s  cluster's CPU %7.2f s  peak %d MiB\n",
		m.Case, m.Source, m.Run, m.Program, m.Wall, m.WallPerTable, m.Speed, m.CPU, m.ClusterCPU, m.Peak>>20)
	return err
}

// compare notes and prints what a has taken as a part of b.
func (r *report) compare(w io.Writer, a, b measurement) error {
	x := ratio{
		Case: a.Case, Source: a.Source, Program: a.Program, To: b.Program, Run: a.Run,
		Wall: a.Wall / b.Wall, CPU: a.CPU / b.CPU, ClusterCPU: a.ClusterCPU / b.ClusterCPU, Peak: float64(a.Peak) / float64(b.Peak),
	}
	r.Ratios = append(r.Ratios, x)
	_, err := fmt.Fprintf(w, "%-6s %-12s run %d  %s / %s: wall %.2f  CPU %.2f  cluster's CPU %.2f  peak %.2f\n",
		x.Case, x.Source, x.Run, x.Program, x.To, x.Wall, x.CPU, x.ClusterCPU, x.Peak)
	return err
}

func (r *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
