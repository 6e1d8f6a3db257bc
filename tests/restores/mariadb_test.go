package restores_test

import (
	"compress/gzip"
	"database/sql"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/mariadb"
)

// mariaTables are tables of all sorts for MariaDB, with rows.
var mariaTables = []string{
	"CREATE TABLE items (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) NOT NULL DEFAULT 'x', tiny TINYINT, u INT UNSIGNED, d DECIMAL(20,6), " +
		"f FLOAT, dbl DOUBLE, bt BIT(9), e ENUM('a','b','it''s'), st SET('p','q'), da DATE, ti TIME(3), dt DATETIME(6), y YEAR, bin BINARY(4), vb VARBINARY(300), " +
		"bl LONGBLOB, tx MEDIUMTEXT, j JSON, g INT GENERATED ALWAYS AS (tiny + 1) STORED, gv INT AS (tiny * 2) VIRTUAL, " +
		"ts TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (name(10)), UNIQUE KEY (d))",
	`INSERT INTO items (name, tiny, u, d, f, dbl, bt, e, st, da, ti, dt, y, bin, vb, bl, tx, j, ts) VALUES
		('it''s "q" \\ \n \t \0 \Z %_ \\N', -1, 4294967295, 12.5, 1.5, 1e100, b'101010101', 'it''s', 'p,q', '2026-01-02', '-12:34:56.789', '2026-01-02 03:04:05.678901', 2026, x'00ff5c27',
			x'0001020a0d1a2227255c80ff', x'ff00c328', 'äöü 中 😀', '{"a": [1, "x\\n"]}', '2026-01-02 03:04:05'),
		('', 127, 0, -12345678901234.567891, -0.1, -1e-300, 0, 'a', '', '1000-01-01', '838:59:59', '9999-12-31 23:59:59.999999', 1901, '', '', '', '', 'null', '1970-01-02 00:00:00'),
		('NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	"CREATE TABLE nokey (a INT, b VARCHAR(10), KEY (a)) ENGINE=MyISAM COMMENT='it''s; odd'",
	"INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (NULL, ';')",
	"CREATE TABLE pairs (a VARCHAR(20), b DATE, c INT DEFAULT -1, PRIMARY KEY (a, b))",
	"INSERT INTO pairs SELECT CONCAT('k', seq), '2026-01-01' + INTERVAL seq DAY, seq FROM seq_1_to_5000",
	"CREATE TABLE nothing (id INT PRIMARY KEY)",
	"CREATE SQL SECURITY INVOKER VIEW z_named AS SELECT id, name FROM items WHERE tiny IS NULL",
	"CREATE SQL SECURITY INVOKER VIEW a_pairs AS SELECT p.a, z.name FROM pairs p JOIN z_named z WHERE p.c < 3",
	"CREATE TRIGGER tr BEFORE INSERT ON items FOR EACH ROW SET NEW.tiny = 1",
	"CREATE PROCEDURE proc() BEGIN SELECT 1; END",
}

// maria fills two databases of a MariaDB, $_m with mariaTables and $_n with a sequence and a table.
func (b *bench) maria() *maria {
	server := mariadb.Shared(b.t)
	admin := server.DB(b.t, "")
	m := &maria{bench: b, server: server, db: admin}
	for _, name := range []string{"$_m", "$_n"} {
		m.do(admin, "CREATE DATABASE "+name+" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
		b.drop(b.own(name))
	}
	db := server.DB(b.t, b.own("$_m"))
	for _, s := range mariaTables {
		m.do(db, s)
	}
	m.do(admin, "CREATE SEQUENCE $_n.seq START WITH 5 INCREMENT BY 5", "DO NEXTVAL($_n.seq)", "CREATE TABLE $_n.other (id INT PRIMARY KEY, t TEXT)",
		"INSERT INTO $_n.other VALUES (1, 'one'), (2, NULL)")
	return m
}

// maria is a test's databases in MariaDB.
type maria struct {
	*bench
	server *mariadb.Server
	db     *sql.DB
}

// on is the same for a subtest.
func (m *maria) on(t *testing.T) *maria {
	b := *m.bench
	b.t = t
	return &maria{bench: &b, server: m.server, db: m.db}
}

func (m *maria) do(db *sql.DB, statements ...string) {
	m.t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(m.t.Context(), m.own(s))
		require.NoError(m.t, err, s)
	}
}

// tool runs a dumping tool with the server's account and returns what it writes.
func (m *maria) tool(program string, args ...string) string {
	m.t.Helper()
	for i := range args {
		args[i] = m.own(args[i])
	}
	args = append([]string{"--socket=" + m.server.Socket, "--user=" + mariadb.User, "--password=" + mariadb.Password}, args...)
	cmd := exec.CommandContext(m.t.Context(), program, args...)
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); err != nil {
		require.ErrorAs(m.t, err, &failed, "tests/deps.sh installs %s", program)
		require.NoError(m.t, err, "%s", failed.Stderr)
	}
	return string(out)
}

// like compares $_m with the database that it was restored as: rows, views and what follows the greatest automatic id.
func (m *maria) like(restored string) {
	m.t.Helper()
	for _, table := range []string{"items", "nokey", "pairs", "nothing", "z_named", "a_pairs"} {
		what := "*"
		if table == "items" { // the time zones of the sessions don't matter
			what = "id, name, tiny, u, d, f, dbl, bt, e, st, da, ti, dt, y, bin, vb, bl, tx, j, g, gv, UNIX_TIMESTAMP(ts)"
		}
		want := m.rowsFrom(m.db, "SELECT "+what+" FROM $_m."+table)
		require.ElementsMatch(m.t, want, m.rows("SELECT "+what+" FROM `"+restored+"`."+table), table)
	}
	require.Len(m.t, m.rows("SELECT * FROM `"+restored+"`.pairs"), 5000)
	for _, table := range []string{"items", "nokey", "pairs", "nothing"} {
		m.exec("ADMIN CHECK TABLE `" + restored + "`." + table)
	}
	m.exec("INSERT INTO `" + restored + "`.items (tiny) VALUES (99)")
	require.Equal(m.t, []string{"1"}, m.rows("SELECT id > 3 FROM `"+restored+"`.items WHERE tiny = 99"))
	m.exec("DROP DATABASE `" + restored + "`")
}

// likeOther compares $_n.
func (m *maria) likeOther() {
	m.t.Helper()
	require.Equal(m.t, []string{"1|one", "2|NULL"}, m.rows("SELECT * FROM $_n.other ORDER BY id"))
	require.Equal(m.t, m.rowsFrom(m.db, "SELECT next_not_cached_value FROM $_n.seq"), m.rows("SELECT NEXTVAL($_n.seq)"))
	m.exec("DROP DATABASE $_n")
}

// as is the selection of one database under another name.
func (m *maria) as(from, to string) restore.Selection {
	from, to = m.own(from), m.own(to)
	m.drop(to)
	return restore.Selection{Databases: []string{from}, Renames: []restore.Rename{{From: restore.Name{DB: from}, To: restore.Name{DB: to}}}}
}

// in is a task for a folder of its own.
func (m *maria) in(fill func(dir string)) restore.Task {
	task := m.task()
	task.Location = m.t.TempDir()
	fill(task.Location)
	return task
}

// skips expects a reason with all of the texts.
func (m *maria) skips(sum *restore.Summary, texts ...string) {
	m.t.Helper()
	var all strings.Builder
	for _, s := range sum.Skipped {
		all.WriteString(s.Path + ": " + s.Reason + "\n")
	}
	for _, text := range texts {
		require.Contains(m.t, all.String(), text)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	var to io.WriteCloser = file
	if strings.HasSuffix(path, ".gz") {
		to = gzip.NewWriter(file)
	}
	_, err = io.WriteString(to, text)
	require.NoError(t, err)
	require.NoError(t, to.Close())
	if to != io.WriteCloser(file) {
		require.NoError(t, file.Close())
	}
}

// TestMysqldump restores what mysqldump writes of a MariaDB, and compares it with what is there.
func TestMysqldump(t *testing.T) {
	all := newBench(t).maria()
	t.Run("databases", func(t *testing.T) {
		m := all.on(t)
		task := m.in(func(dir string) {
			write(t, filepath.Join(dir, "two.sql"), m.tool("mysqldump", "--routines", "--databases", "$_m", "$_n"))
		})
		sum := m.restore(task)
		require.Equal(t, []int{2, 5, 2, 1}, []int{sum.Databases, sum.Tables, sum.Views, sum.Sequences})
		require.EqualValues(t, 3+3+5000+2, sum.Rows)
		m.skips(sum, "two.sql: not restored, trigger: tr (line ", "two.sql: not restored, procedure: proc (line ")
		m.like(m.own("$_m"))
		m.likeOther()
	})
	t.Run("all databases, compressed", func(t *testing.T) {
		m := all.on(t)
		task := m.in(func(dir string) {
			write(t, filepath.Join(dir, "all.sql.gz"), m.tool("mysqldump", "--hex-blob", "--all-databases"))
		})
		m.restore(task)
		m.like(m.own("$_m"))
		m.likeOther()
	})
	t.Run("a database without its name", func(t *testing.T) {
		m := all.on(t)
		task := m.in(func(dir string) {
			write(t, filepath.Join(dir, "backup.sql"), m.tool("mysqldump", "--skip-extended-insert", "--complete-insert", "$_m"))
		})
		task.Selection = m.as("$_m", "$_copy")
		m.restore(task)
		m.like(m.own("$_copy"))
	})
	t.Run("files with the names of databases", func(t *testing.T) {
		m := all.on(t)
		task := m.in(func(dir string) {
			write(t, filepath.Join(dir, m.own("$_x.sql")), m.tool("mysqldump", "$_m"))
			write(t, filepath.Join(dir, m.own("$_n.sql")), m.tool("mysqldump", "$_n"))
		})
		m.drop(m.own("$_x"))
		m.restore(task)
		m.like(m.own("$_x"))
		m.likeOther()
	})
	t.Run("what TiDB doesn't have", func(t *testing.T) {
		m := all.on(t)
		m.do(m.db, "CREATE TABLE $_n.aria (a INT) ENGINE=Aria")
		defer m.do(m.db, "DROP TABLE $_n.aria")
		text := m.tool("mysqldump", "--databases", "$_n")
		task := m.in(func(dir string) { write(t, filepath.Join(dir, "n.sql"), text) })
		before, _, _ := strings.Cut(text, "CREATE TABLE `aria`")
		line := strings.Count(before, "\n") + 1
		m.fails(task, "n.sql has in line "+strconv.Itoa(line)+" can't be restored: line "+strconv.Itoa(line+2)+" column", "PAGE_CHECKSUM")
		require.Empty(t, m.rows("SHOW DATABASES LIKE '$\\_n'"))
		task.Selection.Filters = []string{"*.*", "!*.aria"}
		m.restore(task)
		m.likeOther()
	})
}

// TestMydumper is the same with Debian's mydumper.
func TestMydumper(t *testing.T) {
	all := newBench(t).maria()
	for _, args := range [][]string{{}, {"--compress"}, {"--rows=700"}, {"--statement-size=1000", "--chunk-filesize=1"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			m := all.on(t)
			task := m.in(func(dir string) {
				m.tool("mydumper", append([]string{"--database=$_m", "--outputdir=" + dir, "--triggers", "--routines", "--events"}, args...)...)
			})
			sum := m.restore(task)
			require.Equal(t, []int{1, 4, 2}, []int{sum.Databases, sum.Tables, sum.Views})
			m.skips(sum, "-schema-triggers.sql", "-schema-post.sql", "placeholder")
			m.like(m.own("$_m"))
		})
	}
	t.Run("a sequence as a table", func(t *testing.T) {
		m := all.on(t)
		task := m.in(func(dir string) { m.tool("mydumper", "--database=$_n", "--outputdir="+dir) })
		m.fails(task, "$_n.seq-schema.sql can't be restored: line ", "SEQUENCE=1")
		require.Empty(t, m.rows("SHOW DATABASES LIKE '$\\_n'"))
	})
}
