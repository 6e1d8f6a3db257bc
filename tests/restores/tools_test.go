package restores_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/tests/peers"
	"github.com/sluicedb/sluice/tests/playground"
)

// longEnv asks for every tool with every compression, and for dumps of 3,000 small tables, by the value "long".
const longEnv = "SLUICE_RESTORE"

func long() bool { return os.Getenv(longEnv) == "long" }

// fewTables and manyTables are how many small tables a dump has.
const fewTables, manyTables = 5, 3000

// tooled is a database of TiDB, and one with an exotic name beside it, that tools dump.
type tooled struct {
	*bench
	// names are those of the databases: the first has tables of every sort.
	names []string
}

// sorts are tables of every sort whose names every tool writes in files' names.
var sorts = []string{
	"CREATE TABLE plain (id BIGINT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100), d DECIMAL(10,3), j JSON, b BLOB, bt BIT(9), e ENUM('x','y'), st SET('p','q'), " +
		"ts TIMESTAMP(3) NULL, y YEAR, ti TIME(2), f FLOAT, dbl DOUBLE, bin BINARY(4), KEY (v(10)), UNIQUE KEY (d))",
	`INSERT INTO plain (v, d, j, b, bt, e, st, ts, y, ti, f, dbl, bin) VALUES
		('a,"b', 1.5, '{"k": [1, "x"]}', x'00ff5c22270a0d1a', b'101', 'y', 'p,q', '2026-01-02 03:04:05.678', 2026, '-12:34:56.78', 1.5, 1e100, x'00ff5c27'),
		('NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('line\nbreak\\', -3, '"\\\\"', '', 0, 'x', '', '2026-01-01', 1901, '838:59:59', -0.1, -1e-300, ''),
		('äöü 中 😀', -12345.678, 'null', '\\N', 1, 'x', 'q', '1970-01-02', 2000, 0, 0, 0, 'abcd')`,
	"CREATE TABLE parted (a INT, b VARCHAR(20) COLLATE utf8mb4_general_ci, g INT GENERATED ALWAYS AS (a * 2) STORED, w INT AS (a + 1) VIRTUAL, PRIMARY KEY (a, b) CLUSTERED, KEY (w)) " +
		"PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
	"INSERT INTO parted (a, b) VALUES (1, 'x'), (1, 'X y'), (100, 'y')",
	"CREATE TABLE hashed (a INT, b INT, KEY (b)) PARTITION BY HASH (a) PARTITIONS 4", "INSERT INTO hashed VALUES (1, 2), (NULL, 3), (7, NULL), (7, NULL)",
	"CREATE TABLE randomly (id BIGINT PRIMARY KEY AUTO_RANDOM, v INT)", "INSERT INTO randomly (v) VALUES (1), (2), (3)",
	"CREATE TABLE parent (a INT PRIMARY KEY) COMMENT 'it''s \"odd\"; 中'", "INSERT INTO parent VALUES (1), (2)",
	"CREATE TABLE child (a INT, FOREIGN KEY (a) REFERENCES parent (a))", "INSERT INTO child VALUES (2), (NULL)",
	"CREATE TABLE empty (a INT)",
	"CREATE TABLE `select` (`from` INT, `col umn` INT)", "INSERT INTO `select` VALUES (1, 2)",
	"CREATE TABLE `Größe 中` (`ä` INT)", "INSERT INTO `Größe 中` VALUES (1)",
	"CREATE TABLE `dots.and..more` (A INT)", "INSERT INTO `dots.and..more` VALUES (1)",
	"CREATE TABLE `UPPER` (A INT)", "INSERT INTO `UPPER` VALUES (1)",
	"CREATE TABLE `n2345678901234567890123456789012345678901234567890123456789_LAST` (a INT)",
}

// exoticName is a name's end. tidb-lightning fails on databases with a % or a slash.
const exoticName = " Ex.otic 中"

