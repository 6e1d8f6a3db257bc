package logical_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
)

// TestRowsArriveOnce: many blocks, several files, with one lane and with several, with batches of one row and of many.
func TestRowsArriveOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		src := newSource(t, []string{"id", "v"}, numbered(1, 3000, 20), "", numbered(3001, 5000, 50))
		target := s.open("", atonce)
		for i, shape := range []struct{ lanes, bytes, rows int }{{1, 0, 0}, {4, 32 << 10, 0}, {3, 0, 100}, {7, 20 << 10, 7}} {
			table := fmt.Sprintf("t%d", i)
			s.exec("CREATE TABLE " + table + " (id INT, v VARCHAR(100))") // without a key nothing but the ledger keeps doubles out
			task := s.task(target, table, src)
			task.Lanes, task.BatchBytes, task.BatchRows = shape.lanes, shape.bytes, shape.rows
			sum, err := target.Import(t.Context(), task)
			require.NoError(t, err)
			require.EqualValues(t, 5000, sum.Rows)
			require.Equal(t, []string{"5000|5000|1|5000"}, s.rows("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM "+table))
			require.Empty(t, s.rows("SELECT id FROM "+table+" WHERE v <> REPEAT(CHAR(97 + id % 26), IF(id > 3000, 50, 20))"))

			again, err := target.Import(t.Context(), task)
			require.NoError(t, err, "a job that is done is done")
			require.Equal(t, sum.Counts, again.Counts)
			require.Equal(t, []string{"5000"}, s.rows("SELECT COUNT(*) FROM "+table))
			require.Len(t, s.rows("SELECT lane FROM sluice.logical_ledger WHERE job = '"+task.Job+"'"), 1)
			require.NoError(t, target.Forget(t.Context(), task.Job))
			require.Empty(t, s.rows("SELECT lane FROM sluice.logical_ledger WHERE job = '"+task.Job+"'"))
		}
	})
}

// TestDuplicates: the strategies leave what statements of one row each would.
func TestDuplicates(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		var rows []string
		for i := range 4000 {
			rows = append(rows, fmt.Sprintf("%d,%d,r%d", i*7%611, i*11%701, i))
		}
		src := newSource(t, []string{"a", "b", "v"}, strings.Join(rows[:1500], "\n")+"\n", strings.Join(rows[1500:], "\n"))
		target := s.open("", atonce)
		for name, c := range map[string]struct {
			how   logical.OnDuplicate
			judge string
		}{"replace": {logical.DuplicateReplace, "REPLACE"}, "keep": {logical.DuplicateIgnore, "INSERT IGNORE"}} {
			def := " (a INT PRIMARY KEY, b INT UNIQUE, v VARCHAR(20))"
			s.exec("CREATE TABLE `"+name+"`"+def, "CREATE TABLE judge_"+name+def,
				"INSERT INTO `"+name+"` VALUES (5, 10000, 'old')", "INSERT INTO judge_"+name+" VALUES (5, 10000, 'old')")
			var values []string
			for _, r := range rows {
				f := strings.Split(r, ",")
				values = append(values, "("+f[0]+","+f[1]+",'"+f[2]+"')")
			}
			s.exec(c.judge + " INTO judge_" + name + " VALUES " + strings.Join(values, ","))
			task := s.task(target, name, src)
			task.OnDuplicate, task.BatchBytes, task.Lanes = c.how, 8<<10, 4
			sum, err := target.Import(t.Context(), task)
			require.NoError(t, err)
			require.Equal(t, s.rows("SELECT * FROM judge_"+name+" ORDER BY a"), s.rows("SELECT * FROM `"+name+"` ORDER BY a"), name)
			require.EqualValues(t, 4000, sum.Rows)
			require.NotZero(t, sum.Ignored+sum.Replaced)
		}

		s.exec("CREATE TABLE e (a INT PRIMARY KEY, b INT, v VARCHAR(20))")
		task := s.task(target, "e", src)
		task.MaxErrors, task.BadRows = 10, &sink{}
		_, err := target.Import(t.Context(), task)
		f := fault.As(err)
		require.NotNil(t, f, "%v", err)
		require.EqualValues(t, 1062, f.Code)
		require.Contains(t, err.Error(), "f000.csv, line ")
	})
}

