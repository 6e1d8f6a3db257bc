package jobs_test

import (
	"bytes"
	"context"
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
)

// The account that tests use on MariaDB.
const (
	mariaUser     = "sluice"
	mariaPassword = "pa'ss"
)

// mariaDB is the server that the package's tests share, started by the first.
var mariaDB mariaServer

type mariaServer struct {
	once   sync.Once
	err    error
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	log    bytes.Buffer
}

// socket starts the server where needed and returns its socket's path.
func (m *mariaServer) socket(t *testing.T) string {
	t.Helper()
	if os.Getenv("SLUICE_SKIP_MARIADB") != "" {
		t.Skip("SLUICE_SKIP_MARIADB is set")
	}
	m.once.Do(func() { m.err = m.start() })
	if m.err != nil {
		t.Fatalf("MariaDB (set SLUICE_SKIP_MARIADB=1 to do without): %v", m.err)
	}
	return filepath.Join(m.dir, "s")
}

func (m *mariaServer) start() error {
	server, err := find("mariadbd", "mysqld")
	if err != nil {
		return err
	}
	install, err := find("mariadb-install-db", "mysql_install_db")
	if err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	// A socket's path is limited to about 100 bytes: not under the test's own directory.
	if m.dir, err = os.MkdirTemp("", "maria"); err != nil {
		return err
	}
	data := filepath.Join(m.dir, "data")
	out, err := exec.Command(install, "--no-defaults", "--user="+me.Username, "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", install, err, out)
	}
	init := filepath.Join(m.dir, "init.sql")
	account := "CREATE USER " + mariaUser + "@localhost IDENTIFIED BY 'pa''ss';\nGRANT ALL ON *.* TO " + mariaUser + "@localhost;\n"
	if err := os.WriteFile(init, []byte(account), 0o600); err != nil {
		return err
	}
	m.cmd = exec.Command(server, "--no-defaults", "--user="+me.Username, "--datadir="+data, "--skip-networking",
		"--socket="+filepath.Join(m.dir, "s"), "--pid-file="+filepath.Join(m.dir, "pid"), "--init-file="+init,
		"--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0")
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.exited = make(chan struct{})
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = m.cmd.Wait()
		close(m.exited)
	}()
	return m.waitReady()
}

func (m *mariaServer) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := client.Connect(filepath.Join(m.dir, "s"), mariaUser, mariaPassword, "")
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-m.exited:
			return fmt.Errorf("the server ended: %s", m.log.String())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (m *mariaServer) stop() {
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	if m.dir != "" {
		_ = os.RemoveAll(m.dir)
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
