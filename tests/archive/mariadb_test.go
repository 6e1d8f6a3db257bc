package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/archiverows"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/mariadb"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/sqlrows"
)

// columnTypes have values that are easily lost or changed on the way.
var columnTypes = []struct {
	def    string
	values []string // as SQL
}{
	{"TINYINT", []string{"-128", "127"}}, {"SMALLINT UNSIGNED", []string{"65535"}}, {"MEDIUMINT", []string{"-8388608"}}, {"INT UNSIGNED ZEROFILL", []string{"42"}},
	{"BIGINT", []string{"-9223372036854775808", "9223372036854775807"}}, {"BIGINT UNSIGNED", []string{"18446744073709551615", "0"}},
	{"BOOLEAN", []string{"TRUE"}}, {"FLOAT", []string{"0.1", "-3.40282e38", "16777217", "1e-40"}}, {"FLOAT(9,3)", []string{"123456.789"}},
	{"DOUBLE", []string{"0.1", "1.7976931348623157e308", "-2.2250738585072014e-308", "5e-324", "1e22", "-0.0"}}, {"DOUBLE(8,3)", []string{"1.005"}},
	{"DECIMAL(65,30)", []string{"-12345678901234567890123456789012345.123456789012345678901234567890", "0.5"}}, {"DECIMAL(5,0)", []string{"-99999"}},
	{"BIT(1)", []string{"b'0'", "b'1'"}}, {"BIT(64)", []string{"0xffffffffffffffff", "97"}}, {"BIT(13)", []string{"b'1000000000001'", "39"}},
	{"DATE", []string{"'2024-02-29'", "'0000-00-00'", "'2024-02-31'", "'2024-00-00'", "'9999-12-31'"}},
	{"DATETIME", []string{"'2024-02-29 01:02:03'", "'0000-00-00 00:00:00'"}}, {"DATETIME(6)", []string{"'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.000001'"}},
	{"TIMESTAMP NULL", []string{"'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "0"}}, {"TIMESTAMP(3) NULL", []string{"'2024-03-31 02:30:00.500'"}},
	{"TIME", []string{"'-838:59:59'", "'838:59:59'"}}, {"TIME(6)", []string{"'-00:00:00.000001'", "'12:00:00.5'"}}, {"YEAR", []string{"1901", "2155", "'0000'"}},
	{"CHAR(30)", []string{"''", "'a  '", "'ü€𝄞'", `'quo\'te "x" \\ back'`}}, {"VARCHAR(300)", []string{`'a\nb\r\tc\0d\Ze'`, "'%_`;--'", "'NULL'", `'\\N'`, "'x  '"}},
	{"VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", []string{"'é'", "'plain'"}}, {"TEXT CHARACTER SET gbk COLLATE gbk_bin", []string{"'中文'", "'a'"}},
	{"VARCHAR(9) CHARACTER SET ascii COLLATE ascii_bin", []string{"'abc'"}}, {"VARCHAR(9) COLLATE utf8mb4_unicode_ci", []string{"'Straße'"}},
	{"LONGTEXT", []string{"REPEAT('ä\\'', 4000)"}}, {"BINARY(5)", []string{"'ab'", "x'00ff00ff00'"}},
	{"VARBINARY(600)", []string{"x'00270a5c1aff22c328'", "''", "'x\\''"}}, {"BLOB", []string{"x'e427e45c7a00'"}}, {"TINYBLOB", []string{"x'00'"}}, {"LONGBLOB", []string{"REPEAT(x'00ff27', 3000)"}},
	{"ENUM('a','b c','1','ü')", []string{"'b c'", "'1'", "'ü'"}}, {"SET('x','y','z')", []string{"''", "'x,z'"}},
	{"JSON", []string{`'{"a": [1, "x\\"y", null, 1.5e300, true], "ü": {}}'`, `'"text"'`, "'12'", "'null'", "'18446744073709551615'"}},
}

// typesOf makes tables of all types in a database: one with a column of each, one whose rows were there before some columns, one of the old
// form of rows, and one with all of what a clustered key can hold.
func typesOf(t *testing.T, db *sql.DB, database string) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	run := func(q string) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), q)
		require.NoError(t, err, q)
	}
	run("USE `" + database + "`")
	run("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
	var defs []string
	most := 0
	for i, c := range columnTypes {
		defs = append(defs, fmt.Sprintf("c%d %s", i, c.def))
		most = max(most, len(c.values))
	}
	for _, form := range []string{"2", "1"} {
		run("SET tidb_row_format_version = " + form)
		run("CREATE TABLE types_v" + form + " (id INT PRIMARY KEY, " + strings.Join(defs, ", ") + ")")
		run("INSERT INTO types_v" + form + " (id) VALUES (-1)")
		for n := range most {
			values := []string{fmt.Sprint(n)}
			for _, c := range columnTypes {
				values = append(values, c.values[n%len(c.values)])
			}
			run("INSERT INTO types_v" + form + " VALUES (" + strings.Join(values, ", ") + ")")
		}
	}
	run("SET tidb_row_format_version = 2")
	for _, q := range []string{
		"CREATE TABLE grown (id INT PRIMARY KEY)", "INSERT INTO grown VALUES (1), (0)",
		`ALTER TABLE grown ADD COLUMN (a VARCHAR(10) DEFAULT 'it''s', b TIMESTAMP DEFAULT '2024-01-02 03:04:05', c BIT(9) DEFAULT b'101', d INT,
			e ENUM('p', 'q') DEFAULT 'q', f DOUBLE DEFAULT 2.5, g DATETIME(2) NOT NULL DEFAULT '2023-01-01 00:00:00.25', h SET('u', 'v') DEFAULT 'u,v', i BIGINT NOT NULL)`,
		"ALTER TABLE grown DROP COLUMN d", "INSERT INTO grown (id, g, i) VALUES (2, '2024-02-02', 7)", "ALTER TABLE grown MODIFY COLUMN f VARCHAR(20)",
		"CREATE TABLE zero_auto (id INT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 5000", "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
		"INSERT INTO zero_auto VALUES (0, 1), (7, 2)",
		`CREATE TABLE keyed (a VARCHAR(20) COLLATE utf8mb4_general_ci, b VARCHAR(20) COLLATE utf8mb4_bin, c DATETIME(3), d DECIMAL(9,3), e ENUM('x', 'y'), f TIME(2), g BINARY(3),
			h FLOAT, i YEAR, j CHAR(5), k BIGINT UNSIGNED, l TIMESTAMP, v INT, PRIMARY KEY (a, b, c, d, e, f, g, h, i, j, k, l) CLUSTERED)`,
		`INSERT INTO keyed VALUES ('Key  ', 'b ', '2024-01-02 03:04:05.678', -1.5, 'y', '-01:02:03.04', x'00ff00', 0.1, 1999, 'c', 18446744073709551615, '2024-05-06 07:08:09', 1),
			('key2', '', '0001-01-01', 0, 'x', 0, '', -1e30, 2155, '', 0, '1970-01-02 00:00:00', NULL)`,
		"CREATE TABLE prefixed (a VARCHAR(50), b VARBINARY(50), v INT, PRIMARY KEY (a(3), b(2)) CLUSTERED)", "INSERT INTO prefixed VALUES ('abcdef', x'00ff0102', 1), ('b ', '', 2)",
		"CREATE TABLE computed (id INT, v VARCHAR(20), up VARCHAR(20) AS (UPPER(v)) STORED, low VARCHAR(20) AS (LOWER(v)), KEY (low), KEY (id))",
		"INSERT INTO computed (id, v) VALUES (1, 'Ab'), (1, 'Ab'), (2, NULL)",
	} {
		run(q)
	}
	run("SET GLOBAL tidb_enable_check_constraint = ON")
	run("CREATE TABLE checked (a INT, CONSTRAINT more CHECK (a > 1), CONSTRAINT idle CHECK (a > 9) NOT ENFORCED)")
	run("SET GLOBAL tidb_enable_check_constraint = OFF")
	run("INSERT INTO checked VALUES (2), (NULL)")
	run("SET sql_mode = ''")
	for _, q := range moreTables {
		run(q)
	}
}

