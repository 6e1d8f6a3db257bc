package logical_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// restorer is one of the test's server.
func (s *server) restorer() *restore.Restorer {
	return restore.NewBySQL(restore.SQLConfig{
		Server: logical.Params{Addrs: []string{s.addr}, User: s.user, Password: s.password}, Logger: zaptest.NewLogger(s.t),
	})
}

// restoreTask restores all that is in a folder.
func restoreTask(folder string) restore.Task {
	return restore.Task{
		JobID: jobs.Add(1), Location: folder, Selection: restore.Selection{Everything: true}, Checkpoints: &checkpoints{},
		Options: restore.Options{CSV: restore.DefaultCSV(), CSVHeader: true, Checksum: importcore.ChecksumRequired},
		Session: restore.Session{SQLMode: strict}, Threads: 2, MemoryBudget: importcore.DefaultMemoryBudget,
	}
}

// restored runs a task, from its beginning or from where it was.
func restored(ctx context.Context, r *restore.Restorer, task restore.Task) (*restore.Summary, error) {
	plan, err := r.Plan(ctx, task)
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx)
}

// checkpoints keeps one in memory.
type checkpoints struct {
	mu   sync.Mutex
	data []byte
}

func (c *checkpoints) Load(context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data, nil
}

func (c *checkpoints) Save(_ context.Context, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = data
	return nil
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
		task, r := restoreTask(folder), to.restorer()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := 0
		task.Events = func(e restore.Event) {
			if e.State == restore.TableDone && e.Rows > 0 {
				if done++; done == 5 {
					cancel(importcore.ErrPaused)
				}
			}
		}
		_, err = restored(ctx, r, task)
		require.ErrorIs(t, err, importcore.ErrPaused)
		task.Events = nil
		sum, err := restored(t.Context(), r, task)
		require.NoError(t, err, d.FileType)
		require.Greater(t, sum.Rows, int64(5000))
		require.Empty(t, to.rows("SELECT COUNT(*) FROM sluice.logical_ledger WHERE table_schema = '"+from.name+"' HAVING COUNT(*) > 0"), "the job is over")
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
		"refused.m-schema.sql":             "CREATE TABLE m (id INT) ENGINE=MyISAM;",
		"refused.fine-schema.sql":          "CREATE TABLE fine (id BIGINT PRIMARY KEY AUTO_RANDOM);",
		"refused.s-schema-sequence.sql":    "CREATE SEQUENCE s;",
		"refused.unknown.0001.csv":         "id\n1\n",
		"refused-schema-create.sql":        "CREATE DATABASE refused;",
		"mysql.user-schema.sql":            "CREATE TABLE user (a INT);",
		"refused.fine-schema-triggers.sql": "CREATE TRIGGER x BEFORE INSERT ON fine FOR EACH ROW SET NEW.id = 1;",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	_, err := restored(t.Context(), to.restorer(), restoreTask(folder))
	require.Error(t, err)
	require.EqualValues(t, 8173, fault.As(err).Code)
	for _, what := range []string{"the type VECTOR of column e", "the collation utf8mb4_0900_ai_ci of column e", "the expression in index k",
		"table `refused`.`m`: the engine MyISAM, which has no transactions", "no schema file that says how to make it"} {
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
	r := to.restorer()
	_, err := restored(t.Context(), r, restoreTask(folder))
	require.Error(t, err)
	require.EqualValues(t, 1452, fault.As(err).Code)
	require.ErrorContains(t, err, `("7")`)
	require.ErrorContains(t, err, "what the job had made was dropped")
	require.Empty(t, to.rows("SHOW TABLES"))

	// Into tables that are there, and hold rows: what was brought in stays when the job fails, and when it is tried again it goes on behind that.
	to.exec("CREATE TABLE parent (id INT PRIMARY KEY)", "INSERT INTO parent VALUES (7)",
		"CREATE TABLE a_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))", "INSERT INTO a_child VALUES (3, 7)")
	task := restoreTask(folder)
	task.Options.Concurrency = 1
	_, err = restored(t.Context(), r, task)
	require.Error(t, err)
	require.EqualValues(t, 1062, fault.As(err).Code)
	require.ErrorContains(t, err, "a_child.0001.csv, line 4")
	require.ErrorContains(t, err, "left behind: table `"+to.name+"`.`parent` with 1 rows that the job has brought in")
	to.exec("DELETE FROM a_child")
	sum, err := restored(t.Context(), r, task)
	require.NoError(t, err)
	require.EqualValues(t, 4, sum.Rows)
	require.Equal(t, []string{"1", "7"}, to.rows("SELECT id FROM parent ORDER BY 1"))

	task = restoreTask(folder)
	task.Options.OnDuplicate = importcore.DuplicateIgnore
	sum, err = restored(t.Context(), r, task)
	require.NoError(t, err)
	require.Zero(t, sum.Rows)
	require.Contains(t, strings.Join(sum.Warnings, "; "), "3 rows were left out because of rows with the same keys")
}

// TestDatabaseDefaults: databases get the dump's default character set and collation, as far as the server has them.
func TestDatabaseDefaults(t *testing.T) {
	t.Parallel()
	to := onMariaDB(t)
	folder, german, other := t.TempDir(), to.name+"_german", to.name+"_other"
	for name, text := range map[string]string{
		german + "-schema-create.sql": "CREATE DATABASE `" + german + "` /*!40100 DEFAULT CHARACTER SET latin1 COLLATE latin1_german2_ci */;",
		german + ".t-schema.sql":      "CREATE TABLE t (v VARCHAR(3));", german + ".t.0001.csv": "v\nä\n",
		other + "-schema-create.sql": "CREATE DATABASE `" + other + "` CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;",
		other + ".t-schema.sql":      "CREATE TABLE t (v VARCHAR(3)) COLLATE utf8mb4_bin;",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	sum, err := restored(t.Context(), to.restorer(), restoreTask(folder))
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, db := range []string{german, other} {
			_, err := to.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE "+db)
			require.NoError(t, err)
		}
	})
	require.Equal(t, []string{"latin1_german2_ci", "utf8mb4"}, to.rows("SELECT IF(default_character_set_name = 'latin1', default_collation_name, default_character_set_name) "+
		"FROM information_schema.schemata WHERE schema_name LIKE '"+to.name+"\\_%' ORDER BY schema_name"))
	require.Equal(t, []string{"E4"}, to.rows("SELECT HEX(v) FROM `"+german+"`.t"))
	require.Contains(t, strings.Join(sum.Warnings, "; "), "database `"+other+"` does without the default collation utf8mb4_0900_ai_ci")
}
