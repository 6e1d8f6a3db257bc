package playground

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// BinEnv names the environment variable with the path of a prebuilt playground
// program. When it is set, Start builds nothing.
const BinEnv = "SLUICE_PLAYGROUND_BIN"

// Build builds a main package into the user's cache directory and returns the
// program's path. importPath may be of any module that this one requires;
// flags go to "go build" (the name should tell programs with different flags
// apart). Test packages that run at the same time wait for each other, and a
// program that is up to date is not linked again. The working directory must
// be inside the module, which holds for every test.
func Build(ctx context.Context, name, importPath string, flags ...string) (string, error) {
	dir, err := buildDir(ctx)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, name+".lock"))
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	defer unlock()
	bin := filepath.Join(dir, name)
	args := append([]string{"build", "-o", bin}, flags...)
	if _, err := goCommand(ctx, append(args, importPath)...); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return bin, nil
}

// buildDir is one directory per checkout, so that two of them do not replace
// each other's programs.
func buildDir(ctx context.Context) (string, error) {
	gomod, err := goCommand(ctx, "env", "GOMOD")
	if err != nil {
		return "", err
	}
	gomod = strings.TrimSpace(gomod)
	if gomod == "" || gomod == os.DevNull {
		return "", errors.New("the working directory is in no Go module")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache directory: %w", err)
	}
	sum := sha256.Sum256([]byte(gomod))
	dir := filepath.Join(cache, "sluice-playground", hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("cache directory: %w", err)
	}
	return dir, nil
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// lockFile takes an exclusive lock on a file that is made when missing. The
// lock is the process's: it goes when the process does. A context that ends
// gives up the wait; the lock is then taken and given back later.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	locked := make(chan error, 1)
	go func() { locked <- flock(f) }()
	select {
	case err := <-locked:
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", filepath.Base(path), err), f.Close())
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() {
			<-locked
			f.Close()
		}()
		return nil, ctx.Err()
	}
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
