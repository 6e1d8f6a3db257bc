package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Usage is what a finished process has used.
type Usage struct {
	Wall, CPU time.Duration
	// MaxRSS is the largest resident size in bytes.
	MaxRSS int64
}

// maxErrorOutput bounds what of a tool's output and log goes into an error, in bytes of each.
const maxErrorOutput = 4 << 10

// runTool runs a program in dir to its end. An error carries the end of its
// output and of its log, a file in dir.
func runTool(ctx context.Context, name, dir, log, bin string, args ...string) (Usage, error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	started := time.Now()
	err := cmd.Run()
	usage := Usage{Wall: time.Since(started)}
	if state := cmd.ProcessState; state != nil {
		usage.CPU = state.UserTime() + state.SystemTime()
		if rusage, ok := state.SysUsage().(*syscall.Rusage); ok {
			usage.MaxRSS = rusage.Maxrss * 1024 // Linux counts in KiB
		}
	}
	if err == nil {
		return usage, nil
	}
	text, readErr := os.ReadFile(filepath.Join(dir, log))
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil // it ended before it had one
	}
	return usage, errors.Join(fmt.Errorf("%s: %w\n%s\n%s", name, err, end(output.Bytes()), end(text)), readErr)
}

func end(b []byte) []byte { return b[max(0, len(b)-maxErrorOutput):] }
