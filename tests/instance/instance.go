// Package instance runs the sluice binary as a process in front of a cluster,
// the way an administrator would: a service account, a configuration file, the
// program. The demo, the end-to-end tests and the benchmarks use it.
package instance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicedb/sluice/tests/playground"
)

const (
	// BinEnv names a prebuilt sluice binary; without it Start builds one.
	BinEnv = "SLUICE_BIN"
	// stopTimeout is how long Close waits before it kills the process.
	stopTimeout = 30 * time.Second
)

// Options says how to run Sluice. The zero value is good for tests.
type Options struct {
	// TiDB is the SQL address of the cluster; required.
	TiDB string
	// MoreTiDB are further addresses.
	MoreTiDB []string
	// Import holds further lines of the configuration's [import] section.
	Import string
	// Top holds further lines of the configuration before its sections.
	Top string
	// Bin is the binary to run; empty means the one that BinEnv names, or one that Start builds.
	Bin string
	// Race builds the binary with the race detector (not with Bin or BinEnv set).
	Race bool
	// Env is added to the environment of the process.
	Env []string
	// Log holds further lines of the configuration's [log] section.
	Log string
	// OnLog gets each line of the log, without its end, as soon as Sluice has written it. It is
	// called by one goroutine at a time, and what it takes Sluice may have to wait for.
	OnLog func(line string)
}

// Instance is a running Sluice. Its owner must Close it.
type Instance struct {
	// Addr is where MySQL clients connect, Status the HTTP address.
	Addr   string `json:"addr"`
	Status string `json:"status"`
	// Dir holds configuration, log and the sort directory; it goes with the instance.
	Dir string `json:"-"`
	// Password is the service account's, for tests that look for leaks.
	Password string `json:"-"`

	bin, config string
	opts        Options
	cmd         *exec.Cmd
	exited      chan struct{}
	killed      atomic.Bool // by Kill or Crash
	err         error
}

// Start makes the service account, writes the configuration and returns when
// Sluice accepts connections. ctx bounds the start only.
func Start(ctx context.Context, opts Options) (_ *Instance, err error) {
	in := &Instance{opts: opts}
	if in.bin, err = program(ctx, opts); err != nil {
		return nil, err
	}
	if in.Dir, err = os.MkdirTemp("", "sluice-instance-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(in.Dir))
		}
	}()
	if err := in.makeAccount(ctx, opts.TiDB); err != nil {
		return nil, err
	}
	if in.config, err = in.writeConfig(opts); err != nil {
		return nil, err
	}
	return in, in.launch(ctx)
}

// Restart runs Sluice again, after Kill or Stop, with the same configuration, directory and log. It
// has other addresses then. ctx bounds the start only; after an error Close is still to be called.
func (in *Instance) Restart(ctx context.Context) error { return in.launch(ctx) }

func program(ctx context.Context, opts Options) (string, error) {
	if opts.Bin != "" {
		return opts.Bin, nil
	}
	if bin := os.Getenv(BinEnv); bin != "" {
		return bin, nil
	}
	const path = "github.com/sluicedb/sluice/server"
	if opts.Race {
		return playground.Build(ctx, "sluice-race", path, "-race")
	}
	return playground.Build(ctx, "sluice", path)
}

// makeAccount is what an administrator does once. Several instances in front
// of one cluster get an account each.
func (in *Instance) makeAccount(ctx context.Context, tidb string) error {
	secret := make([]byte, 12)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	in.Password = hex.EncodeToString(secret)
	db, err := open(tidb, "root", "", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	user := "'" + in.user() + "'@'%'"
	for _, stmt := range []string{
		"CREATE USER " + user + " IDENTIFIED BY '" + in.Password + "'",
		"GRANT ALL PRIVILEGES ON *.* TO " + user,
	} {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("service account: %w", err)
		}
	}
	return nil
}

func (in *Instance) user() string { return "sluice_" + in.Password[:6] }

