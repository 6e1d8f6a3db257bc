package instance

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// startTimeout is long enough for a cold build with -race.
const startTimeout = 20 * time.Minute

// shared are the instances that a package's tests share, by the address of what is behind them.
var shared struct {
	sync.Mutex
	of map[string]*Instance
}

// Runner is a *testing.M, or what a package puts around one.
type Runner interface{ Run() int }

// Main is a Runner around another one that closes the instances of Shared afterwards, before the servers behind them go:
//
//	func TestMain(m *testing.M) { os.Exit(playground.Main(instance.Main{M: m}, playground.Options{})) }
type Main struct{ M Runner }

// Run implements Runner.
func (m Main) Run() int {
	code := m.M.Run()
	shared.Lock()
	defer shared.Unlock()
	for _, in := range shared.of {
		if err := in.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}

// Shared returns the instance in front of opts.TiDB that all tests of the package share, started with the options of the
// first that asks. The package's TestMain has to run its tests by Main.
func Shared(t testing.TB, opts Options) *Instance {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	in := shared.of[opts.TiDB]
	if in == nil {
		in = start(t, opts)
		if shared.of == nil {
			shared.of = map[string]*Instance{}
		}
		shared.of[opts.TiDB] = in
	}
	logFailure(t, in)
	return in
}

// ForTest returns an instance for one test, which closes it.
func ForTest(t testing.TB, opts Options) *Instance {
	t.Helper()
	in := start(t, opts)
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	logFailure(t, in)
	return in
}

func start(t testing.TB, opts Options) *Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout) // it may outlive the test
	defer cancel()
	in, err := Start(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// logFailure shows the end of the log where a test has failed.
func logFailure(t testing.TB, in *Instance) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in.LogTail(40))
		}
	})
}
