// Command restorebench restores a database by Sluice and by its peers, and prints what each has taken. There are two cases:
//
//	many   many small tables: the time for each counts
//	large  one large table: MB/s count
//
// and four sources of each:
//
//	dump          Dumpling's files, by Sluice's RESTORE DATABASE ... FROM and by tidb-lightning: both compare checksums and collect statistics
//	bare-dump     the same files without both (CHECKSUM = OFF ANALYZE = OFF); tidb-lightning goes without its prechecks and checkpoints too, and
//	              takes more tables at a time, see Bare of peers.Lightning
//	archive       an archive of BR with statistics, by RESTORE and by br restore: both compare checksums and bring the statistics in
//	bare-archive  the archive without its statistics (LOAD_STATS = FALSE ANALYZE = OFF, --load-stats=false)
//
// Every run has an embedded cluster of its own, just started and empty. All programs create the tables. After each
// run ADMIN CHECKSUM must find the pairs that the source has, and all tables must have statistics where the program has to give them some, or
// restorebench fails: a fast wrong restore can't win. The archive is backed up from what Sluice has restored from the dump, analysed if "archive" is
// among the sources.
//
// Wall is from sending the statement, or starting the program, to its end. CPU is that of Sluice's process or of the peer's; the
// cluster's own, which does a part of the work for each, stands beside. Peak is the largest resident size of that process. MB/s are of the dump's
// files with rows, and of the pairs that an archive has. -profile shows where Sluice's and the cluster's time went.
//
// The large table takes, on the disk at -dir, about three times its size.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The sources, and the cases.
const (
	sourceDump, sourceBareDump       = "dump", "bare-dump"
	sourceArchive, sourceBareArchive = "archive", "bare-archive"
	caseMany, caseLarge              = "many", "large"
)

type options struct {
	manyTables, manyRows int
	largeMiB             int
	runs, stores         int
	cases, sources       string
	dir                  string
	profile, json        string
	settings             []string
}

// caseOf is what is restored.
type caseOf struct {
	name         string
	tables, rows int // rows of each table
}

func parseFlags(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("restorebench", flag.ContinueOnError)
	flags.StringVar(&o.cases, "cases", caseMany+","+caseLarge, "many small tables, one large one")
	flags.IntVar(&o.manyTables, "tables", 10_000, "tables of the first case")
	flags.IntVar(&o.manyRows, "rows", 10, fmt.Sprintf("rows of each, about %d bytes each", rowBytes))
	flags.IntVar(&o.largeMiB, "large", 10<<10, "size of the dump of the second case's table, in MiB")
	flags.IntVar(&o.runs, "runs", 1, "runs of each program")
	flags.IntVar(&o.stores, "stores", 1, "TiKV stores of the embedded cluster (1 to 3)")
	flags.StringVar(&o.sources, "sources", strings.Join([]string{sourceDump, sourceBareDump, sourceArchive, sourceBareArchive}, ","), "what is restored")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where files go")
	flags.StringVar(&o.profile, "profile", "", "where CPU profiles of Sluice and of the cluster, Sluice's log and TiDB's summary of statements go; none are taken without")
	flags.StringVar(&o.json, "json", "", "where all figures go as JSON")
	flags.Func("set", "a setting of the cluster for all programs, such as 'tidb_enable_fast_create_table = OFF'; may be given several times", func(s string) error {
		o.settings = append(o.settings, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || min(o.manyTables, o.manyRows, o.largeMiB, o.runs) < 1 {
		return o, errors.New("-tables, -rows, -large and -runs must be above zero, and nothing follows them")
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
		err = run(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "restorebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "sluice-restorebench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := newReport(o)
	for name := range strings.SplitSeq(o.cases, ",") {
		c := caseOf{name: name}
		switch name {
		case caseMany:
			c.tables, c.rows = o.manyTables, o.manyRows
		case caseLarge:
			c.tables, c.rows = 1, max(o.largeMiB<<20/rowBytes, 1)
		default:
			return fmt.Errorf("no case %q; there are %s and %s", name, caseMany, caseLarge)
		}
		b := &bench{options: o, caseOf: c, workDir: filepath.Join(dir, name)}
		err := b.all(ctx, w, r)
		if o.json != "" {
			err = errors.Join(err, r.writeJSON(o.json)) // what there is, also if one fails
		}
		if err = errors.Join(err, os.RemoveAll(b.workDir)); err != nil {
			return err
		}
	}
	return nil
}

// all restores the case from all sources.
func (b *bench) all(ctx context.Context, w io.Writer, r *report) (err error) {
	if b.dumpBytes, err = writeDump(b.dump(), b.tables, b.rows); err != nil {
		return err
	}
	sources := strings.Split(b.sources, ",")
	for i, source := range sources {
		programs, err := b.programs(source)
		if err != nil {
			return err
		}
		if fromArchive(source) && !b.backedUp {
			from := sourceBareDump
			if b.wantsStatistics() {
				from = sourceDump
			}
			dumps, err := b.programs(from)
			if err != nil {
				return err
			}
			if _, err := b.measure(ctx, dumps[0]); err != nil { // which backs up
				return err
			}
		}
		if b.backedUp && !slices.ContainsFunc(sources[i:], func(s string) bool { return !fromArchive(s) }) {
			if err := os.RemoveAll(b.dump()); err != nil { // the disk may be needed
				return err
			}
		}
		for n := range b.runs {
			if err := b.sideBySide(ctx, w, r, source, n+1, programs); err != nil {
				return err
			}
		}
	}
	return nil
}

// wantsStatistics tells whether the archive has to have some.
func (b *bench) wantsStatistics() bool {
	return slices.Contains(strings.Split(b.sources, ","), sourceArchive)
}

func fromArchive(source string) bool { return source == sourceArchive || source == sourceBareArchive }

// sideBySide runs both programs in turn and compares the first with the second, the peer.
func (b *bench) sideBySide(ctx context.Context, w io.Writer, r *report, source string, n int, programs []program) error {
	took := make([]measurement, len(programs))
	for i, p := range programs {
		used, err := b.measure(ctx, p)
		if err != nil {
			return fmt.Errorf("case %s: %s from %s: %w", b.name, p.name, source, err)
		}
		took[i] = measurement{
			Case: b.name, Source: source, Program: p.name, Run: n, Tables: b.tables, Rows: b.tables * b.rows, Bytes: b.pairBytes,
			Wall: used.Wall.Seconds(), CPU: used.CPU.Seconds(), ClusterCPU: used.Cluster.Seconds(), Peak: used.MaxRSS,
		}
		if !fromArchive(source) {
			took[i].Bytes = b.dumpBytes
		}
		if err := r.add(w, took[i]); err != nil {
			return err
		}
	}
	return r.compare(w, took[0], took[1])
}
