// Command bench measures what an import costs: Sluice, tidb-lightning (local
// backend) and TiDB's own IMPORT INTO run the same cases in turn, and the bars
// that Sluice has set itself are held against the ratios.
//
// # How it measures
//
// Every measurement has an embedded cluster of its own, just started and
// empty, and a table whose DDL is the first of the cluster, so that the table's
// ID, and with it the checksum, is the same for all. The programs of a case run
// one after the other, then the case is repeated (-runs) and the median of each
// figure is taken.
//
// The work is the same for all: a CSV file on local disk, 2 threads, checksum
// required, statistics of the table collected. Sluice and tidb-lightning run
// ANALYZE themselves; after IMPORT INTO, which doesn't, bench does, within the
// measured time. TiDB's automatic ANALYZE is off. After each run the number of
// rows and ADMIN CHECKSUM must be those of every other run of the case, or
// bench fails: a fast wrong import can't win.
//
// # What the figures are
//
// CPU: user and system time. Sluice: of its process, which lives on, from just
// before the statement until its answer (/proc/PID/stat). tidb-lightning: of
// the whole process (wait4), less what "tidb-lightning -V" takes, so that no
// program pays for its start. Sluice's job tables, made once in the life of a
// cluster, are there before the statement. IMPORT INTO works inside TiDB, which shares the
// playground's process with PD and the stores, so only the CPU of that process
// can be told. It is told for every program as cluster CPU; the surplus over
// tidb-lightning's cluster CPU is about what IMPORT INTO itself takes.
//
// Wall: from sending the statement, or starting tidb-lightning, to its end.
// Alone: the part of it until the pairs are ready to be sent: Sluice's step
// encode (reading, encoding, sorting), tidb-lightning's "encode kv data and
// write" and the closing of its engines; both by the program's own log.
//
// Peak: the largest resident size (VmHWM, ru_maxrss) of a process that ran
// nothing else. For IMPORT INTO it is the playground's, stores included.
//
// Written: bytes that the process caused to be written to disk
// (/proc/PID/io, ru_oublock) less its log: the sort directory. For IMPORT INTO
// it is the playground's, stores included. A tmpfs is not counted by the
// kernel, so -dir must be on a disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type options struct {
	runs      int
	scale     float64
	threads   int
	stores    int
	cases     string
	programs  string
	memory    string // Sluice's import.memory-budget
	fitMemory string
	big       bool
	extras    bool
	dir       string
	json      string
	profile   int // seconds; 0 is none
	growth    bool
	base      string // sluice binary of another revision
}

func parseFlags(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 3, "measurements of each case and program; the median counts")
	flags.Float64Var(&o.scale, "scale", 1, "size of the files; 1 is about 137 MiB each")
	flags.IntVar(&o.threads, "threads", 2, "threads of each program")
	flags.IntVar(&o.stores, "stores", 1, "TiKV stores of the embedded cluster (1 to 3)")
	flags.StringVar(&o.cases, "cases", "", "comma-separated cases; empty means all: "+strings.Join(caseNames(), ","))
	flags.StringVar(&o.programs, "programs", "", "comma-separated programs; empty means all: "+strings.Join(programNames(), ","))
	flags.StringVar(&o.memory, "memory-budget", "", "Sluice's import.memory-budget, such as 256MiB; empty means its default")
	flags.StringVar(&o.fitMemory, "fit-memory-budget", "2GiB", "a memory budget that the pairs of the demo table fit")
	flags.BoolVar(&o.big, "big", false, "measure the peak memory with ten times the data too")
	flags.BoolVar(&o.extras, "extras", true, "measure 1 against 2 cores and a memory budget that fits too")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where files and sorting go; on a disk, several GiB")
	flags.StringVar(&o.json, "json", "", "file for all figures as JSON")
	flags.IntVar(&o.profile, "profile", 0,
		"instead of comparing: profile Sluice for as many seconds, which its import must not outlast, and print the CPU time of each stage beside the machine's limits")
	flags.BoolVar(&o.growth, "growth", false,
		"instead of comparing: Sluice's own part for 0.1, 1 and 10 GiB of the first case (30 GiB of disk), times -scale")
	flags.StringVar(&o.base, "base", "", "sluice binary of another revision: measure only both, in turn, and print the ratios")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.base != "" {
		o.programs, o.extras, o.big = sluiceName+","+baseName, false, false
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.runs < 1 || o.scale <= 0 || o.threads < 1 {
		return o, errors.New("-runs, -scale and -threads must be above zero")
	}
	return o, nil
}

func main() {
	o, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures everything, prints the report and writes the JSON. Bars that
// are missed are a result, not an error.
func run(ctx context.Context, o options) error {
	cases, err := pickCases(o.cases)
	if err != nil {
		return err
	}
	programs, err := pickPrograms(o.programs)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.cleanUp()
	if o.growth {
		return b.runGrowth(ctx, cases[0])
	}
	if o.profile > 0 {
		return b.runStages(ctx, cases[0])
	}
	if slices.ContainsFunc(programs, func(p program) bool { return p.name == lightningName }) {
		if err := b.prepareLightning(ctx); err != nil {
			return err
		}
	}
	if err := b.measureCases(ctx, cases, programs); err != nil {
		return err
	}
	if err := b.measureExtras(ctx, cases, programs); err != nil {
		return err
	}
	r := newReport(o, b.startOfLightning, b.measurements)
	if o.json != "" {
		if err := r.writeJSON(o.json); err != nil {
			return err
		}
	}
	return r.print(os.Stdout)
}
