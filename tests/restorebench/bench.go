package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

const schema = "many"

// pairsPerRow is a row, and an entry of its index.
const pairsPerRow = 2

// bench is a whole run of the command.
type bench struct {
	options
	workDir string
	archive string // "" until it is made
}

// target is an empty cluster.
type target struct {
	cluster *playground.Cluster
	db      *sql.DB // straight to TiDB, as root
}

func (b *bench) dump() string { return filepath.Join(b.workDir, "dump") }

func tableName(n int) string { return fmt.Sprintf("t%05d", n) }

// writeDump writes the tables as Dumpling would.
func (b *bench) writeDump() error {
	if err := os.Mkdir(b.dump(), 0o755); err != nil {
		return err
	}
	write := func(name, text string) error { return os.WriteFile(filepath.Join(b.dump(), name), []byte(text), 0o600) }
	if err := write(schema+"-schema-create.sql", "CREATE DATABASE `"+schema+"`;\n"); err != nil {
		return err
	}
	for n := range b.tables {
		name := tableName(n)
		ddl := "CREATE TABLE `" + name + "` (`id` bigint NOT NULL, `a` int, `b` varchar(250), PRIMARY KEY (`id`), KEY `a` (`a`));\n"
		var rows strings.Builder
		for i := range b.rows {
			if i%1000 == 0 {
				rows.WriteString("INSERT INTO `" + name + "` VALUES\n")
			}
			end := ",\n"
			if i%1000 == 999 || i == b.rows-1 {
				end = ";\n"
			}
			fmt.Fprintf(&rows, "(%d,%d,'%0200d')%s", i+1, i*7919%100_003, n+i, end)
		}
		if err := errors.Join(write(schema+"."+name+"-schema.sql", ddl), write(schema+"."+name+".000000000.sql", rows.String())); err != nil {
			return err
		}
	}
	return nil
}

// measure runs a program on a cluster of its own.
func (b *bench) measure(ctx context.Context, p program) (used peers.Usage, err error) {
	var on target
	if on.cluster, err = playground.Start(ctx, playground.Options{Stores: b.stores}); err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, on.cluster.Close()) }()
	if on.db, err = on.cluster.Open(); err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, on.db.Close()) }()
	if _, err := on.db.ExecContext(ctx, "SET GLOBAL tidb_enable_auto_analyze = OFF"); err != nil {
		return used, err
	}
	if used, err = p.run(ctx, on); err != nil {
		return used, err
	}
	if err := b.check(ctx, on.db); err != nil {
		return used, err
	}
	if b.archive == "" && strings.Contains(b.sources, "archive") {
		return used, b.backUp(ctx, on.db)
	}
	return used, nil
}

// checkedAtOnce is how many tables one ADMIN CHECKSUM is about.
const checkedAtOnce = 200

// check counts the pairs of all tables.
func (b *bench) check(ctx context.Context, db *sql.DB) error {
	found := 0
	for from := 0; from < b.tables; from += checkedAtOnce {
		var names []string
		for n := from; n < min(from+checkedAtOnce, b.tables); n++ {
			names = append(names, schema+"."+tableName(n))
		}
		pairs, err := pairsOf(ctx, db, strings.Join(names, ", "))
		if err != nil {
			return err
		}
		found += pairs
	}
	if want := b.tables * b.rows * pairsPerRow; found != want {
		return fmt.Errorf("there are %d pairs instead of %d", found, want)
	}
	return nil
}

func pairsOf(ctx context.Context, db *sql.DB, tables string) (sum int, err error) {
	rows, err := db.QueryContext(ctx, "ADMIN CHECKSUM TABLE "+tables)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name, table string
		var crc, pairs, bytes uint64
		if err := rows.Scan(&name, &table, &crc, &pairs, &bytes); err != nil {
			return 0, err
		}
		sum += int(pairs)
	}
	return sum, rows.Err()
}

// backUp makes the archive from what has just been restored.
func (b *bench) backUp(ctx context.Context, db *sql.DB) error {
	dir := filepath.Join(b.workDir, "archive")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "BACKUP DATABASE "+schema+" TO 'local://"+dir+"' CHECKSUM = TRUE"); err != nil {
		return fmt.Errorf("BACKUP: %w", err)
	}
	b.archive = dir
	return nil
}

func (b *bench) sluiceFromDump(ctx context.Context, on target) (peers.Usage, error) {
	return b.sluice(ctx, on, "dump", b.dump())
}

func (b *bench) sluiceFromArchive(ctx context.Context, on target) (peers.Usage, error) {
	return b.sluice(ctx, on, "archive", b.archive)
}

// sluice starts a Sluice in front of the cluster and sends it the statement.
func (b *bench) sluice(ctx context.Context, on target, source, location string) (used peers.Usage, err error) {
	in, err := instance.Start(ctx, instance.Options{TiDB: on.cluster.TiDB})
	if err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	db, err := in.Open("root", "", "")
	if err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Before the clock runs: the connection, and Sluice's job tables, which it makes once in the life of a cluster.
	if _, err := db.ExecContext(ctx, "SHOW IMPORT JOBS"); err != nil {
		return used, err
	}
	err = b.profiled(ctx, source, on, in, func() error {
		before, err := in.CPUTime()
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := db.ExecContext(ctx, "RESTORE DATABASE "+schema+" FROM '"+location+"'"); err != nil {
			return fmt.Errorf("%w\n%s", err, in.LogTail(20))
		}
		used.Wall = time.Since(began)
		after, err := in.CPUTime()
		used.CPU = after - before
		return err
	})
	if err != nil {
		return used, err
	}
	used.MaxRSS, err = in.PeakMemory()
	return used, err
}

func (b *bench) lightning(ctx context.Context, on target) (peers.Usage, error) {
	bin, err := peers.BuildLightning(ctx)
	if err != nil {
		return peers.Usage{}, err
	}
	dir, err := os.MkdirTemp(b.workDir, "lightning-")
	if err != nil {
		return peers.Usage{}, err
	}
	return peers.Lightning{Bin: bin, Cluster: on.cluster, SourceDir: b.dump(), Dump: true, WorkDir: dir}.Run(ctx)
}

func (b *bench) br(ctx context.Context, on target) (peers.Usage, error) {
	bin, err := peers.BuildBR(ctx)
	if err != nil {
		return peers.Usage{}, err
	}
	dir, err := os.MkdirTemp(b.workDir, "br-")
	if err != nil {
		return peers.Usage{}, err
	}
	return peers.BR{Bin: bin, Cluster: on.cluster, Storage: "local://" + b.archive, WorkDir: dir}.Restore(ctx, "db", "--db", schema)
}
