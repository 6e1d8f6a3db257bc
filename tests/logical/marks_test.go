package logical_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// errDied ends a run as SIGKILL does: nothing is cleaned up, and nothing more is saved.
var errDied = fmt.Errorf("died: %w", importcore.ErrNotOwner)

// mortal are checkpoints of a process that may die.
type mortal struct {
	checkpoints
	gone atomic.Bool
}

// Save implements importcore.Checkpoints.
func (m *mortal) Save(ctx context.Context, data []byte) error {
	if m.gone.Load() {
		return errDied
	}
	return m.checkpoints.Save(ctx, data)
}

// definitions are those of a database, as the server shows them.
func definitions(s *server, db string) (list []string) {
	s.t.Helper()
	for _, one := range s.rows("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = '" + db + "' ORDER BY 1") {
		name, kind, _ := strings.Cut(one, "|")
		if list = append(list, kind); kind == "VIEW" {
			list = append(list, s.rows("SELECT view_definition FROM information_schema.views WHERE table_schema = '"+db+"' AND table_name = '"+name+"'")...)
			continue
		}
		list = append(list, s.rows("SHOW CREATE TABLE `"+db+"`.`"+name+"`")...)
	}
	return list
}

// markedDump writes a dump with everything that a job makes. The first view needs the second one.
func markedDump(t *testing.T, db string) (folder string) {
	folder = t.TempDir()
	for name, text := range map[string]string{
		"-schema-create.sql":     "CREATE DATABASE `x` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;",
		".t-schema.sql":          "CREATE TABLE t (id INT PRIMARY KEY COMMENT 'one', v VARCHAR(9) CHECK (v <> 'x')) COMMENT='it''s \\\\ own' PARTITION BY HASH (id) PARTITIONS 2;",
		".u-schema.sql":          "CREATE TABLE u (id INT PRIMARY KEY);",
		".c-schema.sql":          "CREATE TABLE c (id INT PRIMARY KEY, u INT, CONSTRAINT f FOREIGN KEY (u) REFERENCES u (id));",
		".s-schema-sequence.sql": "CREATE SEQUENCE `s` start with 1 minvalue 1 maxvalue 100 increment by 1 cache 10 nocycle COMMENT='seq' ENGINE=InnoDB;\nSELECT SETVAL(`s`,9);",
		".v-schema-view.sql":     "CREATE VIEW v AS SELECT * FROM w;",
		".w-schema-view.sql":     "CREATE VIEW w AS SELECT id, v AS other FROM t;",
		".t.0001.csv":            "id,v\n1,a\n2,b\n", ".u.0001.csv": "id\n7\n", ".c.0001.csv": "id,u\n1,7\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, db+name), []byte(text), 0o600))
	}
	return folder
}

// dies runs a job whose process is killed at its n-th definition, before the server has it, or when it has been run. It tells whether the job came to that.
func (s *server) dies(task restore.Task, n int, run bool, act func()) (came bool) {
	s.t.Helper()
	m := task.Checkpoints.(*mortal)
	ctx, kill := context.WithCancelCause(s.t.Context())
	defer kill(nil)
	var mu sync.Mutex
	count, dead := 0, make(chan struct{})
	die := sync.OnceFunc(func() {
		m.gone.Store(true)
		kill(errDied)
		close(dead)
	})
	relay := sqlrelay.Start(s.t, s.addr, func(c sqlrelay.Command) (bool, sqlrelay.Answered) {
		mu.Lock()
		defer mu.Unlock()
		if came {
			<-dead // what it asks meanwhile is never answered
			return false, nil
		}
		switch verb(c) {
		case "CREATE", "ALTER", "DROP":
			count++
		default:
			return true, nil
		}
		if count != n {
			return true, nil
		}
		came = true
		if act != nil {
			act()
		}
		if !run {
			die()
			return false, nil
		}
		return true, func() bool { die(); return false }
	})
	r := restore.NewBySQL(restore.SQLConfig{
		Server: logical.Params{Addrs: []string{relay.Addr().String()}, User: s.user, Password: s.password}, Logger: zaptest.NewLogger(s.t),
	})
	_, err := restored(ctx, r, task)
	require.NoError(s.t, relay.Close())
	if !came {
		require.NoError(s.t, err)
		return false
	}
	require.ErrorIs(s.t, err, errDied)
	m.gone.Store(false)
	return true
}

// long tells whether tests may take minutes.
func long() bool { return os.Getenv("SLUICE_RESTORE") == "long" }

