package logical_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/dumpload"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// loadTask is the load of a folder into a server.
func loadTask(t *testing.T, to *server, folder string) dumpload.Task {
	t.Helper()
	store, err := source.OpenFolder(t.Context(), folder, source.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	files, err := store.List(t.Context())
	require.NoError(t, err)
	cfg := csv.DefaultConfig()
	return dumpload.Task{
		Job: job(), Store: compress.NewStore(store, 0), Listing: dump.Read(files), CSV: cfg, CSVHeader: true, BatchBytes: 32 << 10, Lanes: 3,
		Params: logical.Params{Addrs: []string{to.addr}, User: to.user, Password: to.password, Session: logical.Session{SQLMode: strict}},
	}
}

func load(ctx context.Context, task dumpload.Task) (*dumpload.Summary, error) {
	p, err := dumpload.New(ctx, task)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Run(ctx)
}

// tidbSource makes a database in TiDB with what MariaDB has too.
func tidbSource(t *testing.T) *server {
	s := onTiDB(t)
	for i, c := range typeCases(logical.TiDB) {
		if strings.HasPrefix(c.def, "VECTOR") {
			continue
		}
		s.exec(fmt.Sprintf("CREATE TABLE t%d (id INT PRIMARY KEY, v %s) COLLATE utf8mb4_bin", i, c.def))
		for id, v := range c.values {
			_, err := s.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO t%d VALUES (?, ?)", i), id, []byte(v))
			if err != nil {
				_, err = s.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO t%d VALUES (?, ?)", i), id, v)
			}
			require.NoError(t, err, c.def)
		}
		s.exec(fmt.Sprintf("INSERT INTO t%d VALUES (-1, NULL)", i))
	}
	s.exec("CREATE TABLE parent (id BIGINT PRIMARY KEY AUTO_RANDOM, v VARCHAR(20)) COLLATE utf8mb4_general_ci", "INSERT INTO parent (v) VALUES ('a'), ('b')",
		"CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, p BIGINT, n INT DEFAULT 3, g VARCHAR(50) AS (CONCAT('g', n)), FOREIGN KEY (p) REFERENCES parent (id)) COLLATE utf8mb4_bin",
		"INSERT INTO child (p) SELECT id FROM parent", "INSERT INTO child (p) VALUES (NULL)",
		"CREATE TABLE parts (id INT, v INT, PRIMARY KEY (id)) COLLATE utf8mb4_bin PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
		"INSERT INTO parts VALUES (1, 1), (100, 2)", "CREATE SQL SECURITY INVOKER VIEW w AS SELECT id, v FROM parts WHERE v > 1",
		"CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(100), ts TIMESTAMP NULL) COLLATE utf8mb4_bin")
	for i := range 10 {
		var rows []string
		for n := i * 500; n < i*500+500; n++ {
			rows = append(rows, fmt.Sprintf("(%d, REPEAT('x''', %d), FROM_UNIXTIME(%d))", n, n%40, 1000000000+n*3600))
		}
		s.exec("INSERT INTO many VALUES " + strings.Join(rows, ","))
	}
	return s
}

// same requires a database of MariaDB to hold what the one of the same name in TiDB does.
func same(t *testing.T, from *server) {
	t.Helper()
	to := mariadb.Shared(t).DB(t, from.name)
	for _, table := range from.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1") {
		var columns []string
		for _, c := range from.rows("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '" + table + "' ORDER BY ordinal_position") {
			switch kind := from.rows("SELECT data_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '" + table + "' AND column_name = '" + c + "'")[0]; kind {
			case "json":
				c = "JSON_EXTRACT(`" + c + "`, '$[0]', '$.a[0]')" // the servers write JSON in two ways
			case "float", "double":
				c = "`" + c + "` + 0" // so they do with digits
			case "bit":
				c = "HEX(`" + c + "`)"
			case "char", "varchar", "text", "longtext": // TiDB keeps latin1 as UTF-8
				c = "HEX(CONVERT(`" + c + "` USING utf8mb4))"
			case "year", "time", "timestamp", "datetime", "date", "decimal", "set", "enum":
			default:
				c = "HEX(`" + c + "`)"
			}
			columns = append(columns, c)
		}
		query := "SELECT " + strings.Join(columns, ", ") + " FROM `" + table + "` ORDER BY id"
		require.Equal(t, from.rows(query), rowsOf(t, to, query), table)
	}
}

