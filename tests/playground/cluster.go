package playground

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver behind Open
)

// stopTimeout is how long Close waits for the process before it kills it. The
// process itself gives up earlier, see cmd/playground.
const stopTimeout = 40 * time.Second

// Options says what cluster to start. The zero value is a cluster of one store
// with TiKV's default region size, in a directory that goes with it.
type Options struct {
	// Stores is the number of TiKV stores, 1 to 3; 0 means 1. Every region has
	// a peer on each.
	Stores int
	// RegionSplitSize (bytes) and RegionSplitKeys are the size from which a
	// region is split, also what TiKV's /config tells; 0 means TiKV's default.
	RegionSplitSize int64
	RegionSplitKeys int64
	// TxnTotalSizeLimit is TiDB's setting performance.txn-total-size-limit, in bytes; 0 means TiDB's default. With any other
	// value a session that is killed in a transaction ends alone: TiDB 8.5 otherwise accounts for the transaction's memory while it
	// rolls back, finds there that the session is killed, and the panic ends the server.
	TxnTotalSizeLimit int64
	// ServerVersion is TiDB's setting server-version, what VERSION() and the handshake say; "" means that of the release.
	ServerVersion string
	// Dir keeps the data there and continues what it finds. Empty means a
	// temporary directory that is removed with the cluster.
	Dir string
	// LogFile receives the log of the process. Empty means a file in Dir.
	LogFile string
}

// Cluster is a running playground process. All methods are safe for concurrent
// use; the one who started it must Close it.
type Cluster struct {
	Ready

	cmd   *exec.Cmd
	stdin io.Closer
	logs  string
	// temp is the throw-away directory, empty when the data is kept.
	temp string
	http *http.Client

	// exited is closed when the process has ended; exitErr is valid then.
	exited    chan struct{}
	exitErr   error
	closeOnce sync.Once
	closeErr  error
}

// Start builds the playground program if need be, runs it and returns when the
// cluster accepts connections. ctx bounds the start only. An error carries the
// end of the process's log.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	bin, err := program(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{exited: make(chan struct{}), http: &http.Client{Transport: &http.Transport{}}}
	dir := opts.Dir
	if dir == "" {
		if c.temp, err = os.MkdirTemp("", "sluice-playground-"); err != nil {
			return nil, fmt.Errorf("playground: %w", err)
		}
		dir = c.temp
	}
	c.logs = opts.LogFile
	if c.logs == "" {
		c.logs = filepath.Join(dir, "playground.log")
	}
	lines, err := c.launch(bin, dir, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("playground: %w", err), c.removeTemp())
	}
	if err := c.waitReady(ctx, lines); err != nil {
		err = fmt.Errorf("playground did not start: %w\n%s", err, c.LogTail(startLogLines))
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// startLogLines is how much of the log goes into an error of Start.
const startLogLines = 30

// program returns the path of the playground program, built at most once in
// this process.
func program(ctx context.Context) (string, error) {
	if bin := os.Getenv(BinEnv); bin != "" {
		return bin, nil
	}
	built.Lock()
	defer built.Unlock()
	if built.bin == "" {
		bin, err := Build(ctx, "playground", "github.com/sluicedb/sluice/tests/playground/cmd/playground")
		if err != nil {
			return "", err
		}
		built.bin = bin
	}
	return built.bin, nil
}

var built struct {
	sync.Mutex
	bin string
}

// launch starts the process and returns its first line of output on a channel.
func (c *Cluster) launch(bin, dir string, opts Options) (<-chan string, error) {
	args := []string{"--watch-stdin", "--dir", dir, "--log-file", c.logs}
	if c.temp != "" {
		// If this process is killed, nobody else would remove it.
		args = append(args, "--remove-dir")
	}
	for _, flag := range []struct {
		name  string
		value int64
	}{
		{"--stores", int64(opts.Stores)},
		{"--region-split-size", opts.RegionSplitSize},
		{"--region-split-keys", opts.RegionSplitKeys},
		{"--txn-total-size-limit", opts.TxnTotalSizeLimit},
	} {
		if flag.value != 0 {
			args = append(args, flag.name, strconv.FormatInt(flag.value, 10))
		}
	}
	if opts.ServerVersion != "" {
		args = append(args, "--server-version", opts.ServerVersion)
	}
	// Not CommandContext: the process outlives the context of its start.
	c.cmd = exec.Command(bin, args...)
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := os.OpenFile(c.logs+".stderr", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	c.stdin, c.cmd.Stderr = stdin, stderr
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	lines := make(chan string, 1)
	go func() {
		defer close(c.exited)
		out := bufio.NewReader(stdout)
		if line, err := out.ReadString('\n'); err == nil {
			lines <- line
		}
		// Nothing else is expected, but a full pipe must not stop the process.
		_, copyErr := io.Copy(io.Discard, out)
		c.exitErr = errors.Join(c.cmd.Wait(), copyErr)
	}()
	return lines, nil
}

func (c *Cluster) waitReady(ctx context.Context, lines <-chan string) error {
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), &c.Ready); err != nil {
			return fmt.Errorf("ready line %q: %w", line, err)
		}
		return nil
	case <-c.exited:
		return fmt.Errorf("process ended: %w", c.exitErr)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// DSN returns the data source name of the user root and the database test for
// github.com/go-sql-driver/mysql.
func (c *Cluster) DSN() string {
	return "root@tcp(" + c.TiDB + ")/test"
}

// Open returns a pool of connections straight to TiDB, which the caller closes.
func (c *Cluster) Open() (*sql.DB, error) {
	db, err := sql.Open("mysql", c.DSN())
	if err != nil {
		return nil, fmt.Errorf("playground: %w", err)
	}
	return db, nil
}

// Exited is closed when the process has ended, wanted or not.
func (c *Cluster) Exited() <-chan struct{} { return c.exited }

// Close ends the process and waits for it; a process that hangs is killed and
// reported. A temporary directory is gone afterwards. Later calls return the
// first one's result.
func (c *Cluster) Close() error {
	c.closeOnce.Do(func() { c.closeErr = c.close() })
	return c.closeErr
}

func (c *Cluster) close() error {
	var errs []error
	// The process takes the end of its input as the order to stop.
	if err := c.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		errs = append(errs, fmt.Errorf("playground: %w", err))
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-c.exited:
		if c.exitErr != nil {
			errs = append(errs, fmt.Errorf("playground: process ended: %w\n%s", c.exitErr, c.LogTail(startLogLines)))
		}
	case <-timer.C:
		errs = append(errs, fmt.Errorf("playground: did not stop within %s, killed", stopTimeout), c.cmd.Process.Kill())
		<-c.exited
	}
	c.http.CloseIdleConnections()
	return errors.Join(append(errs, c.removeTemp())...)
}

func (c *Cluster) removeTemp() error {
	if c.temp == "" {
		return nil
	}
	if err := os.RemoveAll(c.temp); err != nil {
		return fmt.Errorf("playground: %w", err)
	}
	return nil
}
