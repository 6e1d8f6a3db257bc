// Command restorebench restores a database of many small tables, or of one large table, by Sluice and by its peers, and prints what each has taken:
//
//	dump     Dumpling's files: Sluice's RESTORE DATABASE ... FROM, and tidb-lightning
//	archive  an archive of BR: Sluice's RESTORE DATABASE ... FROM, and br restore
//
// Every run has an embedded cluster of its own, just started and empty. All programs create the tables, compare
// checksums and collect statistics (br brings those of the archive). After each run ADMIN CHECKSUM must find the pairs that the
// source has, or restorebench fails: a fast wrong restore can't win.
//
// Wall is from sending the statement, or starting the program, to its end. CPU is that of Sluice's process or of the peer's,
// and not of the cluster's, which does a part of the work for each. -profile shows where Sluice's and TiDB's time went. Peak is the largest resident size of that process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sluicedb/sluice/tests/peers"
)

type options struct {
	tables, rows int
	runs, stores int
	sources      string
	dir          string
	profile      string
}

func parseFlags(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("restorebench", flag.ContinueOnError)
	flags.IntVar(&o.tables, "tables", 10_000, "tables")
	flags.IntVar(&o.rows, "rows", 10, "rows of each table, about 220 bytes each")
	flags.IntVar(&o.runs, "runs", 1, "runs of each program")
	flags.IntVar(&o.stores, "stores", 1, "TiKV stores of the embedded cluster (1 to 3)")
	flags.StringVar(&o.sources, "sources", "dump,archive", "what is restored")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where files go")
	flags.StringVar(&o.profile, "profile", "", "where Sluice's CPU profile and log and TiDB's summary of statements go; none are taken without")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.tables < 1 || o.rows < 1 || o.runs < 1 {
		return o, errors.New("-tables, -rows and -runs must be above zero, and nothing follows them")
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
		fmt.Fprintln(os.Stderr, "restorebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o}
	if b.workDir, err = os.MkdirTemp(o.dir, "sluice-restorebench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.workDir)) }()
	if err := b.writeDump(); err != nil {
		return err
	}
	for source := range strings.SplitSeq(o.sources, ",") {
		programs := map[string][2]program{
			"dump":    {{"sluice", b.sluiceFromDump}, {"tidb-lightning", b.lightning}},
			"archive": {{"sluice", b.sluiceFromArchive}, {"br", b.br}},
		}[source]
		if programs[0].run == nil {
			return fmt.Errorf("no source %q; there are dump and archive", source)
		}
		if source == "archive" && b.archive == "" {
			if _, err := b.measure(ctx, program{"sluice", b.sluiceFromDump}); err != nil { // which backs up
				return err
			}
		}
		if err := b.sideBySide(ctx, source, programs); err != nil {
			return err
		}
	}
	return nil
}

// program restores into a cluster once.
type program struct {
	name string
	run  func(ctx context.Context, on target) (peers.Usage, error)
}

// sideBySide runs both programs in turn and prints their figures and the ratios of the first run's.
func (b *bench) sideBySide(ctx context.Context, source string, programs [2]program) error {
	for n := range b.runs {
		var took [2]peers.Usage
		for i, p := range programs {
			used, err := b.measure(ctx, p)
			if err != nil {
				return fmt.Errorf("%s from a %s: %w", p.name, source, err)
			}
			took[i] = used
			fmt.Printf("%-8s run %d  %-15s wall %v (%v a table)  CPU %v  peak %d MiB\n", source, n+1, p.name, used.Wall.Round(time.Millisecond),
				(used.Wall / time.Duration(b.tables)).Round(time.Microsecond), used.CPU.Round(time.Millisecond), used.MaxRSS>>20)
		}
		fmt.Printf("%-8s run %d  %s / %s: wall %.2f  CPU %.2f  peak %.2f\n", source, n+1, programs[0].name, programs[1].name,
			took[0].Wall.Seconds()/took[1].Wall.Seconds(), took[0].CPU.Seconds()/took[1].CPU.Seconds(), float64(took[0].MaxRSS)/float64(took[1].MaxRSS))
	}
	return nil
}
