// Package brarchive makes real BR archives in tests: TiDB's own BACKUP, run on an
// embedded cluster, whose stores serve TiKV's Backup service. TiDB's own RESTORE
// brings them back through the stores' Download.
//
//	cluster := playground.Shared(t)
//	shop := brarchive.Shapes(t, cluster.DB(t), "shop") // tables of every kind
//	a := brarchive.Backup(t, cluster.DB(t), "DATABASE shop", brarchive.Options{Method: "aes256-ctr"})
//	... read a.Location, or a.Restore(t, db, "DATABASE shop") to let TiDB do it
package brarchive

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Options say how a backup is made. The zero value is TiDB's default: everything
// at this moment, compressed by zstd, not encrypted, without sums per table.
type Options struct {
	// Location is where it goes; empty means a folder that ends with the test.
	Location string
	// Compression is zstd, snappy or lz4.
	Compression string
	// Method encrypts with a fresh key: aes128-ctr, aes192-ctr or aes256-ctr.
	Method string
	// LastBackupTS makes it incremental: what has changed since that timestamp.
	LastBackupTS uint64
	// Checksum puts the sums of each table into the archive, and compares them
	// with the sums of the files.
	Checksum bool
	// More are further options, as SQL.
	More string
}

// Archive is a backup that was made.
type Archive struct {
	// Location is what it was given, Dir the folder of a local one.
	Location, Dir string
	// BackupTS is the timestamp whose data it holds; Size is what BACKUP says of
	// it, in bytes.
	BackupTS, Size uint64
	// Method and Key, in hexadecimal, are those of an encrypted archive; KeyFile
	// holds the key.
	Method, Key, KeyFile string
}

// Backup runs BACKUP for what, for example "DATABASE a", "DATABASE *" or "TABLE
// a.t", on TiDB.
func Backup(t testing.TB, db *sql.DB, what string, o Options) Archive {
	t.Helper()
	a := Archive{Location: o.Location}
	if a.Location == "" {
		a.Dir = filepath.Join(t.TempDir(), "archive")
		a.Location = "local://" + a.Dir
	}
	options := o.More
	add := func(format string, args ...any) { options += " " + fmt.Sprintf(format, args...) }
	if o.Compression != "" {
		add("COMPRESSION_TYPE = '%s'", o.Compression)
	}
	if o.Checksum {
		add("CHECKSUM = TRUE")
	}
	if o.LastBackupTS != 0 {
		add("LAST_BACKUP = %d", o.LastBackupTS)
	}
	if o.Method != "" {
		a.encrypt(t, o.Method)
		options += a.encryption()
	}
	q := fmt.Sprintf("BACKUP %s TO '%s'%s", what, a.Location, options)
	var destination, queued, executed string
	if err := db.QueryRowContext(t.Context(), q).Scan(&destination, &a.Size, &a.BackupTS, &queued, &executed); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return a
}

// encrypt makes a key of the length that the method wants.
func (a *Archive) encrypt(t testing.TB, method string) {
	t.Helper()
	bits := map[string]int{"aes128-ctr": 128, "aes192-ctr": 192, "aes256-ctr": 256}[method]
	if bits == 0 {
		t.Fatalf("no encryption method %q", method)
	}
	key := make([]byte, bits/8)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	a.Method, a.Key, a.KeyFile = method, hex.EncodeToString(key), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(a.KeyFile, []byte(a.Key), 0o600); err != nil {
		t.Fatal(err)
	}
}

// encryption returns the options that say how an archive is encrypted.
func (a *Archive) encryption() string {
	if a.Method == "" {
		return ""
	}
	return fmt.Sprintf(" ENCRYPTION_METHOD = '%s' ENCRYPTION_KEYFILE = '%s'", a.Method, a.KeyFile)
}

// Shapes creates a database with tables of every kind that an archive treats in a
// way of its own, with rows, a view and a sequence, and returns the tables' names.
func Shapes(t testing.TB, db *sql.DB, database string) []string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	exec := func(format string, args ...any) {
		t.Helper()
		q := fmt.Sprintf(format, args...)
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("CREATE DATABASE `%s`", database)
	exec("USE `%s`", database)
	var names []string
	for _, s := range shapes {
		exec("CREATE TABLE `%s` %s", s.name, s.columns)
		names = append(names, s.name)
		if s.columnsOfRow == "" {
			continue
		}
		for from := 0; from < s.rows; from += rowsPerInsert {
			var rows []string
			for n := from; n < min(from+rowsPerInsert, s.rows); n++ {
				rows = append(rows, s.row(n))
			}
			exec("INSERT INTO `%s` (%s) VALUES %s", s.name, s.columnsOfRow, strings.Join(rows, ","))
		}
	}
	exec("CREATE VIEW over_rows AS SELECT id, v FROM int_clustered WHERE id > 10")
	exec("CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3 CACHE 10")
	exec("DO NEXTVAL(numbers)")
	return names
}

// Drop drops databases.
func Drop(t testing.TB, db *sql.DB, databases ...string) {
	t.Helper()
	for _, name := range databases {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE `"+name+"`"); err != nil {
			t.Fatal(err)
		}
	}
}

// Restore lets TiDB restore what, named as for Backup, from the archive.
func (a *Archive) Restore(t testing.TB, db *sql.DB, what string) {
	t.Helper()
	q := fmt.Sprintf("RESTORE %s FROM '%s'%s", what, a.Location, a.encryption())
	if _, err := db.ExecContext(t.Context(), q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
