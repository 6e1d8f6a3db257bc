package jobs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/executor"
	"github.com/sluicedb/sluice/sqlext"
	"github.com/sluicedb/sluice/tests/playground"
)

// session is a client session: a plain connection of a user to TiDB.
type session struct {
	t    *testing.T
	conn *client.Conn
	e    *executor.Executor
}

// Query implements executor.Session.
func (s *session) Query(_ context.Context, sql string) (*mysql.Result, error) {
	return s.conn.Execute(sql)
}

// ClientAddr implements executor.Session.
func (s *session) ClientAddr() string { return "127.0.0.1:1" }

// ConnectionID implements executor.Session.
func (s *session) ConnectionID() uint64 { return uint64(s.conn.GetConnectionID()) }

// must runs SQL straight in the cluster.
func (s *session) must(sql string) *mysql.Result {
	s.t.Helper()
	r, err := s.conn.Execute(sql)
	require.NoError(s.t, err, sql)
	return r
}

// run sends a statement of ours the way the proxy does.
func (s *session) run(ctx context.Context, sql string) (*executor.Result, error) {
	mode, err := executor.SessionSQLMode(ctx, s)
	if err != nil {
		return nil, err
	}
	st, err := sqlext.Parse(sql, mode)
	if err != nil {
		return nil, err
	}
	require.NotNil(s.t, st, "not ours: %s", sql)
	return s.e.Execute(ctx, s, st)
}

// row runs a statement that answers with one row and returns it by column.
func (s *session) row(sql string) map[string]string {
	s.t.Helper()
	r, err := s.run(s.t.Context(), sql)
	require.NoError(s.t, err, sql)
	require.Len(s.t, r.Rows, 1, sql)
	return byName(r)[0]
}

func byName(r *executor.Result) []map[string]string {
	rows := make([]map[string]string, len(r.Rows))
	for i, row := range r.Rows {
		rows[i] = map[string]string{}
		for c, v := range row {
			if v != nil {
				rows[i][r.Columns[c].Name] = string(v)
			}
		}
	}
	return rows
}

// fails runs a statement that is refused, and returns the text.
func (s *session) fails(code uint16, sql string) string {
	s.t.Helper()
	r, err := s.run(s.t.Context(), sql)
	require.Error(s.t, err, "%s: %v", sql, r)
	got, state, message := executor.MySQLError(err)
	require.Equal(s.t, code, got, "%s: %s", sql, message)
	require.Len(s.t, state, 5)
	return message
}

// sessionOf connects a user.
func sessionOf(t *testing.T, e *executor.Executor, user, password, db string) *session {
	t.Helper()
	s := &session{t: t, e: e, conn: connectAs(t, playground.Shared(t).TiDB, user, password)}
	if db != "" {
		require.NoError(t, s.conn.UseDB(db))
	}
	return s
}

// config is an executor's over the shared cluster, with job tables of its own
// unless schema says otherwise.
func config(t *testing.T, schema, instance string) executor.Config {
	t.Helper()
	return executor.Config{
		Instance: instance, Schema: schema, ServiceAccount: executor.ServiceAccount{User: "root"},
		Backends: []string{playground.Shared(t).TiDB}, SortDir: t.TempDir(), Threads: 2, JobMemory: 128 << 20,
		Logger: zap.NewNop(),
	}
}

func closeWith(t *testing.T, e *executor.Executor) {
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.NoError(t, e.Close(ctx))
	})
}

// newUser makes an account with the given privileges on a database.
func newUser(s *session, name, db string, privileges ...string) {
	s.must("CREATE USER '" + name + "'@'%' IDENTIFIED BY 'pw'")
	s.t.Cleanup(func() { s.must("DROP USER '" + name + "'@'%'") })
	if len(privileges) > 0 {
		s.must("GRANT " + strings.Join(privileges, ",") + " ON " + db + ".* TO '" + name + "'@'%'")
	}
}