func (in *Instance) writeConfig(opts Options) (string, error) {
	logFile := in.LogFile()
	if opts.OnLog != nil {
		logFile = "" // standard error, which is copied to the file
	}
	text := fmt.Sprintf(`addr = "127.0.0.1:0"
status-addr = "127.0.0.1:0"
%s

[log]
file = %q
%s

[backend]
addresses = [%s]

[service-account]
user = %q
password = %q

[import]
sort-dir = %q
%s
`, opts.Top, logFile, opts.Log, quoted(append([]string{opts.TiDB}, opts.MoreTiDB...)), in.user(), in.Password, in.SortDir(), opts.Import)
	path := filepath.Join(in.Dir, "sluice.toml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// quoted writes strings as the members of a TOML array.
func quoted(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}

// Account is the name of the service account.
func (in *Instance) Account() string { return in.user() }

// LogFile is where Sluice logs, SortDir where its jobs sort.
func (in *Instance) LogFile() string { return filepath.Join(in.Dir, "sluice.log") }

// SortDir is the directory in which jobs sort.
func (in *Instance) SortDir() string { return filepath.Join(in.Dir, "sort") }

func (in *Instance) launch(ctx context.Context) error {
	in.exited, in.err = make(chan struct{}), nil
	in.killed.Store(false)
	in.cmd = exec.Command(in.bin, "--config", in.config, "--print-ready")
	in.cmd.Env = append(os.Environ(), in.opts.Env...)
	// If this process is killed, Sluice must not survive it.
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	in.cmd.Stderr = &stderr
	var lines *logLines
	if in.opts.OnLog != nil {
		var err error
		if lines, err = openLogLines(in.LogFile(), in.opts.OnLog); err != nil {
			return err
		}
		in.cmd.Stderr = lines
	}
	stdout, err := in.cmd.StdoutPipe()
	if err != nil {
		lines.close()
		return err
	}
	started := make(chan error, 1)
	line := make(chan []byte, 1)
	go func() {
		defer close(in.exited)
		defer lines.close()
		// The death signal comes when the thread that started the process
		// ends, so that thread has to stay for as long as the process.
		runtime.LockOSThread()
		err := in.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		out := bufio.NewReader(stdout)
		if first, err := out.ReadBytes('\n'); err == nil {
			line <- first
		}
		_, _ = io.Copy(io.Discard, out)
		in.err = in.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return err
	}
	select {
	case text := <-line:
		if err := json.Unmarshal(text, in); err != nil {
			return errors.Join(fmt.Errorf("ready line %q: %w", text, err), in.Close())
		}
		return nil
	case <-in.exited:
		return fmt.Errorf("sluice ended before it was ready: %w\n%s\n%s", in.err, stderr.String(), in.LogTail(20))
	case <-ctx.Done():
		return errors.Join(ctx.Err(), in.Close())
	}
}

// LogTail returns the last lines of the log.
func (in *Instance) LogTail(lines int) string {
	text, err := os.ReadFile(in.LogFile())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Open returns a pool of connections through the proxy, which the caller closes.
func (in *Instance) Open(user, password, database string) (*sql.DB, error) {
	return open(in.Addr, user, password, database)
}

func open(addr, user, password, database string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", addr, user, password, database
	cfg.InterpolateParams = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// PeakMemory returns the largest resident set of the process so far, in bytes.
func (in *Instance) PeakMemory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", in.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib int64
			if _, err := fmt.Sscan(value, &kib); err != nil {
				return 0, fmt.Errorf("%q: %w", line, err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("the kernel does not tell the peak memory")
}

// PID is the process id.
func (in *Instance) PID() int { return in.cmd.Process.Pid }

// CPUTime is the processor time that the process has used so far.
func (in *Instance) CPUTime() (time.Duration, error) { return ProcessTime(in.PID()) }

// Exited is closed when the process has ended.
func (in *Instance) Exited() <-chan struct{} { return in.exited }

// Kill ends the process at once, as a crash would, and keeps its directory until Close.
func (in *Instance) Kill() {
	in.Crash()
	<-in.exited
}

// Freeze stops the process where it is, as a machine without a processor to spare
// would, until Thaw. Its connections stay.
func (in *Instance) Freeze() error {
	if err := in.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", in.PID()))
		if err != nil {
			return err
		}
		if state := stat[bytes.LastIndexByte(stat, ')')+1:]; bytes.HasPrefix(state, []byte(" T")) {
			return nil
		}
		select {
		case <-look.C:
		case <-in.exited:
			return errors.New("sluice has ended")
		}
	}
}

// Thaw lets a frozen process go on.
func (in *Instance) Thaw() error { return in.cmd.Process.Signal(syscall.SIGCONT) }

// Logged returns the lines of the log that hold a text.
func (in *Instance) Logged(text string) ([]string, error) {
	all, err := os.ReadFile(in.LogFile())
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found, nil
}

// Crash is Kill for those who can't wait for the end, such as OnLog.
func (in *Instance) Crash() {
	in.killed.Store(true)
	_ = in.cmd.Process.Kill()
}

// Close stops Sluice, if that has not been done, and removes its directory.
func (in *Instance) Close() error { return errors.Join(in.Stop(), os.RemoveAll(in.Dir)) }

// Stop asks Sluice to stop, waits for it and keeps its directory, from which others may go on with its jobs, until
// Close. A process that had to be killed, or that ended with an error, is reported, unless Kill or Crash ended it.
func (in *Instance) Stop() error {
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-in.exited:
		if in.err != nil && !in.killed.Load() {
			err = fmt.Errorf("sluice: %w\n%s", in.err, in.LogTail(20))
		}
	case <-timer.C:
		_ = in.cmd.Process.Kill()
		<-in.exited
		err = fmt.Errorf("sluice did not stop within %s and was killed", stopTimeout)
	}
	return err
}