// TestIgnoreIgnoresNothingElse: what INSERT IGNORE would change or drop is an error.
func TestIgnoreIgnoresNothingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (a INT PRIMARY KEY, b TINYINT NOT NULL)")
		target := s.open("", atonce)
		for _, value := range []string{"300", "x", `\N`} {
			task := s.task(target, "t", newSource(t, []string{"a", "b"}, "1,1\n1,2\n2,"+value+"\n"))
			task.OnDuplicate = logical.DuplicateIgnore
			_, err := target.Import(t.Context(), task)
			require.ErrorContains(t, err, "line 3, offset 8, column b", value)
			require.Empty(t, s.rows("SELECT * FROM t"))
		}
	})
}

// TestBadRows: the row that spoils a batch is found, whatever is wrong with it; with MaxErrors the others arrive.
func TestBadRows(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (id INT PRIMARY KEY, n TINYINT, d DATE, s VARCHAR(3) NOT NULL, j JSON)")
		columns := []string{"id", "n", "d", "s", "j"}
		good := func(id int) string { return fmt.Sprintf("%d,1,2024-01-02,abc,{}\n", id) }
		bad := []struct{ row, column string }{
			{"90001,200,2024-01-02,abc,{}\n", "n"},
			{"90002,1,2024-13-02,abc,{}\n", "d"},
			{"90003,1,2024-01-02,abcd,{}\n", "s"},
			{"90004,1,2024-01-02,\\N,{}\n", "s"},
			{"90005,1,2024-01-02,abc,{\n", ""},
			{"90006,1,2024-01-02\n", ""},
			{"90007,1,2024-01-02,\"a\xff\",{}\n", "s"},
			{"90008,\"1\"x,2024-01-02,abc,{}\n", ""},
		}
		target := s.open("", atonce)
		for _, b := range bad {
			task := s.task(target, "t", newSource(t, columns, good(1)+good(2)+b.row+good(3)))
			_, err := target.Import(t.Context(), task)
			require.ErrorContains(t, err, "line 3, offset "+fmt.Sprint(2*len(good(1))), b.row)
			if b.column != "" {
				require.Equal(t, b.column, fault.As(err).At.Column, err)
			}
			require.Empty(t, s.rows("SELECT id FROM t"), b.row)
		}

		text := ""
		for i := range 3000 {
			text += good(i)
			if i%300 == 7 {
				text += bad[i/300%len(bad)].row
			}
		}
		src := newSource(t, columns, text)
		src.recover = true
		task := s.task(target, "t", src)
		kept := &sink{}
		task.MaxErrors, task.BadRows, task.Lanes, task.BatchBytes = 10, kept, 3, 16<<10
		sum, err := target.Import(t.Context(), task)
		require.NoError(t, err)
		require.EqualValues(t, 3000, sum.Rows)
		require.EqualValues(t, 10, sum.Rejected)
		require.Equal(t, []string{"3000|2999"}, s.rows("SELECT COUNT(*), MAX(id) FROM t"))
		require.Len(t, kept.records, 10)
		for i, r := range kept.records {
			require.EqualValues(t, 300*i+9+i, r.Line, "%+v", r)
			require.Equal(t, bad[i%len(bad)].column, r.Column)
			require.NotEmpty(t, r.Value)
		}
		_, err = target.Import(t.Context(), task) // what was handed over comes again in the same place
		require.NoError(t, err)
		require.Len(t, kept.records, 10)

		s.exec("TRUNCATE TABLE t")
		task.Job, task.MaxErrors = job(), 9
		_, err = target.Import(t.Context(), task)
		var limit *badrows.LimitError
		require.ErrorAs(t, err, &limit)
		require.Len(t, kept.records, 10)
	})
}