// TestKilledWhileMaking: a job that is killed at any of the statements that make something knows what is its own: it goes on, and ends with what it would have
// made without that; or it is given up, at once or later, and nothing of it stays.
func TestKilledWhileMaking(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	db := s.name + "_m"
	folder := markedDump(t, db)
	has := func() int {
		return len(s.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name = '" + db + "'"))
	}
	drop := func() { s.exec("DROP DATABASE " + db) }
	t.Cleanup(func() { _, _ = s.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+db) })
	r := s.restorer()
	_, err := restored(t.Context(), r, restoreTask(folder))
	require.NoError(t, err)
	want := definitions(s, db)
	require.Contains(t, strings.Join(want, "\n"), `it''s \\ own`)
	require.Contains(t, strings.Join(want, "\n"), "`other`")
	require.NotContains(t, strings.Join(want, "\n"), "sluice ")
	drop()
	came := 0
	for n, more := 1, true; more; n++ {
		for turn, run := range []bool{false, true} {
			for i, then := range []string{"resume", "cancel", "both"} {
				if !long() && i != (n+turn)%3 {
					continue
				}
				task := restoreTask(folder)
				task.Checkpoints = &mortal{}
				if more = s.dies(task, n, run, nil); !more {
					drop()
					break
				}
				came++
				what := fmt.Sprintf("%d %t %s", n, run, then)
				switch then {
				case "resume":
					sum, err := restored(t.Context(), r, task)
					require.NoError(t, err, what)
					require.Equal(t, want, definitions(s, db), what)
					require.EqualValues(t, 4, sum.Rows)
					require.Equal(t, []string{"10"}, s.rows("SELECT NEXTVAL(`"+db+"`.s)"))
					drop()
					continue
				case "both":
					ctx, cancel := context.WithCancelCause(t.Context())
					again := task
					again.Events = func(e restore.Event) {
						if e.State == restore.TableRunning {
							cancel(importcore.ErrPaused)
						}
					}
					if _, err := restored(ctx, r, again); err == nil { // the rows were in
						cancel(nil)
						drop()
						continue
					}
					cancel(nil)
				}
				fate, err := r.Abandon(t.Context(), task)
				require.NoError(t, err, what)
				require.NotContains(t, fate, "left behind", what)
				require.Zero(t, has(), "%s: %s", what, fate)
			}
		}
	}
	require.Greater(t, came, 20)
}

// TestMadeByOthers: what others make in the moment in which the job is about to, and is killed, is not the job's, whatever it looks like.
func TestMadeByOthers(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	db := s.name + "_o"
	folder := markedDump(t, db)
	t.Cleanup(func() { _, _ = s.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+db) })
	r := s.restorer()
	for name, sql := range map[string]string{
		"table": "CREATE TABLE `" + db + "`.u (id INT PRIMARY KEY)", "view": "CREATE VIEW `" + db + "`.w AS SELECT 1 AS a", "sequence": "CREATE SEQUENCE `" + db + "`.s",
	} {
		n := 0
		for done := false; !done; n++ { // the job dies at its next definition
			task := restoreTask(folder)
			task.Checkpoints = &mortal{}
			made := false
			came := s.dies(task, n+2, false, func() {
				_, err := s.db.ExecContext(context.WithoutCancel(t.Context()), sql)
				made = err == nil
			})
			require.True(t, came || !made)
			if done = !came; done {
				s.exec("DROP DATABASE " + db)
				continue
			}
			if made {
				_, err := restored(t.Context(), r, task)
				require.Error(t, err)
				require.EqualValues(t, 1050, fault.As(err).Code, err)
				require.ErrorContains(t, err, "was made by others")
				require.ErrorContains(t, err, "left behind")
				kind, _, _ := strings.Cut(definitions(s, db)[0], "|")
				require.Contains(t, kind, strings.ToUpper(name))
				require.Len(t, s.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = '"+db+"'"), 1)
				s.exec("DROP DATABASE " + db)
				break
			}
			_, err := r.Abandon(t.Context(), task)
			require.NoError(t, err)
		}
	}
}

// TestProgramsStay: what others put into what a job has made, and no list of tables shows, is kept when the job is given up.
func TestProgramsStay(t *testing.T) {
	t.Parallel()
	s := onMariaDB(t)
	db := s.name + "_p"
	t.Cleanup(func() { _, _ = s.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+db) })
	r := s.restorer()
	for _, c := range []struct{ sql, left, see string }{
		{"CREATE PROCEDURE `" + db + "`.p () SELECT 1", "database `" + db + "`, which holds routines or events", "SELECT routine_name FROM information_schema.routines WHERE routine_schema = '" + db + "'"},
		{"CREATE EVENT `" + db + "`.e ON SCHEDULE EVERY 1 DAY DO SELECT 1", "database `" + db + "`, which holds routines or events", "SELECT event_name FROM information_schema.events WHERE event_schema = '" + db + "'"},
		{"CREATE TRIGGER `" + db + "`.g BEFORE INSERT ON `" + db + "`.u FOR EACH ROW SET NEW.id = NEW.id", "table `" + db + "`.`u`, with 1 triggers that are not the job's", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '" + db + "'"},
		{"SELECT 1", "", ""},
	} {
		task := restoreTask(markedDump(t, db))
		ctx, cancel := context.WithCancelCause(t.Context())
		task.Events = func(e restore.Event) {
			if e.State == restore.TableRunning && ctx.Err() == nil {
				_, err := s.db.ExecContext(context.WithoutCancel(t.Context()), c.sql)
				if err != nil {
					t.Error(err)
				}
				cancel(importcore.ErrPaused)
			}
		}
		_, err := restored(ctx, r, task)
		require.ErrorIs(t, err, importcore.ErrPaused)
		fate, err := r.Abandon(t.Context(), task)
		require.NoError(t, err)
		if c.left == "" {
			require.NotContains(t, fate, "left behind")
			continue
		}
		require.Contains(t, fate, c.left)
		require.Len(t, s.rows(c.see), 1)
		s.exec("DROP DATABASE " + db)
	}
}