// TestDumpOfTiDBIntoMariaDB: what Dumpling wrote of TiDB, as SQL, as CSV, compressed, arrives in MariaDB row by row, also when the load is interrupted.
func TestDumpOfTiDBIntoMariaDB(t *testing.T) {
	t.Parallel()
	from := tidbSource(t)
	to := onMariaDB(t)
	program, err := peers.BuildDumpling(t.Context())
	require.NoError(t, err)
	for _, d := range []peers.Dumpling{{FileType: "sql", Flags: []string{"--rows=700"}}, {FileType: "csv", Flags: []string{"--rows=900"}}, {FileType: "sql", Compress: "gzip"}} {
		folder := t.TempDir()
		d.Bin, d.Cluster, d.Databases, d.Dir, d.WorkDir = program, playground.Shared(t), []string{from.name}, folder, t.TempDir()
		_, err := d.Run(t.Context())
		require.NoError(t, err)
		task := loadTask(t, to, folder)
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("interrupted")
		batches := atomic.Int64{}
		task.Committed = func(logical.Counts) {
			if batches.Add(1) == 5 {
				cancel(stop)
			}
		}
		_, err = load(ctx, task)
		require.ErrorIs(t, err, stop)
		sum, err := load(t.Context(), task)
		require.NoError(t, err, d.FileType)
		require.Greater(t, sum.Rows.Rows, int64(5000))
		same(t, from)
		_, err = to.db.ExecContext(t.Context(), "DROP DATABASE "+from.name)
		require.NoError(t, err)
	}
}

// TestRefusedDump: everything that a server can't have is said at once, before anything is made.
func TestRefusedDump(t *testing.T) {
	t.Parallel()
	to := onMariaDB(t)
	folder := t.TempDir()
	for name, text := range map[string]string{
		"refused.v-schema.sql":             "CREATE TABLE v (id INT, e VECTOR(3));",
		"refused.c-schema.sql":             "CREATE TABLE c (id INT, e VARCHAR(3) COLLATE utf8mb4_0900_ai_ci, KEY k ((id + 1)));",
		"refused.fine-schema.sql":          "CREATE TABLE fine (id BIGINT PRIMARY KEY AUTO_RANDOM);",
		"refused.s-schema-sequence.sql":    "CREATE SEQUENCE s;",
		"refused.unknown.0001.csv":         "id\n1\n",
		"refused-schema-create.sql":        "CREATE DATABASE refused;",
		"mysql.user-schema.sql":            "CREATE TABLE user (a INT);",
		"refused.fine-schema-triggers.sql": "CREATE TRIGGER x BEFORE INSERT ON fine FOR EACH ROW SET NEW.id = 1;",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	_, err := load(t.Context(), loadTask(t, to, folder))
	require.Error(t, err)
	require.EqualValues(t, 8173, fault.As(err).Code)
	for _, what := range []string{"the type VECTOR of column e", "the collation utf8mb4_0900_ai_ci of column e", "the expression in index k", "sequence `refused`.`s`", "no schema file says how to make it"} {
		require.ErrorContains(t, err, what)
	}
	require.Empty(t, to.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'refused'"))
}

// TestMissingParents: foreign keys hold when all rows are there, in whatever order tables come.
func TestMissingParents(t *testing.T) {
	t.Parallel()
	to := onMariaDB(t)
	folder := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, to.name+name), []byte(text), 0o600))
	}
	write(".a_child-schema.sql", "CREATE TABLE a_child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id));")
	write(".parent-schema.sql", "CREATE TABLE parent (id INT PRIMARY KEY);")
	write(".a_child.0001.csv", "id,p\n1,1\n2,\\N\n3,7\n")
	write(".parent.0001.csv", "id\n1\n")
	_, err := load(t.Context(), loadTask(t, to, folder))
	require.Error(t, err)
	require.EqualValues(t, 1452, fault.As(err).Code)
	require.ErrorContains(t, err, `("7")`)
	to.exec("INSERT INTO parent VALUES (7)")
	sum, err := load(t.Context(), loadTask(t, to, folder+"/"))
	require.Error(t, err, "another job finds the rows of the first one")
	require.EqualValues(t, 1062, fault.As(err).Code)
	require.NotNil(t, sum)
	task := loadTask(t, to, folder)
	task.OnDuplicate = logical.DuplicateIgnore
	sum, err = load(t.Context(), task)
	require.NoError(t, err)
	require.EqualValues(t, 4, sum.Rows.Ignored)
}