// again is what the restored database's name has behind that of the one that was backed up.
const again = "_too"

// contents are a table's rows in a form that both servers agree about, sorted.
func contents(t *testing.T, db, types *sql.DB, database, table string) []string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "SET time_zone = '+00:00'")
	require.NoError(t, err)
	var columns, kinds []string
	for _, c := range strings2(t, types, "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position", strings.TrimSuffix(database, again), table) {
		name, kind := quoted(c[0]), c[1]
		switch kind {
		case "float", "double":
			name = "CAST(" + name + " AS DOUBLE)" // they show other numbers of digits
		case "tinyint", "smallint", "mediumint", "int", "bigint":
			name += " + 0" // without ZEROFILL, which TiDB doesn't show
		case "bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
			name = "HEX(" + name + ")"
		case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
			name = "HEX(CONVERT(" + name + " USING utf8mb4))" // TiDB keeps all character sets as UTF-8
		}
		columns, kinds = append(columns, name), append(kinds, kind)
	}
	_, cells, err := sqlrows.Cells(t.Context(), conn, "SELECT "+strings.Join(columns, ", ")+" FROM "+quoted(database, table))
	require.NoError(t, err)
	var out []string
	for _, values := range cells {
		texts := make([]string, len(columns))
		for i, v := range values {
			switch {
			case !v.Valid:
				texts[i] = "NULL"
			case kinds[i] == "json":
				texts[i] = canonical(t, v.String)
			case len(v.String) > 200:
				texts[i] = fmt.Sprintf("%d bytes with the sum %x", len(v.String), sha256.Sum256([]byte(v.String)))
			default:
				texts[i] = v.String
			}
		}
		out = append(out, strings.Join(texts, "|"))
	}
	slices.Sort(out)
	return out
}

