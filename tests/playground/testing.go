package playground

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

const (
	// startTimeout covers a first build of TiDB on a slow machine.
	startTimeout = 20 * time.Minute
	// failLogLines is how much of the log a failed test shows.
	failLogLines = 60
)

// ForTest starts a cluster for one test and closes it when the test ends. A
// failed test shows the end of the cluster's log.
func ForTest(t testing.TB, opts Options) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	c, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.logFailure(t)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// DB opens a pool straight to TiDB that closes with the test.
func (c *Cluster) DB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (c *Cluster) logFailure(t testing.TB) {
	if t.Failed() {
		t.Log(c.LogTail(failLogLines))
	}
}

// shared is the cluster of Shared, one per test process.
var shared struct {
	sync.Mutex
	ready   bool // Main runs
	opts    Options
	cluster *Cluster
	err     error
}

// Runner is a *testing.M, or what a package puts around one to clean up after
// its tests and before the cluster goes.
type Runner interface{ Run() int }

// Main runs a package's tests and closes the cluster of Shared, if any test
// has asked for it, afterwards. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(playground.Main(m, playground.Options{})) }
func Main(m Runner, opts Options) int {
	shared.Lock()
	shared.ready, shared.opts = true, opts
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		return code
	}
	if err := shared.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Shared returns the cluster that all tests of the package share, started by
// the first that asks, with the Options of Main. Tests on it keep to databases
// of their own (Database) and inject no faults: those are for ForTest.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.ready {
		t.Fatal("playground.Shared needs a TestMain that calls playground.Main")
	}
	if shared.cluster == nil && shared.err == nil {
		// The cluster outlives the test, and so must not hang on its context.
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared.cluster, shared.err = Start(ctx, shared.opts)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	c := shared.cluster
	t.Cleanup(func() { c.logFailure(t) })
	return c
}

// databases numbers the databases of a process.
var databases struct {
	sync.Mutex
	n int
}

// Database creates an empty database for one test, drops it when the test
// ends, and returns its name and a pool that is connected to it.
func (c *Cluster) Database(t testing.TB) (name string, db *sql.DB) {
	t.Helper()
	databases.Lock()
	databases.n++
	name = fmt.Sprintf("play_%d", databases.n)
	databases.Unlock()
	admin := c.DB(t)
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", "root@tcp("+c.TiDB+")/"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		// The test's context has ended by now.
		if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	return name, db
}
