package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/tests/playground"
)

// bench is the run of one case.
type bench struct {
	options
	caseOf
	workDir string
	// dumpBytes is the size of the dump's files with rows, pairBytes that of the pairs, keys and values, that are in the cluster in the end.
	dumpBytes, pairBytes int64
	backedUp             bool
}

// target is an empty cluster.
type target struct {
	cluster *playground.Cluster
	db      *sql.DB // straight to TiDB, as root
}

func (b *bench) dump() string    { return filepath.Join(b.workDir, "dump") }
func (b *bench) archive() string { return filepath.Join(b.workDir, "archive") }

// measure runs a program on a cluster of its own.
func (b *bench) measure(ctx context.Context, p program) (used usage, err error) {
	var on target
	dir := filepath.Join(b.workDir, "cluster")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if on.cluster, err = playground.Start(ctx, playground.Options{Stores: b.stores, Dir: dir}); err != nil {
		return used, err
	}
	defer func() {
		// With many thousand tables TiDB may not stop in time, and is killed then: what was measured and checked stands.
		if closing := on.cluster.Close(); err != nil {
			err = errors.Join(err, closing)
		} else if closing != nil {
			fmt.Fprintln(os.Stderr, "restorebench: the cluster didn't stop by itself behind", p.name)
		}
	}()
	if on.db, err = on.cluster.Open(); err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, on.db.Close()) }()
	for _, setting := range append([]string{"tidb_enable_auto_analyze = OFF"}, b.settings...) {
		if _, err := on.db.ExecContext(ctx, "SET GLOBAL "+setting); err != nil {
			return used, err
		}
	}
	if used, err = p.run(ctx, on); err != nil {
		return used, err
	}
	if err := b.check(ctx, on.db); err != nil {
		return used, err
	}
	if p.analyses {
		if err := b.checkStatistics(ctx, on.db); err != nil {
			return used, err
		}
	}
	if !b.backedUp && (p.analyses || !b.wantsStatistics()) && slices.ContainsFunc(strings.Split(b.sources, ","), fromArchive) {
		return used, b.backUp(ctx, on.db)
	}
	return used, nil
}

// checkedAtOnce is how many tables one ADMIN CHECKSUM is about.
const checkedAtOnce = 200

// check counts the pairs of all tables.
func (b *bench) check(ctx context.Context, db *sql.DB) error {
	found, size := 0, int64(0)
	for from := 0; from < b.tables; from += checkedAtOnce {
		var names []string
		for n := from; n < min(from+checkedAtOnce, b.tables); n++ {
			names = append(names, schema+"."+tableName(n))
		}
		pairs, bytes, err := pairsOf(ctx, db, strings.Join(names, ", "))
		if err != nil {
			return err
		}
		found, size = found+pairs, size+bytes
	}
	if want := b.tables * b.rows * pairsPerRow; found != want {
		return fmt.Errorf("there are %d pairs instead of %d", found, want)
	}
	b.pairBytes = size
	return nil
}

func pairsOf(ctx context.Context, db *sql.DB, tables string) (pairs int, size int64, err error) {
	rows, err := db.QueryContext(ctx, "ADMIN CHECKSUM TABLE "+tables)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name, table string
		var crc, n, bytes uint64
		if err := rows.Scan(&name, &table, &crc, &n, &bytes); err != nil {
			return 0, 0, err
		}
		pairs, size = pairs+int(n), size+int64(bytes)
	}
	return pairs, size, rows.Err()
}

// checkStatistics looks whether all tables have some: a table that nobody has analysed has version 0 there.
func (b *bench) checkStatistics(ctx context.Context, db *sql.DB) error {
	var found int
	err := db.QueryRowContext(ctx, "SELECT COUNT(DISTINCT table_id) FROM mysql.stats_histograms WHERE stats_ver > 0 AND table_id IN "+
		"(SELECT TIDB_TABLE_ID FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?)", schema).Scan(&found)
	if err != nil {
		return err
	}
	if found != b.tables {
		return fmt.Errorf("%d tables have statistics instead of %d", found, b.tables)
	}
	return nil
}

// backUp makes the archive from what has just been restored and analysed.
func (b *bench) backUp(ctx context.Context, db *sql.DB) error {
	if err := os.Mkdir(b.archive(), 0o777); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "BACKUP DATABASE "+schema+" TO 'local://"+b.archive()+"' CHECKSUM = TRUE IGNORE_STATS = FALSE"); err != nil {
		return fmt.Errorf("BACKUP: %w", err)
	}
	b.backedUp = true
	return nil
}