// sameRows compares contents, and shows of rows that differ the first ones, a value each line.
func sameRows(t *testing.T, table string, want, got []string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		require.Equal(t, strings.Split(want[i], "|"), strings.Split(got[i], "|"), table)
	}
	require.Len(t, got, len(want), table)
}

// canonical is a JSON text without what servers write in several ways.
func canonical(t *testing.T, text string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v), text)
	var out bytes.Buffer
	require.NoError(t, json.NewEncoder(&out).Encode(v))
	return out.String()
}

func strings2(t *testing.T, db *sql.DB, query string, args ...any) (out [][2]string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var pair [2]string
		require.NoError(t, rows.Scan(&pair[0], &pair[1]))
		out = append(out, pair)
	}
	require.NoError(t, rows.Err())
	return out
}

// exact takes values as they are, whatever they would be in a new row.
var exact = logical.Session{SQLMode: mysql.ModeStrictTransTables | mysql.ModeNoAutoValueOnZero | mysql.ModeAllowInvalidDates, IgnoreForeignKeys: true}

// intoMariaDB makes a table of the archive in MariaDB, in a database of the same name, and brings its rows in.
func intoMariaDB(ctx context.Context, a *archive.Archive, table *archive.Table, task logical.Task) (*logical.Summary, error) {
	target, err := logical.Open(ctx, logical.Params{Addrs: []string{task.Basis}, User: mariadb.User, Password: mariadb.Password, Session: exact})
	if err != nil {
		return nil, err
	}
	defer target.Close()
	text, err := define.Table(table.Info)
	if err != nil {
		return nil, err
	}
	collations, err := target.Collations(ctx)
	if err != nil {
		return nil, err
	}
	file := &schema.File{Path: table.Info.Name.O, Text: text}
	made, err := schema.ReadTable(file, schema.Object{DB: table.Database.Name, Name: table.Info.Name.O}, func(o schema.Object) schema.Object { return o })
	if err != nil {
		return nil, err
	}
	portable, err := file.ForServer(made.SQL, schema.Server{Name: "MariaDB", MariaDB: true, Collations: collations})
	if err != nil {
		return nil, err
	}
	if len(portable.Refused) > 0 {
		return nil, fault.New(fault.User, 8173, "%s", strings.Join(portable.Refused, "; "))
	}
	if err := target.Exec(ctx, strings.Replace(portable.SQL, "CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1)); err != nil {
		return nil, fmt.Errorf("%s: %w", portable.SQL, err)
	}
	if task.Table, err = target.Table(ctx, table.Database.Name, table.Info.Name.O); err != nil {
		return nil, err
	}
	rows, err := archiverows.New(a, table)
	if err != nil {
		return nil, err
	}
	task.Source, task.Basis = rows, rows.Basis()
	sum, err := target.Import(ctx, task)
	if err != nil {
		return sum, err
	}
	if want, ok := rows.Expected(); !ok || want != sum.Rows {
		return sum, fmt.Errorf("%d rows instead of %d", sum.Rows, want)
	}
	if sum.Rows > 0 && sum.Bytes == 0 {
		return sum, errors.New("no bytes were counted")
	}
	return sum, nil
}

// refused are tables that MariaDB can't have, and why.
var refused = map[string]string{"expressions": "the expression in index expression_index", "t": "the multi-valued index expression_index"}

// TestIntoMariaDB: an archive that TiDB has made is restored into MariaDB, under another name, row by row; what MariaDB can't have is listed before anything
// is made.
func TestIntoMariaDB(t *testing.T) {
	pg, maria := playground.Shared(t), mariadb.Shared(t)
	db, to := pg.DB(t), maria.DB(t, "")
	names := brarchive.Shapes(t, db, "archived")
	defer brarchive.Drop(t, db, "archived")
	typesOf(t, db, "archived")
	made := brarchive.Backup(t, db, "DATABASE archived", brarchive.Options{Method: "aes256-ctr"})
	r := restore.NewBySQL(restore.SQLConfig{Server: logical.Params{Addrs: []string{maria.Socket}, User: mariadb.User, Password: mariadb.Password}, Logger: zaptest.NewLogger(t)})
	cipher, err := archive.ParseCipher(made.Method, made.Key, "")
	require.NoError(t, err)
	task := restore.Task{
		JobID: 3, Location: made.Location, Threads: 2, MemoryBudget: importcore.DefaultMemoryBudget, Checkpoints: &checkpoints{},
		Options:   restore.Options{CSV: restore.DefaultCSV(), Checksum: importcore.ChecksumRequired, Cipher: cipher},
		Session:   restore.Session{SQLMode: mysql.ModeNoZeroDate | mysql.ModeNoZeroInDate, TimeZone: time.FixedZone("", 5*3600+1800)},
		Selection: restore.Selection{Databases: []string{"archived"}, Renames: []restore.Rename{{From: restore.Name{DB: "archived"}, To: restore.Name{DB: "archived_too"}}}},
	}
	run := func(ctx context.Context) (*restore.Summary, error) {
		plan, err := r.Plan(ctx, task)
		if err != nil {
			return nil, err
		}
		return plan.Run(ctx)
	}
	_, err = run(t.Context())
	require.Equal(t, uint16(8173), fault.As(err).Code)
	task.Selection.Filters = []string{"*.*"}
	for name, what := range refused {
		require.ErrorContains(t, err, "`archived_too`.`"+name+"`: "+what)
		task.Selection.Filters = append(task.Selection.Filters, "!archived."+name)
	}
	require.Empty(t, column(t, to, "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'archived_too'"))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	tables := atomic.Int64{}
	task.Events = func(e restore.Event) {
		if e.State == restore.TableDone && tables.Add(1) == 9 {
			cancel(importcore.ErrPaused)
		}
	}
	_, err = run(ctx)
	require.ErrorIs(t, err, importcore.ErrPaused)
	sum, err := run(t.Context())
	require.NoError(t, err)
	require.Equal(t, made.BackupTS, sum.BackupTS)
	require.Len(t, sum.PerTable, len(names)+8+len(moreTables)-len(refused))
	for _, table := range sum.PerTable {
		sameRows(t, table.To.Table, contents(t, db, db, "archived", table.To.Table), contents(t, to, db, "archived_too", table.To.Table))
	}
	a := openArchive(t, made)
	next := column(t, to, "SELECT auto_increment FROM information_schema.tables WHERE table_schema = 'archived_too' AND table_name = 'zero_auto'")
	require.Equal(t, []string{fmt.Sprint(tableNamed(a, "zero_auto").Info.AutoIncID)}, next)
	// Its definer is none of the server's users: that is for whoever restores.
	require.Equal(t, []string{"over_rows"}, column(t, to, "SELECT table_name FROM information_schema.views WHERE table_schema = 'archived_too'"))
	require.Equal(t, []string{fmt.Sprint(tableNamed(a, "numbers").Info.AutoIncID + 3)}, column(t, to, "SELECT NEXTVAL(archived_too.numbers)"))
	exec(t, to, "DROP DATABASE archived_too")
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

// TestInterrupted: rows arrive once, however often the work on a table is interrupted.
func TestInterrupted(t *testing.T) {
	pg, maria := playground.Shared(t), mariadb.Shared(t)
	db, to := pg.DB(t), maria.DB(t, "")
	exec(t, db, "CREATE DATABASE stopped", "CREATE TABLE stopped.t (id INT, v LONGTEXT) PARTITION BY HASH (id) PARTITIONS 3")
	defer brarchive.Drop(t, db, "stopped")
	for n := range 6 {
		exec(t, db, fmt.Sprintf("INSERT INTO stopped.t SELECT %d + n, REPEAT('x', n * n %% 3000) FROM (WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 99) SELECT n FROM r) x", n*100))
	}
	exec(t, to, "CREATE DATABASE stopped")
	defer exec(t, to, "DROP DATABASE stopped")
	a := openArchive(t, brarchive.Backup(t, db, "DATABASE stopped", brarchive.Options{}))
	interrupted(t, a, tableNamed(a, "t"), maria.Socket)
	sameRows(t, "t", contents(t, db, db, "stopped", "t"), contents(t, to, db, "stopped", "t"))
}

func tableNamed(a *archive.Archive, name string) *archive.Table {
	for _, table := range a.Databases[0].Tables {
		if table.Info.Name.O == name {
			return table
		}
	}
	return nil
}

func column(t *testing.T, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		out = append(out, text)
	}
	require.NoError(t, rows.Err())
	return out
}

// interrupted brings a table in by processes of which the first few stop after some batches, with other numbers of lanes each time.
func interrupted(t *testing.T, a *archive.Archive, table *archive.Table, socket string) {
	t.Helper()
	stop := errors.New("interrupted")
	for try := 0; ; try++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		batches := atomic.Int64{}
		_, err := intoMariaDB(ctx, a, table, logical.Task{
			Job: fmt.Sprintf("%d-%s", a.EndTS, t.Name()), Basis: socket, Lanes: 1 + try%3, BatchBytes: 24 << 10, Begun: try > 0,
			Committed: func(logical.Counts) {
				if batches.Add(1) == 3 && try < 7 {
					cancel(stop)
				}
			},
		})
		cancel(nil)
		if err == nil {
			return
		}
		require.ErrorIs(t, err, stop, table.Info.Name.O)
	}
}

