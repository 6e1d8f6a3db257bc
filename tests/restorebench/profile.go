package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sluicedb/sluice/tests/instance"
)

// profiled runs a restore by Sluice and, with -profile, leaves in that directory what says where its time went: CPU profiles of Sluice and of the
// cluster, Sluice's log, and the statements that TiDB has run meanwhile, with their numbers and times.
func (b *bench) profiled(ctx context.Context, name string, on target, in *instance.Instance, restore func() error) (err error) {
	if b.profile == "" {
		return restore()
	}
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return err
	}
	file := func(kind string) string { return filepath.Join(b.profile, name+"."+kind) }
	for _, stmt := range []string{
		"SET GLOBAL tidb_stmt_summary_internal_query = ON",                                      // TiDB's own too
		"SET GLOBAL tidb_enable_stmt_summary = OFF", "SET GLOBAL tidb_enable_stmt_summary = ON", // which empties it
	} {
		if _, err := on.db.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	stop := startProfile(ctx, in.Status, file("cpu"))
	stopCluster := startProfile(ctx, on.cluster.TiDBStatus, file("cluster.cpu"))
	err = restore()
	err = errors.Join(err, stop(), stopCluster())
	text, logErr := os.ReadFile(in.LogFile())
	if logErr == nil {
		logErr = os.WriteFile(file("log"), text, 0o600)
	}
	return errors.Join(err, logErr, writeStatements(ctx, on.db, file("statements.txt")))
}

// profileSeconds is how long a profile is: a server gives one out when its time is over, not when somebody has enough.
const profileSeconds = 5

// startProfile takes CPU profiles, one after the other, until stop is called. go tool pprof takes them together.
func startProfile(ctx context.Context, status, path string) (stop func() error) {
	var taking sync.WaitGroup
	var failed error
	enough := make(chan struct{})
	taking.Go(func() {
		for n := 0; failed == nil; n++ {
			failed = takeProfile(ctx, status, fmt.Sprintf("%s.%03d.pprof", path, n))
			select {
			case <-enough:
				return
			default:
			}
		}
	})
	return func() error {
		close(enough)
		taking.Wait()
		return failed
	}
}

func takeProfile(ctx context.Context, status, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", status, profileSeconds), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of %s: %s", status, resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

// writeStatements writes TiDB's summary of statements, those that took longest in sum first.
func writeStatements(ctx context.Context, db *sql.DB, path string) (err error) {
	rows, err := db.QueryContext(ctx, "SELECT EXEC_COUNT, ROUND(SUM_LATENCY / 1e6) AS ms, ROUND(AVG_LATENCY / 1e6, 2), ROUND(MAX_LATENCY / 1e6, 1), STMT_TYPE, "+
		"COALESCE(LEFT(DIGEST_TEXT, 200), '') FROM information_schema.STATEMENTS_SUMMARY ORDER BY SUM_LATENCY DESC LIMIT 40")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out strings.Builder
	fmt.Fprintf(&out, "%8s %10s %10s %10s  %s\n", "count", "sum ms", "mean ms", "most ms", "statement")
	for rows.Next() {
		var count, sum, mean, most, kind, text string
		if err := rows.Scan(&count, &sum, &mean, &most, &kind, &text); err != nil {
			return err
		}
		fmt.Fprintf(&out, "%8s %10s %10s %10s  %s: %s\n", count, sum, mean, most, kind, text)
	}
	return errors.Join(rows.Err(), os.WriteFile(path, []byte(out.String()), 0o600))
}
