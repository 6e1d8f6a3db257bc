package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/sluicedb/sluice/tests/instance"
)

func runSluice(ctx context.Context, _ *bench, env *environment) (measurement, error) {
	return runBinary(ctx, "", env, nil)
}

func runBase(ctx context.Context, b *bench, env *environment) (measurement, error) {
	return runBinary(ctx, b.o.base, env, nil)
}

// runBinary starts a Sluice in front of the cluster and sends it the
// statement. during, if any, gets its status address just before that; what it
// returns is called after the import.
func runBinary(ctx context.Context, bin string, env *environment, during func(status string) (after func() error)) (m measurement, err error) {
	opts := instance.Options{TiDB: env.cluster.TiDB, Env: env.sluice.env, Bin: bin}
	if env.sluice.memory != "" {
		opts.Import = fmt.Sprintf("memory-budget = %q", env.sluice.memory)
	}
	sluice, err := instance.Start(ctx, opts)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, sluice.Close()) }()
	db, err := sluice.Open("root", "", schemaName)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Before the clock runs: the connection, and Sluice's job tables, which it
	// makes once in the life of a cluster.
	if _, err := db.ExecContext(ctx, "SHOW IMPORT JOBS"); err != nil {
		return m, err
	}
	logBefore, err := os.Stat(sluice.LogFile())
	if err != nil {
		return m, err
	}
	ended := func() error { return nil }
	if during != nil {
		ended = during(sluice.Status)
	}
	before, err := env.use(sluice.PID())
	if err != nil {
		return m, err
	}
	statement := fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=%d", tableName, env.in.path, env.threads)
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return m, fmt.Errorf("%s: %w\n%s", statement, err, sluice.LogTail(20))
	}
	after, err := env.use(sluice.PID())
	if err != nil {
		return m, err
	}
	if err := ended(); err != nil {
		return m, err
	}
	m = after.measurement(before)
	if m.Peak, err = peakMemory(sluice.PID()); err != nil {
		return m, err
	}
	if err := m.readSluiceLog(sluice.LogFile(), logBefore.Size()); err != nil {
		return m, err
	}
	return m, checkOwnSum(ctx, env.db)
}

// readSluiceLog takes the steps from the log and the log from what was written.
func (m *measurement) readSluiceLog(file string, sizeBefore int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	steps, err := parseSluiceLog(string(text[sizeBefore:]))
	if err != nil {
		return err
	}
	m.Alone, m.Runs = steps.encode.Seconds(), steps.runs
	m.Written = max(0, m.Written-(int64(len(text))-sizeBefore))
	return nil
}

// checkOwnSum makes sure that Sluice knows of the checksum that the cluster has.
func checkOwnSum(ctx context.Context, db *sql.DB) error {
	found, err := lookAtTable(ctx, db)
	if err != nil {
		return err
	}
	var crc64, pairs, bytes uint64
	err = db.QueryRowContext(ctx, "SELECT checksum, total_kvs, total_bytes FROM sluice.jobs ORDER BY id DESC LIMIT 1").
		Scan(&crc64, &pairs, &bytes)
	if err != nil {
		return fmt.Errorf("job row: %w", err)
	}
	if crc64 != found.crc64 || pairs != found.pairs || bytes != found.bytes {
		return fmt.Errorf("the checksum of Sluice is %d/%d/%d, the cluster's %d/%d/%d",
			crc64, pairs, bytes, found.crc64, found.pairs, found.bytes)
	}
	return nil
}
