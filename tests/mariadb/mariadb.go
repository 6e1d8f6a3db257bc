// Package mariadb runs a MariaDB server for a package's tests: the target that isn't TiDB.
//
// MariaDB's server (package mariadb-server) has to be installed; a machine without it says so with SLUICE_SKIP_MARIADB=1.
package mariadb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-sql-driver/mysql"
)

// The account that tests use. It may do everything.
const (
	User     = "sluice"
	Password = "pa'ss"
)

const startTimeout = 5 * time.Minute

// Server is one server, which listens on a socket alone.
type Server struct {
	// Socket is the path of its socket.
	Socket string

	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	log    bytes.Buffer // not to be read before exited is closed
}

// shared is the server of Shared, one per test process.
var shared struct {
	sync.Mutex
	server *Server
	err    error
	n      int // databases made
}

// Runner is a *testing.M, or what a package puts around one.
type Runner interface{ Run() int }

// Main is a Runner around another one that ends the server of Shared, if any test has asked for it, afterwards:
//
//	func TestMain(m *testing.M) { os.Exit(playground.Main(mariadb.Main{M: m}, playground.Options{})) }
type Main struct{ M Runner }

// Run implements Runner.
func (m Main) Run() int {
	code := m.M.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.stop()
	}
	return code
}

// Shared returns the server that all tests of the package share, started by the first that asks. With
// SLUICE_SKIP_MARIADB set the test is skipped.
func Shared(t testing.TB) *Server {
	t.Helper()
	if os.Getenv("SLUICE_SKIP_MARIADB") != "" {
		t.Skip("SLUICE_SKIP_MARIADB is set")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		s := &Server{}
		if shared.err = s.start(); shared.err != nil {
			s.stop()
		} else {
			shared.server = s
		}
	}
	if shared.err != nil {
		t.Fatalf("MariaDB (set SLUICE_SKIP_MARIADB=1 to do without): %v", shared.err)
	}
	return shared.server
}

// DB opens a pool that closes with the test; database may be "".
func (s *Server) DB(t testing.TB, database string) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.DBName = User, Password, "unix", s.Socket, database
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Database creates an empty database for one test, drops it when the test ends, and returns its name and a pool
// that is connected to it.
func (s *Server) Database(t testing.TB) (name string, db *sql.DB) {
	t.Helper()
	shared.Lock()
	shared.n++
	name = fmt.Sprintf("maria_%d", shared.n)
	shared.Unlock()
	admin := s.DB(t, "")
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name+" DEFAULT CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	return name, s.DB(t, name)
}

func (s *Server) start() error {
	server, err := find("mariadbd", "mysqld")
	if err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	// A socket's path is limited to about 100 bytes: not under the test's own directory.
	if s.dir, err = os.MkdirTemp("", "maria"); err != nil {
		return err
	}
	s.Socket = filepath.Join(s.dir, "s")
	data := filepath.Join(s.dir, "data")
	if err := install(me.Username, data); err != nil {
		return err
	}
	init := filepath.Join(s.dir, "init.sql")
	account := "CREATE USER " + User + "@localhost IDENTIFIED BY 'pa''ss';\nGRANT ALL ON *.* TO " + User + "@localhost;\n"
	if err := os.WriteFile(init, []byte(account), 0o600); err != nil {
		return err
	}
	// The directory for temporary files is its own: a server that starts clears it of those of others.
	s.cmd = exec.Command(server, "--no-defaults", "--user="+me.Username, "--datadir="+data, "--tmpdir="+s.dir, "--skip-networking",
		"--socket="+s.Socket, "--pid-file="+filepath.Join(s.dir, "pid"), "--init-file="+init,
		"--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	return s.waitReady()
}

func install(account, data string) error {
	program, err := find("mariadb-install-db", "mysql_install_db")
	if err != nil {
		return err
	}
	out, err := exec.Command(program, "--no-defaults", "--user="+account, "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.Connect(s.Socket, User, Password, "")
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("the server ended: %s", s.log.String())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (s *Server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// find looks beside PATH where distributions put servers.
func find(names ...string) (string, error) {
	for _, name := range names {
		for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin", "/usr/libexec"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("none of %v is installed", names)
}