// exotic are objects that not every tool can dump.
var exotic = []string{
	"CREATE TABLE `odd name%/` (`col umn` INT, `quo``te` TEXT)", "INSERT INTO `odd name%/` VALUES (1, 'N'), (2, '\\\\N'), (3, NULL), (4, ''), (5, 'NULL')",
	"CREATE TABLE `100%` (a INT)", "INSERT INTO `100%` VALUES (100)", "CREATE TABLE `a%2Eb` (a INT)", "INSERT INTO `a%2Eb` VALUES (1)",
	"CREATE TABLE `back``tick` (a INT)", "INSERT INTO `back``tick` VALUES (1)", "CREATE TABLE `-schema` (a INT)", "INSERT INTO `-schema` VALUES (1)",
	"CREATE TABLE `t-schema-view` (a INT)", "INSERT INTO `t-schema-view` VALUES (1)", "CREATE TABLE `00001` (a INT)", "INSERT INTO `00001` VALUES (1)",
	"CREATE SEQUENCE seq START 5", "CREATE TABLE drawn (a INT, n BIGINT DEFAULT NEXTVAL(seq))", "INSERT INTO drawn (a) VALUES (1), (2)",
	"CREATE VIEW zv AS SELECT p.a, q.v FROM parted p JOIN plain q", "CREATE VIEW av AS SELECT a FROM zv",
}

// newTooled makes the databases. Without another one, of which other is the name's end, there is only what every tool can dump.
func newTooled(t *testing.T, other string) *tooled {
	t.Helper()
	b := newBench(t)
	d := &tooled{bench: b, names: []string{b.name}}
	b.exec(sorts...)
	if other != "" {
		b.exec(exotic...)
		other = b.name + other
		d.names = append(d.names, other)
		b.exec("CREATE DATABASE "+quote(other), "CREATE TABLE "+quote(other)+".`same.name` (a INT PRIMARY KEY, b TEXT)", "INSERT INTO "+quote(other)+".`same.name` VALUES (1, 'x')")
		b.drop(other)
	}
	d.small(fewTables)
	return d
}

// makers is how many small tables are made at a time: TiDB makes them together then.
const makers = 16

