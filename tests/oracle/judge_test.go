package oracle_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/oracle"
	"github.com/tikv/client-go/v2/txnkv"

	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
	"github.com/sluicedb/sluice/tests/playground"
)

const strictMode = parsermysql.DefaultSQLMode

func TestMain(m *testing.M) { os.Exit(playground.Main(judged{m}, playground.Options{})) }

// judged runs the tests, ends Sluice before the cluster goes and reports.
type judged struct{ m *testing.M }

func (j judged) Run() int {
	code := j.m.Run()
	for _, err := range []error{closeTwins(), report.finish()} {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// MySQL error numbers that the judge itself has to know.
const (
	errDuplicate = 1062
	errNull      = 1048
	errNoParent  = 1452
)

// value is one field; nil is NULL.
type value *string

func text(s string) value { return &s }

// cellJudge compares the encoder with TiDB on one cluster and one database.
type cellJudge struct {
	db       string
	status   string
	conn     *sql.Conn
	client   *txnkv.Client
	sqlMode  string
	timeZone string

	inserted, refused, warned int
}

func newJudge(t *testing.T, sqlMode, timeZone string) *cellJudge {
	t.Helper()
	c := playground.Shared(t)
	name, db := c.Database(t)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	client, err := txnkv.NewClient([]string{c.PD})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	j := &cellJudge{db: name, status: c.TiDBStatus, conn: conn, client: client, sqlMode: sqlMode, timeZone: timeZone}
	j.exec(t, "SET NAMES utf8mb4")
	j.exec(t, "SET sql_mode = '"+sqlMode+"'")
	j.exec(t, "SET time_zone = '"+timeZone+"'")
	j.exec(t, "SET allow_auto_random_explicit_insert = 1")
	return j
}

func (j *cellJudge) exec(t *testing.T, query string) {
	t.Helper()
	_, err := j.conn.ExecContext(t.Context(), query)
	require.NoError(t, err, query)
}

// config is what the encoder of a table is compiled from.
func (j *cellJudge) config(t *testing.T, name string, columns []string) encode.Config {
	t.Helper()
	target := loadTarget(t, j.status, j.db, name)
	var targets []table.FieldTarget
	for _, c := range columns {
		targets = append(targets, table.FieldTarget{Column: c})
	}
	mapping, err := target.Map(targets)
	require.NoError(t, err)
	mode, err := parsermysql.GetSQLMode(parsermysql.FormatSQLModeStr(j.sqlMode))
	require.NoError(t, err)
	loc, err := time.LoadLocation(j.timeZone)
	require.NoError(t, err)
	return encode.Config{Target: target, Mapping: mapping, SQLMode: mode, Location: loc, Now: time.Now()}
}

// pairs reads the raw pairs of a table.
func (j *cellJudge) pairs(t *testing.T, prefix []byte) map[string]string {
	t.Helper()
	ts, err := j.client.CurrentTimestamp(oracle.GlobalTxnScope)
	require.NoError(t, err)
	end := append([]byte(nil), prefix...)
	end[len(end)-1]++
	it, err := j.client.GetSnapshot(ts).Iter(prefix, end)
	require.NoError(t, err)
	defer it.Close()
	got := make(map[string]string)
	for it.Valid() {
		got[string(it.Key())] = string(it.Value())
		require.NoError(t, it.Next())
	}
	return got
}

// shape is a table with rows to judge.
type shape struct {
	name    string
	ddl     string   // after CREATE TABLE name
	columns []string // that the rows have values for; nil: all
	rows    [][]value
	// together inserts all rows with one statement, which TiDB must take.
	together bool
	idQuery  string // gives the row id of each stored row in the order of insertion; empty: ids don't matter
}

// stored is a row that both took.
type stored struct {
	row   []value
	rowID int64
}

// run inserts the rows one by one, encodes them too, and compares.
func (j *cellJudge) run(t *testing.T, s shape) {
	t.Helper()
	j.exec(t, "CREATE TABLE "+s.name+" "+s.ddl)
	cfg := j.config(t, s.name, s.columns)
	plan, err := encode.Compile(cfg)
	require.NoError(t, err, s.ddl)
	enc := plan.NewEncoder()
	arena := kv.NewArena(1<<16, 10)

	if s.together {
		require.NoError(t, j.insert(t.Context(), s, s.rows...), s.ddl)
		var rows []stored
		for _, row := range s.rows {
			rows = append(rows, stored{row: row, rowID: 1})
		}
		j.inserted += len(rows)
		j.readIDs(t, s, rows)
		j.compare(t, s, plan, rows)
		return
	}
	var rows []stored
	j.exec(t, "BEGIN") // one commit per table; a refused row undoes only its own statement
	for _, row := range s.rows {
		sqlErr := j.insert(t.Context(), s, row)
		if code(sqlErr) == errDuplicate || (code(sqlErr) == errNull && !strings.Contains(j.sqlMode, "STRICT")) {
			// Duplicates are not the encoder's business. And under a lax mode only
			// an INSERT of one row refuses NULL; of several, as an import is, it
			// stores zero: see TestNullUnderLaxMode.
			continue
		}
		arena.Reset()
		warnings := enc.Warnings().Count
		encErr := enc.EncodeRow(fields(row), 1, arena)
		if enc.Warnings().Count > warnings {
			j.warned++
		}
		if sqlErr != nil {
			j.refused++
			require.Error(t, encErr, "%s: TiDB refuses %s with %v", s.ddl, show(row), sqlErr)
			require.Equal(t, code(sqlErr), int(fault.As(encErr).Code), "%s: %s: TiDB says %v, the encoder %v", s.ddl, show(row), sqlErr, encErr)
			require.Empty(t, arena.Refs)
			require.Empty(t, arena.Buf)
			continue
		}
		require.NoError(t, encErr, "%s: TiDB takes %s", s.ddl, show(row))
		j.inserted++
		rows = append(rows, stored{row: row, rowID: 1})
	}
	j.exec(t, "COMMIT")
	j.readIDs(t, s, rows)
	j.compare(t, s, plan, rows)
}

// readIDs asks TiDB which ids it gave.
func (j *cellJudge) readIDs(t *testing.T, s shape, rows []stored) {
	t.Helper()
	if s.idQuery == "" {
		return
	}
	result, err := j.conn.QueryContext(t.Context(), s.idQuery)
	require.NoError(t, err)
	defer result.Close()
	i := 0
	for ; result.Next(); i++ {
		require.Less(t, i, len(rows))
		require.NoError(t, result.Scan(&rows[i].rowID))
	}
	require.NoError(t, result.Err())
	require.Len(t, rows, i)
}

func (j *cellJudge) compare(t *testing.T, s shape, plan *encode.Plan, rows []stored) {
	t.Helper()
	enc := plan.NewEncoder()
	arena := kv.NewArena(1<<20, 10)
	got := make(map[string]string)
	owner := make(map[string][]value)
	for _, r := range rows {
		arena.Reset()
		require.NoError(t, enc.EncodeRow(fields(r.row), r.rowID, arena))
		require.Len(t, arena.Refs, plan.PairsPerRow())
		for _, ref := range arena.Refs {
			key := string(arena.Key(ref))
			require.NotContains(t, got, key, "%s: two rows with one key", s.ddl)
			got[key], owner[key] = string(arena.Value(ref)), r.row
		}
	}
	want := make(map[string]string)
	for _, id := range plan.Tables() {
		maps.Copy(want, j.pairs(t, append(tablecodec.EncodeTablePrefix(id), '_')))
	}
	for key, v := range want {
		if _, ok := got[key]; !ok {
			t.Errorf("%s: pair only in TiDB: %s = %s", s.ddl, hexOf(key), hexOf(v))
			continue
		}
		require.Equal(t, hexOf(v), hexOf(got[key]), "%s: row %s, key %s", s.ddl, show(owner[key]), hexOf(key))
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: row %s: key only in the encoder: %s", s.ddl, show(owner[key]), hexOf(key))
		}
	}
}

func (j *cellJudge) insert(ctx context.Context, s shape, rows ...[]value) error {
	columns := ""
	if s.columns != nil {
		columns = "(" + strings.Join(s.columns, ",") + ")"
	}
	var lists []string
	for _, row := range rows {
		var parts []string
		for _, v := range row {
			if v == nil {
				parts = append(parts, "NULL")
			} else {
				parts = append(parts, literal(*v))
			}
		}
		lists = append(lists, "("+strings.Join(parts, ", ")+")")
	}
	_, err := j.conn.ExecContext(ctx, "INSERT INTO "+s.name+" "+columns+" VALUES "+strings.Join(lists, ", "))
	return err
}

var escaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\x1a", `\Z`)

func literal(s string) string { return "'" + escaper.Replace(s) + "'" }

func fields(row []value) []format.Field {
	fs := make([]format.Field, len(row))
	for i, v := range row {
		if v == nil {
			fs[i] = format.Field{Null: true}
		} else {
			fs[i] = format.Field{Bytes: []byte(*v)}
		}
	}
	return fs
}

func code(err error) int {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return int(e.Number)
	}
	return 0
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func show(row []value) string {
	var parts []string
	for _, v := range row {
		if v == nil {
			parts = append(parts, "NULL")
		} else {
			parts = append(parts, fmt.Sprintf("%q", *v))
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
