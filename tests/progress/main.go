// Command progress watches jobs by SHOW IMPORT JOB while they run and judges afterwards, when their
// real end is known, what they said of it: the percentage must never fall, and from 10 % on the expected end
// must be right within a fifth of the job's time. It writes the plot of docs/progress.md.
//
// The jobs are steady: their Sluice gets a fixed share of a processor, which paces the encoding, and max_write_speed
// paces the ingest. One runs through, one is paused and resumed in the middle, and one loses its Sluice to
// kill -9 and is taken over by another. Jobs before them show the cluster's pace.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// allowed is how far the expected end may be from the real one, as a part of the job's time, from
// judgedFrom percent on.
const (
	allowed    = 0.2
	judgedFrom = 10
)

type options struct {
	rows  int
	share float64
	speed string
	svg   string
	all   bool
}

func main() {
	var o options
	flag.IntVar(&o.rows, "rows", 200_000, "rows of the watched jobs")
	flag.Float64Var(&o.share, "share", 0.05, "part of a processor that Sluice gets")
	flag.StringVar(&o.speed, "speed", "600KiB", "max_write_speed")
	flag.StringVar(&o.svg, "svg", "", "file for the plot")
	flag.BoolVar(&o.all, "samples", false, "print every sample")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for i := range warmUps {
		if err := b.warmUp(ctx, i); err != nil {
			return err
		}
	}
	var runs []*watched
	var failed []error
	for _, s := range scenarios {
		w, err := b.watch(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if o.all {
			w.print()
		}
		line, err := w.judge()
		fmt.Println(line)
		failed = append(failed, err)
		runs = append(runs, w)
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, plot(runs), 0o644); err != nil { //nolint:gosec // a picture for the documentation
			return err
		}
	}
	return errors.Join(failed...)
}

// bench is a cluster with two Sluices, both held back.
type bench struct {
	opts     options
	cluster  *playground.Cluster
	dir      string
	sluices  [2]*instance.Instance
	released [2]func()
	killed   bool // the first one
}

func newBench(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{opts: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "sluice-progress-"); err != nil {
		return nil, err
	}
	if b.cluster, err = playground.Start(ctx, playground.Options{Stores: 1}); err != nil {
		return nil, err
	}
	for i := range b.sluices {
		if b.sluices[i], err = instance.Start(ctx, instance.Options{
			TiDB: b.cluster.TiDB, Import: "threads = 2\nmemory-budget = \"512MiB\"\ncheckpoint-interval = \"5s\"",
		}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) close() (err error) {
	for _, release := range b.released {
		if release != nil {
			release()
		}
	}
	for i, s := range b.sluices {
		switch {
		case s == nil:
		case b.killed && i == 0:
			err = errors.Join(err, os.RemoveAll(s.Dir))
		default:
			err = errors.Join(err, s.Close())
		}
	}
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Close())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// hold holds both Sluices back.
func (b *bench) hold() {
	for i, s := range b.sluices {
		if b.released[i] == nil {
			b.released[i] = s.Throttle(b.opts.share)
		}
	}
}

// The table and how it is filled: much work for each row, so that the processor paces the encoding, and few bytes, so
// that the embedded cluster, whose pace depends on what else the machine does, has little to do.
const (
	schema = "CREATE TABLE watched (id BIGINT PRIMARY KEY, digest VARCHAR(40), note VARCHAR(40), KEY (digest))"
	fill   = "IMPORT INTO watched (id, note, @pad) SET digest = MD5(REPEAT(@pad, 9)) FROM '%s' WITH thread=2"
)

// source writes a file of so many rows and returns its path.
func (b *bench) source(rows int) (path string, err error) {
	path = filepath.Join(b.dir, fmt.Sprintf("watched.%d.csv", rows))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	pad := strings.Repeat("pads the row ", 37)
	for i := range rows {
		if _, err := fmt.Fprintf(w, "%d,note of row %d,%s\n", i+1, i+1, pad); err != nil {
			return "", err
		}
	}
	return path, w.Flush()
}