// TestDamagedRows: what is damaged ends with an error that names the file, and not with fewer rows.
func TestDamagedRows(t *testing.T) {
	pg, maria := playground.Shared(t), mariadb.Shared(t)
	db, to := pg.DB(t), maria.DB(t, "")
	exec(t, db, "CREATE DATABASE harmed", "CREATE TABLE harmed.t (id INT PRIMARY KEY, v VARCHAR(200), KEY (v))")
	defer brarchive.Drop(t, db, "harmed")
	for n := range 5 {
		exec(t, db, fmt.Sprintf("INSERT INTO harmed.t SELECT %d + n, SHA2(n, 512) FROM (WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 99) SELECT n FROM r) x", n*100))
	}
	exec(t, to, "CREATE DATABASE harmed")
	defer exec(t, to, "DROP DATABASE harmed")
	made := brarchive.Backup(t, db, "DATABASE harmed", brarchive.Options{Compression: "lz4"})
	table := openArchive(t, made).Databases[0].Tables[0]
	for _, part := range table.RowParts() {
		path := made.Dir + "/" + part.Write.Key
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, at := range []int{len(whole) / 3, len(whole) - 60} {
			broken := slices.Clone(whole)
			broken[at] ^= 0x10
			require.NoError(t, os.WriteFile(path, broken, 0o600))
			a := openArchive(t, made)
			_, err := intoMariaDB(t.Context(), a, a.Databases[0].Tables[0], logical.Task{Job: fmt.Sprintf("%s-%d", part.Write.Key[:8], at), Basis: maria.Socket})
			require.ErrorContains(t, err, part.Write.Key, "byte %d", at)
			exec(t, to, "DROP TABLE harmed.t")
		}
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
}
