package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
)

// growthSizes are what the model of docs/performance.md is checked with, in GiB of CSV.
var growthSizes = []float64{0.1, 1, 10}

// growth is what Sluice had used when the pairs of a file were ready to be sent.
type growth struct {
	rows       int
	source     int64
	wall, cpu  float64
	peak, runs int64
	count      int
}

// runGrowth imports files of growing size up to the point where the pairs are
// sorted and the first would be sent; then it cancels the job. So the cluster,
// whose stores keep everything in memory, need not hold them.
func (b *bench) runGrowth(ctx context.Context, table dataset.Table) error {
	probe, err := writeInput(b.workDir, table, 0.01)
	if err != nil {
		return err
	}
	perRow := float64(probe.bytes) / float64(probe.rows)
	if err := probe.remove(); err != nil {
		return err
	}
	var all []growth
	for _, size := range growthSizes {
		scale := size * (1 << 30) * b.o.scale / perRow / float64(table.Rows)
		err := b.withInput(table, scale, func(in input) error {
			g, err := b.grow(ctx, in)
			all = append(all, g)
			return err
		})
		if err != nil {
			return err
		}
	}
	return printGrowth(os.Stdout, all)
}

func (b *bench) grow(ctx context.Context, in input) (_ growth, err error) {
	env := &environment{in: in, threads: b.o.threads}
	if err := env.startCluster(ctx, b.o.stores); err != nil {
		return growth{}, err
	}
	defer func() { err = errors.Join(err, env.db.Close(), env.cluster.Close()) }()
	opts := instance.Options{TiDB: env.cluster.TiDB}
	if b.o.memory != "" {
		opts.Import = fmt.Sprintf("memory-budget = %q", b.o.memory)
	}
	sluice, err := instance.Start(ctx, opts)
	if err != nil {
		return growth{}, err
	}
	defer func() { err = errors.Join(err, sluice.Close()) }()
	db, err := sluice.Open("root", "", schemaName)
	if err != nil {
		return growth{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "SHOW IMPORT JOBS"); err != nil {
		return growth{}, err
	}
	before, err := env.use(sluice.PID())
	if err != nil {
		return growth{}, err
	}
	jobCtx, stopJob := context.WithCancel(ctx)
	defer stopJob()
	ended := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(jobCtx, fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=%d", tableName, in.path, env.threads))
		ended <- err
	}()
	if err := waitForLine(ctx, sluice.LogFile(), `"step": "ingest"`, ended); err != nil {
		return growth{}, fmt.Errorf("%w\n%s", err, sluice.LogTail(20))
	}
	after, err := env.use(sluice.PID())
	if err != nil {
		return growth{}, err
	}
	m := after.measurement(before)
	g := growth{rows: in.rows, source: in.bytes, wall: m.Wall, cpu: m.CPU}
	if g.peak, err = peakMemory(sluice.PID()); err != nil {
		return g, err
	}
	if g.runs, g.count, err = runsInLog(sluice.LogFile()); err != nil {
		return g, err
	}
	stopJob() // the client leaves, so Sluice cancels the job
	<-ended
	fmt.Fprintf(os.Stderr, "   CPU %.2f s, wall %.2f s, peak %.0f MiB, %d runs of %.1f MiB\n", g.cpu, g.wall, mib(g.peak), g.count, mib(g.runs))
	return g, nil
}

// waitForLine returns when a line of a growing file holds text. It fails when
// ended tells that what writes it is over.
func waitForLine(ctx context.Context, path, text string, ended <-chan error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for line := ""; ; {
		part, err := r.ReadString('\n')
		line += part
		switch {
		case err == nil && strings.Contains(line, text):
			return nil
		case err == nil:
			line = ""
			continue
		case !errors.Is(err, io.EOF):
			return err
		}
		select {
		case <-tick.C:
		case err := <-ended:
			return fmt.Errorf("the import ended before its log had %s: %w", text, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// runsInLog counts the sorted runs in Sluice's log and adds up their sizes.
func runsInLog(path string) (bytes int64, count int, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		if size, ok, err := runSize(line); err != nil {
			return 0, 0, err
		} else if ok {
			bytes += size
			count++
		}
	}
	return bytes, count, nil
}

func printGrowth(w io.Writer, all []growth) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "GiB\trows\tCPU s\tCPU s/GiB\twall s\tGiB/h\tpeak MiB\truns\tMiB of runs\tof the source\t")
	for _, g := range all {
		gib := float64(g.source) / (1 << 30)
		_, _ = fmt.Fprintf(t, "%.2f\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%d\t%.1f\t%.2f\t\n", gib, g.rows, g.cpu, g.cpu/gib,
			g.wall, gib/g.wall*3600, mib(g.peak), g.count, mib(g.runs), float64(g.runs)/float64(g.source))
	}
	return t.Flush()
}