// small makes n small tables.
func (d *tooled) small(n int) {
	d.t.Helper()
	group, ctx := errgroup.WithContext(d.t.Context())
	group.SetLimit(makers)
	for i := range n {
		group.Go(func() error {
			table := fmt.Sprintf("%s.small_%04d", quote(d.name), i)
			_, err := d.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (id INT PRIMARY KEY, t TEXT, KEY (t(5)))")
			if err == nil {
				_, err = d.db.ExecContext(ctx, fmt.Sprintf("REPLACE INTO %s VALUES (%d, 'a'), (%d, NULL)", table, i, i+1))
			}
			return err
		})
	}
	require.NoError(d.t, group.Wait())
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// nextID is what SHOW CREATE says of automatic ids: what was cached of them is not dumped.
var nextID = regexp.MustCompile(` AUTO_INCREMENT=\d+| /\*T!\[auto_rand_base\] AUTO_RANDOM_BASE=\d+ \*/`)

// state is what the databases hold, by what it is the state of: definitions, rows in any order, number and size of the pairs.
func (d *tooled) state() map[string]string {
	d.t.Helper()
	out := map[string]string{}
	for _, db := range d.names {
		out["database "+db] = d.rows("SHOW CREATE DATABASE " + quote(db))[0]
		var tables []string
		for _, row := range d.rows("SHOW FULL TABLES FROM " + quote(db)) {
			at := strings.LastIndex(row, "|")
			name, kind := quote(db)+"."+quote(row[:at]), row[at+1:]
			out[kind+" "+name] = nextID.ReplaceAllString(d.rows("SHOW CREATE TABLE " + name)[0], "")
			if kind == "SEQUENCE" {
				continue
			}
			rows := d.rows("SELECT * FROM " + name)
			slices.Sort(rows)
			out["rows of "+name] = strings.Join(rows, "\n")
			if kind == "BASE TABLE" {
				tables = append(tables, name)
			}
		}
		for some := range slices.Chunk(tables, 50) {
			list := strings.Join(some, ", ")
			for _, row := range d.rows("ADMIN CHECKSUM TABLE " + list) { // in any order
				sum := strings.Split(row, "|")
				out["pairs of "+quote(sum[0])+"."+quote(sum[1])] = sum[3] + ", " + sum[4] + " bytes"
			}
			d.exec("ADMIN CHECK TABLE " + list)
		}
	}
	return out
}

func (d *tooled) dropAll() {
	d.t.Helper()
	for _, db := range d.names {
		d.exec("DROP DATABASE " + quote(db))
	}
}

// dumpling dumps with the program.
func (d *tooled) dumpling(fileType, compress string) {
	d.t.Helper()
	bin, err := peers.BuildDumpling(d.t.Context())
	require.NoError(d.t, err)
	_, err = peers.Dumpling{
		Bin: bin, Cluster: playground.Shared(d.t), Databases: d.names, Dir: d.dir, FileType: fileType, Compress: compress, WorkDir: d.t.TempDir(),
	}.Run(d.t.Context())
	require.NoError(d.t, err)
}

// tool runs one of MariaDB's tools against TiDB and returns what it writes.
func (d *tooled) tool(program string, args ...string) []byte {
	d.t.Helper()
	host, port, err := net.SplitHostPort(playground.Shared(d.t).TiDB)
	require.NoError(d.t, err)
	cmd := exec.CommandContext(d.t.Context(), program, append([]string{"--host=" + host, "--port=" + port, "--user=root"}, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(d.t, err, "tests/deps.sh installs %s: %s", program, complaints.Bytes())
	return out
}

// mysqldump writes a schema file and a data file for each table, the way to bring mysqldump's dumps to tidb-lightning.
func (d *tooled) mysqldump(suffix string) {
	d.t.Helper()
	options := []string{"--default-character-set=utf8mb4", "--hex-blob", "--skip-lock-tables", "--skip-add-locks", d.name} // tidb-lightning can't read LOCK TABLES
	for _, table := range d.rows("SHOW TABLES") {
		d.pack(d.name+"."+table+"-schema.sql"+suffix, d.tool("mysqldump", append(options, table, "--no-data")...))
		d.pack(d.name+"."+table+".sql"+suffix, d.tool("mysqldump", append(options, table, "--no-create-info")...))
	}
}

// pack writes a file of the dump, compressed as its suffix says.
func (d *tooled) pack(name string, text []byte) {
	d.t.Helper()
	var out bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz":
		w := gzip.NewWriter(&out)
		_, err := w.Write(text)
		require.NoError(d.t, err)
		require.NoError(d.t, w.Close())
	case ".zst":
		w, err := zstd.NewWriter(&out)
		require.NoError(d.t, err)
		_, err = w.Write(text)
		require.NoError(d.t, err)
		require.NoError(d.t, w.Close())
	default:
		out.Write(text)
	}
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, name), out.Bytes(), 0o600))
}

// defaultMode is TiDB's sql_mode, which tidb-lightning has too.
func defaultMode(t *testing.T) mysql.SQLMode {
	mode, err := mysql.GetSQLMode(mysql.DefaultSQLMode)
	require.NoError(t, err)
	return mode
}

// again restores the dump into the databases that it was made of, which are gone, and returns what they hold then.
func (d *tooled) again() map[string]string {
	d.t.Helper()
	task := d.task()
	task.Session.SQLMode = defaultMode(d.t)
	began := time.Now()
	d.restore(task)
	d.t.Logf("Sluice: %s", time.Since(began))
	return d.state()
}

// sequences makes those of the dump and takes them out of it: tidb-lightning knows no sequences.
func (d *tooled) sequences() {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "*-schema-sequence.sql*"))
	require.NoError(d.t, err)
	for _, file := range files {
		d.exec("CREATE DATABASE IF NOT EXISTS $", "CREATE SEQUENCE $.seq START 5")
		require.NoError(d.t, os.Remove(file))
	}
}

