package restores_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/pingcap/tidb/dumpling/export"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/playground"
)

// dumpling dumps the test's database into the bench's folder.
func (b *bench) dumpling(change func(*export.Config)) {
	b.t.Helper()
	pg := playground.Shared(b.t)
	host, port, err := net.SplitHostPort(pg.TiDB)
	require.NoError(b.t, err)
	cfg := export.DefaultConfig()
	cfg.Host, cfg.User, cfg.Databases, cfg.OutputDirPath = host, "root", []string{b.name}, b.dir
	cfg.Port, err = strconv.Atoi(port)
	require.NoError(b.t, err)
	cfg.TableFilter, err = export.ParseTableFilter(nil, []string{b.name + ".*"})
	require.NoError(b.t, err)
	cfg.NoViews, cfg.NoSequences, cfg.Threads = false, false, 2
	change(cfg)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	dumper, err := export.NewDumper(ctx, cfg)
	require.NoError(b.t, err)
	require.NoError(b.t, dumper.Dump())
	require.NoError(b.t, dumper.Close())
}

// fill makes tables of many shapes.
func (b *bench) fill() {
	b.exec(
		"CREATE TABLE plain (id BIGINT PRIMARY KEY AUTO_RANDOM, v VARCHAR(100), d DECIMAL(10,3), j JSON, b BLOB, bt BIT(9), e ENUM('x','y'), st SET('p','q'), ts TIMESTAMP(3) NULL, KEY (v), UNIQUE KEY (d))",
		`INSERT INTO plain (v, d, j, b, bt, e, st, ts) VALUES ('a,"b', 1.5, '{"k": [1, "x"]}', x'00ff5c22', b'101', 'y', 'p,q', '2026-01-02 03:04:05.678'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('line\nbreak\\', -3, '"\\\\"', '', 0, 'x', '', '2026-01-01')`,
		"CREATE TABLE parted (a INT, b VARCHAR(20), g INT GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b) CLUSTERED) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
		"INSERT INTO parted (a, b) VALUES (1, 'x'), (100, 'y')",
		"CREATE TABLE `odd. name%/` (`col umn` INT, `quo``te` TEXT) COMMENT 'it''s \\\\ odd'",
		"INSERT INTO `odd. name%/` VALUES (1, 'N'), (2, '\\\\N'), (3, NULL), (4, ''), (5, 'NULL')",
		"CREATE TABLE empty (a INT)",
		"CREATE SEQUENCE seq START 5", "SELECT nextval(seq)",
		"CREATE VIEW zv AS SELECT p.a, q.v FROM parted p JOIN plain q", "CREATE VIEW av AS SELECT a FROM zv",
	)
	for i := range 20 {
		b.exec(fmt.Sprintf("CREATE TABLE small_%d (id INT PRIMARY KEY, t TEXT)", i), fmt.Sprintf("INSERT INTO small_%d VALUES (1, 'a'), (2, 'b')", i))
	}
}

// equal compares two databases: every object's definition, every table's rows.
func (b *bench) equal(other string) {
	b.t.Helper()
	tables := b.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '$' AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1")
	require.Equal(b.t, tables, b.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '"+other+"' AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1"))
	for _, t := range tables {
		require.Equal(b.t, b.rows("SHOW CREATE TABLE `$`.`"+t+"`"), b.rows("SHOW CREATE TABLE `"+other+"`.`"+t+"`"))
		require.ElementsMatch(b.t, b.rows("SELECT * FROM `$`.`"+t+"`"), b.rows("SELECT * FROM `"+other+"`.`"+t+"`"), t)
		b.exec("ADMIN CHECK TABLE `" + other + "`.`" + t + "`")
	}
	for _, v := range []string{"zv", "av"} {
		require.ElementsMatch(b.t, b.rows("SELECT * FROM `$`."+v), b.rows("SELECT * FROM `"+other+"`."+v))
	}
}

func TestDumpling(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name   string
		change func(*export.Config)
	}{
		{"csv", func(c *export.Config) { c.FileType = export.FileFormatCSVString }},
		{"csv in gzip", func(c *export.Config) { c.FileType, c.CompressType = export.FileFormatCSVString, 1 }},
		{"sql", func(c *export.Config) { c.FileType = export.FileFormatSQLTextString }},
		{"sql with several rows a file", func(c *export.Config) { c.FileType, c.Rows, c.StatementSize = export.FileFormatSQLTextString, 1, 10 }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fill()
			b.dumpling(kind.change)
			task := b.task()
			to := b.own("$_copy")
			b.drop(to)
			task.Selection = restore.Selection{Databases: []string{b.name}, Renames: []restore.Rename{{From: restore.Name{DB: b.name}, To: restore.Name{DB: to}}}}
			sum := b.restore(task)
			require.NotZero(t, sum.BackupTS)
			b.equal(to)
			require.Equal(t, []string{"1"}, b.rows("SELECT nextval(`"+to+"`.seq) >= nextval(`$`.seq)"))
		})
	}
}
