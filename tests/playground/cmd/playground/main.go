// Command playground runs an embedded TiDB cluster (PD, TiKV stores and a TiDB
// server in one process) until it is told to stop by SIGINT, SIGTERM or, with
// --watch-stdin, by the end of its standard input.
//
// When the cluster accepts connections it prints one line of JSON (see
// playground.Ready) on its standard output, or with --print-json=false the
// addresses to read. Everything else goes to the log file. The data directory
// is removed at the end unless --dir named one; it stays, with the log, when
// the start failed.
//
// Layout: main.go has flags and lifetime, cluster.go starts and stops the
// parts in order.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicedb/sluice/tests/playground"
)

// stopTimeout bounds an orderly stop. A part that hangs must not leave the
// process and its directory behind.
const stopTimeout = 30 * time.Second

// settings are the flags.
type settings struct {
	stores            int
	dir               string
	removeDir         bool
	regionSplitSize   int64
	regionSplitKeys   int64
	txnTotalSizeLimit uint64
	serverVersion     string
	logFile           string
	logLevel          string
	printJSON         bool
	watchStdin        bool
}

func parseFlags(args []string, errOut io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("playground", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.IntVar(&s.stores, "stores", 1, "number of TiKV stores, 1 to 3")
	fs.StringVar(&s.dir, "dir", "", "data directory to keep and to continue; empty means a temporary one")
	fs.BoolVar(&s.removeDir, "remove-dir", false, "remove the directory of --dir at the end too")
	fs.Int64Var(&s.regionSplitSize, "region-split-size", 0, "region size in bytes; 0 means TiKV's default")
	fs.Int64Var(&s.regionSplitKeys, "region-split-keys", 0, "region size in keys; 0 means TiKV's default")
	fs.Uint64Var(&s.txnTotalSizeLimit, "txn-total-size-limit", 0, "TiDB's setting of that name, in bytes; 0 means its default")
	fs.StringVar(&s.serverVersion, "server-version", "", "TiDB's setting of that name; empty means that of the release")
	fs.StringVar(&s.logFile, "log-file", "", "log file; empty means playground.log in the data directory")
	fs.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.BoolVar(&s.printJSON, "print-json", true, "print one line of JSON when ready; otherwise text")
	fs.BoolVar(&s.watchStdin, "watch-stdin", false, "stop at the end of the standard input")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if fs.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return s, nil
}

func main() {
	// The standard output carries the ready line and nothing else, whatever
	// some library prints.
	out := os.Stdout
	os.Stdout = os.Stderr
	s, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(s, os.Stdin, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "playground:", err)
		os.Exit(1)
	}
}

// run starts the cluster, announces it on out and stops it when told to.
func run(s settings, in io.Reader, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.watchStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		// Ends with the input, or with the process: a read of a pipe cannot be
		// interrupted.
		go func() {
			_, _ = io.Copy(io.Discard, in)
			cancel()
		}()
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	c, err := startCluster(ctx, s)
	if err != nil {
		if ctx.Err() != nil {
			return errors.Join(s.cleanUp(), err)
		}
		return fmt.Errorf("%w (log: %s)", err, s.logFile)
	}
	if err := announce(out, s.printJSON, c.ready()); err != nil {
		return errors.Join(err, c.stop(), s.cleanUp())
	}
	<-ctx.Done()
	stop() // a second signal ends the process at once
	hung := time.AfterFunc(stopTimeout, func() {
		fmt.Fprintln(os.Stderr, "playground: did not stop within", stopTimeout, errText(s.cleanUp()))
		os.Exit(1)
	})
	defer hung.Stop()
	return errors.Join(c.stop(), s.cleanUp())
}

// makeDir makes the data directory and fills in the paths that depend on it.
func (s *settings) makeDir() error {
	var err error
	if s.dir == "" {
		s.removeDir = true
		s.dir, err = os.MkdirTemp("", "sluice-playground-")
	} else if s.dir, err = filepath.Abs(s.dir); err == nil {
		err = os.MkdirAll(s.dir, 0o750)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if s.logFile == "" {
		s.logFile = filepath.Join(s.dir, "playground.log")
	}
	return nil
}

// cleanUp removes the data directory if it is a throw-away one.
func (s *settings) cleanUp() error {
	if !s.removeDir {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

func announce(out io.Writer, asJSON bool, r playground.Ready) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, "PD           %s\nTiDB         %s\nTiDB status  %s\ncontrol      %s\ndata         %s\n",
		r.PD, r.TiDB, r.TiDBStatus, r.Control, r.Dir)
	for _, store := range r.Stores {
		if err == nil {
			_, err = fmt.Fprintf(out, "TiKV %-7d %s, status %s\n", store.ID, store.Addr, store.Status)
		}
	}
	return err
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