// lightning is again by tidb-lightning.
func (d *tooled) lightning() map[string]string {
	d.t.Helper()
	d.sequences()
	bin, err := peers.BuildLightning(d.t.Context())
	require.NoError(d.t, err)
	usage, err := peers.Lightning{
		Bin: bin, Cluster: playground.Shared(d.t), SourceDir: d.dir, Dump: true, Bare: true, WorkDir: d.t.TempDir(), Threads: 2,
	}.Run(d.t.Context())
	require.NoError(d.t, err)
	d.t.Logf("tidb-lightning: %s", usage.Wall)
	return d.state()
}

// TestTools: what Sluice restores of a tool's dump is what the source held, and what tidb-lightning restores of it.
func TestTools(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name string
		// short tells that the plain run has it too.
		short bool
		// other is newTooled's.
		other string
		// many tells that the long run dumps many tables.
		many bool
		dump func(*tooled)
	}{
		{"dumpling sql", false, exoticName, true, func(d *tooled) { d.dumpling("sql", "") }},
		{"dumpling sql gzip", false, exoticName, false, func(d *tooled) { d.dumpling("sql", "gzip") }},
		{"dumpling sql zstd", false, exoticName, false, func(d *tooled) { d.dumpling("sql", "zstd") }},
		{"dumpling sql snappy", false, exoticName, false, func(d *tooled) { d.dumpling("sql", "snappy") }},
		{"dumpling csv", false, exoticName, false, func(d *tooled) { d.dumpling("csv", "") }},
		{"dumpling csv gzip", false, exoticName, false, func(d *tooled) { d.dumpling("csv", "gzip") }},
		{"dumpling csv zstd", true, exoticName, true, func(d *tooled) { d.dumpling("csv", "zstd") }},
		{"dumpling csv snappy", false, exoticName, false, func(d *tooled) { d.dumpling("csv", "snappy") }},
		{"mydumper", false, "", false, func(d *tooled) { d.tool("mydumper", "--database="+d.name, "--outputdir="+d.dir) }},
		{"mydumper gzip", true, "", true, func(d *tooled) { d.tool("mydumper", "--database="+d.name, "--outputdir="+d.dir, "--compress") }},
		{"mysqldump", true, "", false, func(d *tooled) { d.mysqldump("") }},
		{"mysqldump gzip", false, "", false, func(d *tooled) { d.mysqldump(".gz") }},
		{"mysqldump zstd", false, "", false, func(d *tooled) { d.mysqldump(".zst") }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			if !kind.short && !long() {
				t.Skip(longEnv + "=long has it")
			}
			if !long() {
				t.Parallel()
			}
			d := newTooled(t, kind.other)
			if kind.many && long() {
				d.small(manyTables)
			}
			source := d.state()
			kind.dump(d)
			d.dropAll()
			require.Equal(t, source, d.again())
			d.dropAll()
			require.Equal(t, source, d.lightning(), "tidb-lightning")
		})
	}
}

// TestOneFile: mysqldump's one file, which tidb-lightning can't read, holds all that the source held, whatever it is compressed by.
func TestOneFile(t *testing.T) {
	t.Parallel()
	suffixes := []string{".gz"}
	if long() {
		suffixes = []string{"", ".gz", ".zst"}
	}
	for _, suffix := range suffixes {
		t.Run(strings.TrimPrefix(suffix, "."), func(t *testing.T) {
			if !long() {
				t.Parallel()
			}
			d := newTooled(t, exoticName+"%/")
			if long() && suffix == ".gz" {
				d.small(manyTables)
			}
			source := d.state()
			d.pack("all.sql"+suffix, d.tool("mysqldump", append([]string{"--default-character-set=utf8mb4", "--hex-blob", "--databases"}, d.names...)...))
			d.dropAll()
			require.Equal(t, source, d.again())
			require.Equal(t, []string{"1"}, d.rows("SELECT n = 5 FROM $.drawn WHERE a = 1"))
		})
	}
}