// TestWithoutStrictMode: values are changed as an INSERT would, and the server's warnings are counted.
func TestWithoutStrictMode(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (n TINYINT, s VARCHAR(2))")
		target := s.open("", logical.Params{})
		sum, err := target.Import(t.Context(), s.task(target, "t", newSource(t, []string{"n", "s"}, "1,a\n300,abc\n2,b\n")))
		require.NoError(t, err)
		require.Equal(t, []string{"1|a", "2|b", "127|ab"}, s.rows("SELECT * FROM t ORDER BY n"))
		require.EqualValues(t, 2, sum.Warnings)
		require.Contains(t, strings.Join(sum.WarningSamples, "\n"), "line 2, offset 4")
	})
}

// TestRounded: what a server rounds or cuts in strict mode too, without an error, is told with its column and place.
func TestRounded(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE t (d DECIMAL(5,2), v VARCHAR(2))")
		target := s.open("", logical.Params{Session: logical.Session{SQLMode: strict}})
		sum, err := target.Import(t.Context(), s.task(target, "t", newSource(t, []string{"d", "v"}, "1.5,a\n1.005,b\n2,\"c   \"\n")))
		require.NoError(t, err)
		require.Equal(t, []string{"1.01|b", "1.50|a", "2.00|c "}, s.rows("SELECT * FROM t ORDER BY d"))
		told := strings.Join(sum.WarningSamples, "\n")
		require.EqualValues(t, 2, sum.Warnings, told)
		require.Contains(t, told, "line 2, offset 6")
		require.Contains(t, told, "'d'")
	})
}

// TestSession: what belongs to the session holds, whatever the server's defaults are.
func TestSession(t *testing.T) {
	onBoth(t, func(t *testing.T, s *server) {
		now := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
		target := s.open("", logical.Params{Session: logical.Session{SQLMode: strict, TimeZone: time.FixedZone("", 2*3600), Now: now,
			Vars: map[string]string{"default_week_format": "3", "no_such_variable": "1"}}})
		s.exec("CREATE TABLE t (id INT, ts TIMESTAMP NULL, n DATETIME DEFAULT CURRENT_TIMESTAMP)")
		_, err := target.Import(t.Context(), s.task(target, "t", newSource(t, []string{"id", "", "ts"}, "1,x,2024-06-01 12:00:00\n")))
		require.NoError(t, err)
		conn, err := s.db.Conn(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close()) }()
		_, err = conn.ExecContext(t.Context(), "SET time_zone = '+00:00'")
		require.NoError(t, err)
		var ts, n string
		require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT ts, n FROM t").Scan(&ts, &n))
		require.Equal(t, []string{"2024-06-01 10:00:00", "2020-02-03 06:05:06"}, []string{ts, n})
	})
}

// TestRefused: targets for which nothing can be promised, and layouts that don't fit.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	s.exec("CREATE TABLE m (a INT) ENGINE = MyISAM", "CREATE VIEW v AS SELECT 1", "CREATE TABLE t (a INT, g INT AS (a + 1), b INT)",
		"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.b = NEW.a")
	target := s.open("", atonce)
	require.Equal(t, logical.MariaDB, target.Kind())
	for name, code := range map[string]uint16{"m": 1031, "v": 1347, "none": 1146} {
		_, err := target.Table(t.Context(), s.name, name)
		require.Error(t, err)
		require.Equal(t, code, fault.As(err).Code, err)
	}
	table, err := target.Table(t.Context(), s.name, "T"+"") // names are the server's
	require.Error(t, err)
	require.Nil(t, table)
	table, err = target.Table(t.Context(), s.name, "t")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, table.Columns())
	require.Equal(t, []string{"tr"}, table.Triggers)
	require.False(t, table.Unique)
	for layout, code := range map[string]uint16{"a,c": 1054, "a,A": 1110} {
		_, err := target.Import(t.Context(), logical.Task{Job: job(), Table: table, Source: newSource(t, strings.Split(layout, ","), "1,2\n")})
		require.Error(t, err)
		require.Equal(t, code, fault.As(err).Code, err)
	}
	_, err = target.Import(t.Context(), logical.Task{Job: job(), Table: table, Source: newSource(t, []string{"a", "g", "b"}, "1,2,3\n")})
	require.NoError(t, err)
	require.Equal(t, []string{"1|2|1"}, s.rows("SELECT * FROM t"))
}
