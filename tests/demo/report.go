package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

const tableName = "demo"

// demo imports the file through the proxy and compares what it finds
// afterwards with what the generator knows.
func demo(ctx context.Context, o options, sluice *instance.Instance, csvPath string, sums dataset.Sums) error {
	db, err := sluice.Open("root", "", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, stmt := range []string{"CREATE DATABASE IF NOT EXISTS shop", "USE shop", dataset.DemoSchema(tableName)} {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	if err := runImport(ctx, db, conn, o, csvPath); err != nil {
		return err
	}
	peak, err := sluice.PeakMemory()
	if err != nil {
		return err
	}
	say("peak memory of the Sluice process: %.0f MiB", float64(peak)/(1<<20))
	if err := show(ctx, conn, "SHOW IMPORT JOBS"); err != nil {
		return err
	}
	return verify(ctx, conn, sums)
}

func runImport(ctx context.Context, db *sql.DB, conn *sql.Conn, o options, csvPath string) error {
	stmt := fmt.Sprintf("IMPORT INTO %s FROM '%s' WITH thread=%d", tableName, csvPath, o.threads)
	fmt.Printf("\nmysql> %s;\n", stmt)
	began := time.Now()
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(watching, db, began)
	}()
	err := show(ctx, conn, stmt)
	stopWatching()
	<-watched
	if err != nil {
		return err
	}
	say("imported in %.1f s", time.Since(began).Seconds())
	return nil
}

// watch prints the job once a second, as another session sees it.
func watch(ctx context.Context, db *sql.DB, began time.Time) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		jobs, err := sqlrows.Query(ctx, db, "SHOW IMPORT JOBS")
		if err != nil || len(jobs.Rows) == 0 {
			continue
		}
		last := jobs.Maps()[len(jobs.Rows)-1]
		fmt.Printf("   %4.0f s  job %s  %-9s %-10s %9s rows of %s\n", time.Since(began).Seconds(),
			last["Job_ID"], last["Status"], last["Phase"],
			last["Imported_Rows"], last["Source_File_Size"])
	}
}

// verify compares the table with the generator's sums and the checksums with each other.
func verify(ctx context.Context, conn *sql.Conn, want dataset.Sums) error {
	if err := show(ctx, conn, "SELECT COUNT(*), SUM(id), SUM(amount), MIN(created_at), MAX(created_at) FROM "+tableName); err != nil {
		return err
	}
	got, err := dataset.QuerySums(ctx, conn, tableName)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the table holds %+v, the file %+v", got, want)
	}
	if err := show(ctx, conn, "ADMIN CHECK TABLE "+tableName); err != nil {
		return err
	}
	if err := show(ctx, conn, "ADMIN CHECKSUM TABLE "+tableName); err != nil {
		return err
	}
	own := "SELECT id, checksum, total_kvs, total_bytes FROM sluice.jobs ORDER BY id DESC LIMIT 1"
	if err := show(ctx, conn, own); err != nil {
		return err
	}
	var id, ownSum, ownPairs, ownBytes, db, table, sum, pairs, size string
	if err := conn.QueryRowContext(ctx, own).Scan(&id, &ownSum, &ownPairs, &ownBytes); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "ADMIN CHECKSUM TABLE "+tableName).Scan(&db, &table, &sum, &pairs, &size); err != nil {
		return err
	}
	if ownSum != sum || ownPairs != pairs || ownBytes != size {
		return fmt.Errorf("the checksum of Sluice is %s/%s/%s, TiDB's %s/%s/%s", ownSum, ownPairs, ownBytes, sum, pairs, size)
	}
	return nil
}

// show runs a statement and prints it with its rows, one line a column as \G does.
func show(ctx context.Context, q sqlrows.Queryer, stmt string) error {
	r, err := sqlrows.Query(ctx, q, stmt)
	if err != nil {
		return fmt.Errorf("%s: %w", stmt, err)
	}
	fmt.Printf("\nmysql> %s\\G\n", stmt)
	width := 0
	for _, c := range r.Columns {
		width = max(width, len(c))
	}
	for i, row := range r.Rows {
		fmt.Printf("%s %d. row %s\n", strings.Repeat("*", 27), i+1, strings.Repeat("*", 27))
		for j, c := range r.Columns {
			fmt.Printf("%*s: %s\n", width, c, row[j])
		}
	}
	if len(r.Rows) == 0 {
		fmt.Println("OK")
	}
	return nil
}
