package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/pprof/profile"

	"github.com/sluicedb/sluice/tests/dataset"
)

// stage is a part of an import that a sample of the CPU profile belongs to.
type stage struct {
	name  string
	about string
	// frames are parts of function names; the stage with one in the innermost
	// matching frame gets the sample.
	frames []string
	// whole stages get all samples below their frames, those of other stages too.
	whole bool
	// limit is what the stage could not do without, on this machine.
	limit func(l limits, m measurement) time.Duration
	bound string // what limit is
}

const core = "sluice/importcore"

// stages in the order in which a pair goes through them.
func stages() []stage {
	pairs := func(m measurement) int64 { return int64(m.PairBytes) }
	return []stage{
		{"read and split", "reading the file, finding row borders", []string{core + "/format/csv.(*splitter)", core + "/source."}, false,
			func(l limits, m measurement) time.Duration { return l.read(m.SourceBytes) }, "read(2) of the file"},
		{"fields", "fields as byte ranges", []string{core + "/format/csv.(*reader)"}, false,
			func(l limits, m measurement) time.Duration { return l.copy(m.SourceBytes) }, "copy of the file"},
		{"encode", "values, keys, rows", []string{core + "/encode."}, false,
			func(l limits, m measurement) time.Duration { return l.copy(pairs(m)) }, "copy of the pairs"},
		{"checksum", "CRC-64 of every pair", []string{core + "/kv.(*Checksum)", core + "/kv.(*overlay)", core + "/kv.update"}, false,
			func(l limits, m measurement) time.Duration { return l.crc(pairs(m)) }, "hash/crc64 over the pairs"},
		{"sort", "sorting references, rewriting into pages", []string{core + "/sortkv.sort", core + "/sortkv.newChunk"}, false,
			func(l limits, m measurement) time.Duration { return l.copy(2 * pairs(m)) }, "2 copies of the pairs"},
		{"spill", "merging chunks, writing runs", []string{core + "/sortkv.(*Sorter).spill"}, true,
			func(l limits, m measurement) time.Duration { return l.write(m.Runs) }, "write(2) of the runs"},
		{"find duplicates", "merging the keys of all runs", []string{core + "/sortkv.(*Sorted).mergeKeys"}, true,
			func(l limits, m measurement) time.Duration { return l.read(m.Runs / 2) }, "read(2) of half of the runs"},
		{"merge", "reading runs, merging pairs", []string{core + "/sortkv.(*Iterator)"}, false,
			func(l limits, m measurement) time.Duration { return l.read(m.Runs) }, "read(2) of the runs"},
		{"send", "messages, gRPC, sockets", []string{core + "/ingest.", "google.golang.org/grpc", "golang.org/x/net/http2"}, false,
			func(l limits, m measurement) time.Duration { return l.send(pairs(m)) }, "the pairs over gRPC loopback, sender's side"},
		{"garbage collector", "", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.gcAssistAlloc", "runtime.bgscavenge"}, false, nil, ""},
	}
}

// otherStage gets what no stage claims: the scheduler, job rows, SQL.
const otherStage = "other"

// stageOf returns the stage of a sample: a whole one that it is below of, or
// that of its innermost frame that any stage names.
func stageOf(all []stage, s *profile.Sample) string {
	for _, whole := range []bool{true, false} {
		for _, location := range s.Location {
			for _, line := range location.Line {
				for _, st := range all {
					if st.whole == whole && slices.ContainsFunc(st.frames, func(frame string) bool {
						return strings.Contains(line.Function.Name, frame)
					}) {
						return st.name
					}
				}
			}
		}
	}
	return otherStage
}

// profiled is the CPU of each stage over some imports, with what they were.
type profiled struct {
	cpu    map[string]time.Duration // of all imports together
	medium measurement              // medians
	runs   int
}

// profileStages imports a table with Sluice as often as -runs says while the
// profiler of its status port runs.
func (b *bench) profileStages(ctx context.Context, table dataset.Table) (p profiled, err error) {
	p = profiled{cpu: map[string]time.Duration{}, runs: b.o.runs}
	all := stages()
	program := program{sluiceName, func(ctx context.Context, _ *bench, env *environment) (measurement, error) {
		return runBinary(ctx, "", env, func(status string) func() error {
			wait := fetchProfile(ctx, status, b.o.profile)
			return func() error { return p.add(all, wait) }
		})
	}}
	err = b.withInput(table, b.o.scale, func(in input) error {
		for n := range b.o.runs {
			if _, err := b.measure(ctx, table.Name, n+1, in, program, b.o.threads, sluiceSetup{memory: b.o.memory}); err != nil {
				return err
			}
		}
		return nil
	})
	p.medium = summarize(b.measurements)[key{table.Name, sluiceName}]
	return p, err
}

// add sorts the samples of a profile into the stages.
func (p profiled) add(all []stage, wait func() (*profile.Profile, error)) error {
	taken, err := wait()
	if err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	last := len(taken.SampleType) - 1 // cpu in nanoseconds, behind the number of samples
	for _, sample := range taken.Sample {
		p.cpu[stageOf(all, sample)] += time.Duration(sample.Value[last])
	}
	return nil
}

// runStages measures the limits of the machine, then the stages of the first case.
func (b *bench) runStages(ctx context.Context, table dataset.Table) error {
	l, err := measureLimits(ctx, b.workDir)
	if err != nil {
		return err
	}
	p, err := b.profileStages(ctx, table)
	if err != nil {
		return err
	}
	return printStages(os.Stdout, p, l)
}

// fetchProfile starts the profiler behind a status address. The returned
// function ends it by waiting for it.
func fetchProfile(ctx context.Context, status string, seconds int) (wait func() (*profile.Profile, error)) {
	type answer struct {
		p   *profile.Profile
		err error
	}
	done := make(chan answer, 1)
	go func() {
		p, err := getProfile(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", status, seconds))
		done <- answer{p, err}
	}()
	return func() (*profile.Profile, error) {
		a := <-done
		return a.p, a.err
	}
}

func getProfile(ctx context.Context, url string) (_ *profile.Profile, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return nil, fmt.Errorf("%s: %s: %s", url, response.Status, text)
	}
	return profile.Parse(response.Body)
}

// printStages writes the table: CPU of each stage for one import, its share,
// and how far from the limit it is.
func printStages(w io.Writer, p profiled, l limits) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "stage\tCPU s\tshare\tns/row\tlimit s\tx\tthe limit is\n")
	var total time.Duration
	for _, cpu := range p.cpu {
		total += cpu
	}
	row := func(name string, limit time.Duration, bound string) {
		one := p.cpu[name] / time.Duration(p.runs)
		factor, floor := "", ""
		if limit > 0 {
			factor, floor = fmt.Sprintf("%.1f", one.Seconds()/limit.Seconds()), fmt.Sprintf("%.3f", limit.Seconds())
		}
		_, _ = fmt.Fprintf(t, "%s\t%.3f\t%.0f %%\t%.0f\t%s\t%s\t%s\n", name, one.Seconds(), 100*p.cpu[name].Seconds()/total.Seconds(),
			float64(one.Nanoseconds())/float64(p.medium.Rows), floor, factor, bound)
	}
	for _, st := range stages() {
		var limit time.Duration
		if st.limit != nil {
			limit = st.limit(l, p.medium)
		}
		row(st.name, limit, st.bound)
	}
	row(otherStage, 0, "")
	_, _ = fmt.Fprintf(t, "sum\t%.3f\t\t%.0f\t\t\tof %.2f s by the kernel's count\n", total.Seconds()/float64(p.runs),
		float64(total.Nanoseconds())/float64(p.runs)/float64(p.medium.Rows), p.medium.CPU)
	_, _ = fmt.Fprintf(t, "\nlimits: copy %.1f GB/s, hash/crc64 %.1f GB/s, read(2) %.1f GB/s, write(2) %.1f GB/s, gRPC loopback %.2f GB/s of CPU time\n",
		l.copyRate/1e9, l.crcRate/1e9, l.readRate/1e9, l.writeRate/1e9, l.sendRate/1e9)
	return t.Flush()
}
