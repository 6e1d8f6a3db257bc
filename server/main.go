// Command sluice is a proxy that speaks the MySQL protocol in front of a TiDB
// cluster. It runs IMPORT INTO and the statements about import jobs itself and
// forwards all other SQL unchanged.
//
// This package knows every part, starts them in order and stops them in order;
// the parts do not know each other beyond their interfaces. See the packages
// below server for what each does.
//
// Exit codes: 0 after an orderly end, 1 when something failed, 2 when the command
// line or the configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // sessions name time zones that this machine may not have

	"go.uber.org/zap"

	"github.com/sluicedb/sluice/server/config"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default action is back: a second one kills.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process around it. It returns the exit code when ctx
// has ended and everything is down, or when something failed.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	inv, err := config.Load(args, stderr)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "sluice:", err)
		return exitUsage
	case inv.Help:
		return exitOK
	case inv.Version:
		fmt.Fprintln(stdout, "sluice", version())
		return exitOK
	case inv.CheckOnly:
		fmt.Fprint(stdout, inv.Config)
		return exitOK
	}
	logger, closeLog, err := newLogger(inv.Config.Log, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "sluice:", err)
		return exitUsage
	}
	limitMemory(inv.Config)
	ready := io.Discard
	if inv.PrintReady {
		ready = stdout
	}
	restore := redirectLibraries(logger)
	err = serve(ctx, inv.Config, logger, ready)
	restore()
	if err != nil {
		logger.Error("sluice failed", zap.Error(err))
		fmt.Fprintln(stderr, "sluice:", err)
	}
	if err := errors.Join(err, closeLog()); err != nil {
		return exitFailed
	}
	return exitOK
}

// version is the module's version or, for a build from a checkout, its revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			version += " " + s.Value
		}
	}
	return version
}
