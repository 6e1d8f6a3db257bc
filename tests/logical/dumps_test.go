package logical_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/tablefiles"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/s3store"
)

// dumped makes a database with a table of each type, and others, and returns it with the names of its tables.
func dumped(t *testing.T) *server {
	s := onMariaDB(t)
	for i, c := range typeCases(logical.MariaDB) {
		s.exec(fmt.Sprintf("CREATE TABLE t%d (id INT PRIMARY KEY, v %s)", i, c.def))
		for id, v := range c.values {
			_, err := s.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO t%d VALUES (?, ?)", i), id, []byte(v))
			if err != nil { // a binary string isn't what the type takes
				_, err = s.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO t%d VALUES (?, ?)", i), id, v)
			}
			require.NoError(t, err, c.def)
		}
		s.exec(fmt.Sprintf("INSERT INTO t%d VALUES (-1, NULL)", i))
	}
	s.exec("CREATE TABLE `odd ``name'` (a INT AUTO_INCREMENT PRIMARY KEY, `b c` TEXT, g INT AS (LENGTH(`b c`)), h INT AS (LENGTH(`b c`) + 1) STORED)",
		"INSERT INTO `odd ``name'` (`b c`) VALUES ('x'), (NULL), ('y;--')", "CREATE TABLE empty (a INT)",
		"CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(100), ts TIMESTAMP NULL)",
		"INSERT INTO many SELECT seq, REPEAT(CHAR(97 + seq % 26), seq % 90), FROM_UNIXTIME(1e9 + seq * 3600) FROM seq_1_to_20000")
	return s
}

// content is all rows of all tables, with the names of tables before them.
func content(t *testing.T, s *server) (all []string) {
	t.Helper()
	conn, err := s.db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	for _, table := range s.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1") {
		var columns []string
		for _, c := range s.rows("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '" +
			strings.ReplaceAll(table, "'", "''") + "' ORDER BY ordinal_position") {
			columns = append(columns, "HEX(`"+c+"`)")
		}
		all = append(all, "-- "+table)
		all = append(all, s.rows("SELECT "+strings.Join(columns, ", ")+" FROM `"+strings.ReplaceAll(table, "`", "``")+"` ORDER BY 1")...)
	}
	return all
}

// TestMysqldump: what mysqldump wrote of a MariaDB arrives in another database as it was, however it was written.
func TestMysqldump(t *testing.T) {
	t.Parallel()
	from := dumped(t)
	program, err := exec.LookPath("mysqldump")
	require.NoError(t, err)
	want := content(t, from)
	require.Greater(t, len(want), 20000)
	for name, flags := range map[string][]string{
		"plain": nil, "hex": {"--hex-blob", "--complete-insert"}, "rows": {"--skip-extended-insert", "--skip-tz-utc"}, "nolist": {"--no-create-db", "--skip-opt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--no-defaults", "--socket=" + mariadb.Shared(t).Socket, "--user=" + mariadb.User, "--password=" + mariadb.Password,
				"--default-character-set=utf8mb4", from.name}, flags...)
			text, err := exec.CommandContext(t.Context(), program, args...).Output()
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "dump.sql")
			require.NoError(t, os.WriteFile(path, text, 0o600))
			to := onMariaDB(t)
			loadDump(t, to, path)
			require.Equal(t, want, content(t, to))
		})
	}
}

// loadDump makes the tables of a dump in one file, and brings their rows in.
func loadDump(t *testing.T, to *server, path string) {
	t.Helper()
	store, err := source.OpenFolder(t.Context(), filepath.Dir(path), source.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	files, err := store.List(t.Context())
	require.NoError(t, err)
	texts := compress.NewStore(store, 0)
	outline, err := sqldump.ReadOutline(t.Context(), texts, &files[0], sqldump.Config{})
	require.NoError(t, err)
	for _, s := range outline.Statements {
		if s.Kind == sqldump.CreateTable {
			to.exec(s.Text)
		}
	}
	tables := map[string][]tablefiles.File{}
	for _, r := range outline.Rows {
		tables[r.Table] = append(tables[r.Table], tablefiles.File{File: files[0], SQL: true, Section: &r.Section})
	}
	for name, parts := range tables {
		target := to.open("", logical.Params{Session: logical.Session{SQLMode: strict}})
		table, err := target.Table(t.Context(), to.name, name)
		require.NoError(t, err)
		src, err := tablefiles.Open(t.Context(), tablefiles.Config{Store: texts, Files: parts, CSV: csv.DefaultConfig(), Layout: table.Layout()})
		require.NoError(t, err)
		sum, err := target.Import(t.Context(), logical.Task{Job: job(), Table: table, Source: src, Basis: src.Basis(), BatchBytes: 64 << 10, Lanes: 2})
		require.NoError(t, err, name)
		require.NotZero(t, sum.Rows)
	}
}

// TestPackedDumpIsReadOnce: the tables of a compressed dump in one file share its streams, where each unpacked it from its beginning.
func TestPackedDumpIsReadOnce(t *testing.T) {
	t.Parallel()
	to := onMariaDB(t)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	const tables = 40
	random := rand.New(rand.NewPCG(1, 2))
	for i := range tables {
		_, err := fmt.Fprintf(w, "CREATE TABLE t%d (id INT, v TEXT);\nINSERT INTO t%d VALUES ", i, i)
		require.NoError(t, err)
		for n := range 400 {
			_, err := fmt.Fprintf(w, "%s(%d,'%x%x')", strings.Repeat(",", min(n, 1)), n, random.Uint64(), random.Uint64())
			require.NoError(t, err)
		}
		_, err = w.Write([]byte(";\n"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	store := s3store.Start(t)
	store.Put(to.name+".sql.gz", packed.Bytes())
	var reads atomic.Int64
	store.OnRequest(func(r *http.Request) s3store.Fault {
		if s3store.IsRead(r) {
			reads.Add(1)
		}
		return s3store.None
	})
	task := restoreTask(store.WithKeys(to.name + ".sql.gz"))
	task.Selection = restore.Selection{Databases: []string{to.name}}
	_, err := restored(t.Context(), to.restorer(), task)
	require.NoError(t, err)
	require.Equal(t, []string{"400|79800"}, to.rows(fmt.Sprintf("SELECT COUNT(*), SUM(id) FROM t%d", tables-1)))
	require.Less(t, reads.Load(), int64(2*tables+30), "a look at the file for each head and each table's rows, and a few streams")
}
