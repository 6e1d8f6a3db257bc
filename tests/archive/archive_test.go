package archive_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/playground"
)

// sumOf reads all pairs of a table.
func sumOf(ctx context.Context, t *testing.T, a *archive.Archive, table *archive.Table) (sum kv.Checksum) {
	t.Helper()
	for _, p := range table.Parts {
		it, err := a.Pairs(ctx, p)
		require.NoError(t, err)
		for it.Next() {
			sum.Add(it.Key(), it.Value())
		}
		require.NoError(t, it.Err())
		require.NoError(t, it.Close())
	}
	return sum
}

// TestPairsAreTheClusters: what is read from an archive's files is what the cluster has in its tables.
func TestPairsAreTheClusters(t *testing.T) {
	pg := playground.Shared(t)
	db, c := pg.DB(t), connect(t, pg)
	names := brarchive.Shapes(t, db, "pairs")
	defer brarchive.Drop(t, db, "pairs")
	for kind, options := range kinds {
		a := openArchive(t, brarchive.Backup(t, db, "DATABASE pairs", options))
		require.Len(t, a.Databases, 1)
		require.Len(t, a.Databases[0].Tables, len(names)+2)
		for _, table := range a.Databases[0].Tables {
			if table.Info.View != nil || table.Info.Sequence != nil {
				require.Empty(t, table.Parts)
				continue
			}
			got := sumOf(t.Context(), t, a, table)
			want, err := c.ChecksumTable(t.Context(), "", "pairs", table.Info.Name.O, 0)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s: %s", kind, table.Info.Name.O, 0)
			require.Equal(t, options.Checksum && got.Pairs > 0, table.HasSum)
		}
	}
}

// moreTables have what brarchive's shapes lack.
var moreTables = []string{
	`CREATE TABLE t (id INT UNSIGNED ZEROFILL NOT NULL COMMENT 'it''s \\ "quoted"', a CHAR(5) CHARACTER SET latin1 DEFAULT 'x''y\\', b VARBINARY(5) DEFAULT 0x61,
		c TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d TIMESTAMP NULL DEFAULT '2024-01-02 03:04:05',
		e BIT(7) DEFAULT b'101', f DOUBLE(8,3) NOT NULL DEFAULT 1.5, g DATE DEFAULT (CURRENT_DATE), h VARCHAR(40) DEFAULT (UUID()), i YEAR, j TIME(2) DEFAULT '01:02:03',
		k TEXT COLLATE utf8mb4_bin, l BLOB(10), m DATETIME ON UPDATE CURRENT_TIMESTAMP, n JSON DEFAULT NULL, PRIMARY KEY (id, a) NONCLUSTERED,
		UNIQUE KEY ` + "`odd ``name`" + ` (b) INVISIBLE COMMENT 'why', KEY ((CAST(n->'$.x' AS SIGNED ARRAY))), KEY pre (k(5), i), CONSTRAINT positive CHECK (f > 0) NOT ENFORCED)
		CHARSET utf8mb4 COLLATE utf8mb4_general_ci COMMENT 'a table''s' AUTO_ID_CACHE 7`,
	`CREATE TABLE parent (a INT, b INT, PRIMARY KEY (a, b) CLUSTERED)`,
	`CREATE TABLE child (id INT PRIMARY KEY, a INT, b INT, CONSTRAINT of_parent FOREIGN KEY (a, b) REFERENCES parent (a, b) ON DELETE CASCADE ON UPDATE SET NULL)`,
	`CREATE TABLE ttl (id INT PRIMARY KEY, made DATETIME) TTL = made + INTERVAL 3 MONTH TTL_ENABLE = 'OFF' TTL_JOB_INTERVAL = '2h'`,
	`CREATE TABLE by_list (a INT, b VARCHAR(10)) PARTITION BY LIST COLUMNS (a, b) (PARTITION x VALUES IN ((1, 'it''s'), (2, '\\')) COMMENT 'c', PARTITION rest DEFAULT)`,
	`CREATE TABLE by_list_of (a INT) PARTITION BY LIST (a + 1) (PARTITION x VALUES IN (1, 2), PARTITION y VALUES IN (NULL))`,
	`CREATE TABLE by_range_of (t TIMESTAMP) PARTITION BY RANGE (UNIX_TIMESTAMP(t)) (PARTITION x VALUES LESS THAN (UNIX_TIMESTAMP('2024-01-01 00:00:00')), PARTITION y VALUES LESS THAN (MAXVALUE))`,
	`CREATE TABLE by_key (a INT, b VARCHAR(10), PRIMARY KEY (a)) PARTITION BY KEY (a) (PARTITION x, PARTITION y COMMENT 'second')`,
	`CREATE TABLE random_wide (id BIGINT AUTO_RANDOM(6, 54), a INT, PRIMARY KEY (id, a) CLUSTERED) PRE_SPLIT_REGIONS = 2`,
	`CREATE TABLE sharded (a INT) SHARD_ROW_ID_BITS = 3 PRE_SPLIT_REGIONS = 2`,
	`CREATE TABLE plain_latin (a VARCHAR(3), b VARCHAR(3) COLLATE latin1_bin) CHARSET latin1`,
	`CREATE TABLE bytes (a VARCHAR(3), b BINARY(2) DEFAULT 'a') CHARSET binary`,
}

