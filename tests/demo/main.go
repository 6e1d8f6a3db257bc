// Command demo shows the whole way once: it starts the embedded cluster and
// Sluice in front of it, writes a CSV file, imports it with IMPORT INTO over
// the MySQL protocol and looks at the result as a user would. It exits 0 only
// if the counts, the sums, ADMIN CHECK TABLE and both checksums agree.
//
// With -stay it starts the cluster and Sluice, prints the line to paste into a
// shell with a mysql client and waits for an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

type options struct {
	rows    int
	stores  int
	threads int
	stay    bool
}

func main() {
	var o options
	flag.IntVar(&o.rows, "rows", 1_000_000, "rows of the CSV file")
	flag.IntVar(&o.stores, "stores", 1, "TiKV stores of the embedded cluster (1 to 3)")
	flag.IntVar(&o.threads, "threads", 2, "IMPORT INTO ... WITH thread=")
	flag.BoolVar(&o.stay, "stay", false, "leave the cluster and Sluice running until interrupted")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	began := time.Now()
	say("starting the embedded cluster (PD, %d TiKV store(s), TiDB) and Sluice", o.stores)
	cluster, err := playground.Start(ctx, playground.Options{Stores: o.stores})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	sluice, err := instance.Start(ctx, instance.Options{TiDB: cluster.TiDB})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sluice.Close()) }()
	say("ready after %.1f s: TiDB %s, PD %s, Sluice %s, status http://%s",
		time.Since(began).Seconds(), cluster.TiDB, cluster.PD, sluice.Addr, sluice.Status)
	if o.stay {
		return stay(ctx, sluice)
	}
	csvPath := filepath.Join(sluice.Dir, "demo.csv")
	sums, err := writeCSV(csvPath, o.rows)
	if err != nil {
		return err
	}
	if err := demo(ctx, o, sluice, csvPath, sums); err != nil {
		return err
	}
	say("all agree; %.1f s from start to end", time.Since(began).Seconds())
	return nil
}

func stay(ctx context.Context, sluice *instance.Instance) error {
	host, port, err := net.SplitHostPort(sluice.Addr)
	if err != nil {
		return err
	}
	fmt.Printf("\nPaste into another terminal:\n\n  mysql --host %s --port %s --user root\n\nCtrl-C ends it and removes its data.\n", host, port)
	<-ctx.Done()
	return nil
}

func writeCSV(path string, rows int) (dataset.Sums, error) {
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return dataset.Sums{}, err
	}
	sums, err := dataset.WriteDemoCSV(f, rows, 1)
	if err = errors.Join(err, f.Close()); err != nil {
		return dataset.Sums{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return dataset.Sums{}, err
	}
	say("wrote %d rows, %.1f MiB of CSV in %.1f s", rows, float64(info.Size())/(1<<20), time.Since(began).Seconds())
	return sums, nil
}

func say(format string, args ...any) {
	fmt.Printf("-- "+format+"\n", args...)
}