// TestDefinitions: what the archive's schemas are made of makes the same tables again.
func TestDefinitions(t *testing.T) {
	pg := playground.Shared(t)
	db := pg.DB(t)
	brarchive.Shapes(t, db, "defined")
	defer brarchive.Drop(t, db, "defined", "again")
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	run := func(q string) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
	run("USE defined")
	run("SET time_zone = '+03:00'")
	for _, q := range moreTables {
		run(q)
	}
	run("INSERT INTO random_wide (a) VALUES (1), (2)")
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE defined", brarchive.Options{}))
	run("SET time_zone = '+00:00', sql_mode = '', foreign_key_checks = 0")
	run(define.Database(a.Databases[0].Info, "again"))
	run("USE again")
	var views []*archive.Table
	for _, table := range a.Databases[0].Tables {
		switch {
		case table.Info.IsView():
			views = append(views, table)
		case table.Info.IsSequence():
			for _, q := range define.Sequence(table.Info, quoted("again", table.Info.Name.O), false) {
				run(q)
			}
		default:
			q, err := define.Table(table.Info)
			require.NoError(t, err)
			run(strings.ReplaceAll(q, "`defined`.", "`again`."))
		}
	}
	for _, v := range views {
		run(strings.ReplaceAll(define.View(v.Info), "`defined`", "`again`"))
	}
	for _, table := range a.Databases[0].Tables {
		name := table.Info.Name.O
		want := strings.ReplaceAll(showCreate(t, db, quoted("defined", name)), "`defined`", "`again`")
		got := showCreate(t, db, quoted("again", name))
		if strings.Contains(want, "AUTO_ID_CACHE=1 ") { // the archive has what the id service had reserved
			ids := regexp.MustCompile(` AUTO_INCREMENT=\d+`)
			want, got = ids.ReplaceAllString(want, ""), ids.ReplaceAllString(got, "")
		}
		require.Equal(t, want, got, name)
	}
}

// textsOf reads all rows of a table as texts.
func textsOf(t *testing.T, a *archive.Archive, table *archive.Table, zone *time.Location) (rows []string) {
	t.Helper()
	for _, p := range table.RowParts() {
		it, err := a.Rows(t.Context(), p, zone)
		require.NoError(t, err)
		for it.Next() {
			var texts []string
			for _, d := range it.Row() {
				text := "NULL"
				if !d.IsNull() {
					text, err = d.ToString()
					require.NoError(t, err)
				}
				texts = append(texts, text)
			}
			rows = append(rows, strings.Join(texts, "|"))
		}
		require.NoError(t, it.Err())
		require.NoError(t, it.Close())
	}
	return rows
}

// TestRows: rows decoded from an archive's files are what a SELECT at the time of the backup has shown.
func TestRows(t *testing.T) {
	pg := playground.Shared(t)
	db := pg.DB(t)
	names := brarchive.Shapes(t, db, "decoded")
	defer brarchive.Drop(t, db, "decoded")
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	for _, q := range []string{
		"SET time_zone = '+05:30'", "USE decoded",
		"CREATE TABLE v1 (id INT PRIMARY KEY, a VARCHAR(10), b TIMESTAMP, c DECIMAL(9,4), d JSON)", "SET tidb_row_format_version = 1",
		`INSERT INTO v1 VALUES (1, 'x', '2024-05-06 07:08:09', -1.5, '{"a": 1}'), (2, NULL, NULL, NULL, NULL)`, "SET tidb_row_format_version = 2",
		"CREATE TABLE later (id INT PRIMARY KEY)", "INSERT INTO later VALUES (1)",
		`ALTER TABLE later ADD COLUMN (a VARCHAR(10) DEFAULT 'it''s', b TIMESTAMP DEFAULT '2024-01-02 03:04:05', c BIT(9) DEFAULT b'101', d INT,
			e ENUM('p', 'q') DEFAULT 'q', f DOUBLE DEFAULT 2.5, g DATETIME(2) NOT NULL DEFAULT '2023-01-01 00:00:00.25', h SET('u', 'v') DEFAULT 'u,v', i BIGINT NOT NULL)`,
		"INSERT INTO later (id, g, i) VALUES (2, '2024-02-02', 7)",
	} {
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE decoded", brarchive.Options{Method: "aes128-ctr"}))
	zone := time.FixedZone("", int((5*time.Hour + 30*time.Minute).Seconds()))
	met := 0
	for _, table := range a.Databases[0].Tables {
		if table.Info.IsView() || table.Info.IsSequence() {
			continue
		}
		met++
		var columns []string
		for _, c := range table.RowColumns() {
			columns = append(columns, quoted(c.Name.O))
		}
		rows, err := conn.QueryContext(t.Context(), "SELECT CONCAT_WS('|', "+strings.Join(ifNull(columns), ", ")+") FROM "+quoted(table.Info.Name.O))
		require.NoError(t, err)
		var want []string
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			want = append(want, text)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		require.ElementsMatch(t, want, textsOf(t, a, table, zone), table.Info.Name.O, 0)
	}
	require.Equal(t, len(names)+2, met)
}

func ifNull(columns []string) (out []string) {
	for _, c := range columns {
		out = append(out, "IFNULL("+c+", 'NULL')")
	}
	return out
}
