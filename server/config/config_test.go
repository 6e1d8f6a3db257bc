package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestLeastValues: what is refused here is what the core would refuse for each job.
func TestLeastValues(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, importcore.MinDiskQuota, minDiskQuota)
	require.EqualValues(t, importcore.MinMemoryBudget, minJobMemory)
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	inv, err := Load(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, Default(), inv.Config)
}

func TestFileThenFlags(t *testing.T) {
	t.Parallel()
	path := write(t, `
addr = "0.0.0.0:4100"
[log]
level = "warn"
[backend]
addresses = ["tidb-0:4000", "tidb-1:4000"]
dial-timeout = "250ms"
[import]
sort-compression = "zstd"
checkpoint-bytes = "10GiB"
disk-quota = "200GiB"
memory-budget = "1.5GiB"
threads = 3
`)
	inv, err := Load([]string{"--config", path, "--addr", "127.0.0.1:0", "--log-level=debug", "--sort-dir", "/data/sort",
		"--memory-budget", "192MiB", "--print-ready"}, io.Discard)
	require.NoError(t, err)
	require.True(t, inv.PrintReady)
	want := Default()
	want.Addr = "127.0.0.1:0"
	want.Log.Level = "debug"
	want.Backend.Addresses = []string{"tidb-0:4000", "tidb-1:4000"}
	want.Backend.DialTimeout = Duration(250 * time.Millisecond)
	want.Import = Import{SortDir: "/data/sort", SortCompression: "zstd", MemoryBudget: 192 << 20, Threads: 3,
		DiskQuota: 200 << 30, CheckpointBytes: 10 << 30, CheckpointInterval: Duration(time.Minute)}
	require.Equal(t, want, inv.Config)

	inv, err = Load([]string{"--config", path, "--backend", "a:1,b:2", "--status-addr", ""}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"a:1", "b:2"}, inv.Config.Backend.Addresses)
	require.Empty(t, inv.Config.StatusAddr)
}

func TestAllFindingsAtOnce(t *testing.T) {
	t.Parallel()
	path := write(t, `
adr = "x"
addr = "nowhere"
status-addr = "127.0.0.1:99999"
schema = ""
graceful-wait = "-1s"
[log]
level = "loud"
format = "xml"
[backend]
addresses = ["a:1", "a:1", ":4000", "b:0"]
dial-timeout = "0s"
[service-account]
user = ""
password = "secret-one"
password-file = "/nonexistent"
[import]
sort-dir = "relative"
sort-compression = "lz4"
checkpoint-bytes = "0"
disk-quota = "1023KiB"
checkpoint-interval = "-1m"
memory-budget = "1MiB"
max-latency = "10us"
threads = -1
[jobs]
concurrency = 0
retention = "-1h"
takeover-timeout = "0s"
[tls]
on = true
`)
	_, err := Load([]string{"--config", path}, io.Discard)
	require.Error(t, err)
	for _, want := range []string{
		"unknown key adr", "unknown key tls", `addr must be host:port, not "nowhere"`, "status-addr: port", "schema must have",
		"graceful-wait", "log.level", "log.format", "names a:1 twice", "backend.addresses[2]: host is missing",
		"backend.addresses[3]: port", "backend.dial-timeout", "service-account.user", "exclude each other",
		"import.sort-dir", `import.sort-compression must be none, snappy or zstd, not "lz4"`, "import.memory-budget must be at least 160MiB (128MiB for the process, 32MiB for each of the 1 jobs that run at a time), not 1MiB", "jobs.concurrency", "import.threads",
		"jobs.retention must not be negative", "jobs.takeover-timeout must be more than 0",
		"import.max-latency must be from 1ms to 1m, or 0s for any, not 10µs",
		"import.disk-quota must be 0 or at least 1MiB, not 1023KiB", "import.checkpoint-bytes must be positive", "import.checkpoint-interval",
	} {
		require.Contains(t, err.Error(), want)
	}
	require.NotContains(t, err.Error(), "secret-one")
}

func TestBrokenTOMLDoesNotShowTheLine(t *testing.T) {
	t.Parallel()
	_, err := Load([]string{"--config", write(t, "[service-account]\npassword = secret-two\n")}, io.Discard)
	require.ErrorContains(t, err, "line 2")
	require.NotContains(t, err.Error(), "secret-two")
}

func TestFlagsAndFilesThatFail(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"no-such-file":        {"--config", "/no-such-file"},
		"unexpected argument": {"start"},
		"not defined":         {"--password", "x"},
		"--memory-budget":     {"--memory-budget", "12MB"},
	} {
		_, err := Load(args, io.Discard)
		require.ErrorContains(t, err, want)
	}
	inv, err := Load([]string{"--help"}, io.Discard)
	require.NoError(t, err)
	require.True(t, inv.Help)
	inv, err = Load([]string{"--version", "--addr", "nonsense"}, io.Discard)
	require.NoError(t, err)
	require.True(t, inv.Version)
}

func TestPasswordIsHiddenEverywhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("hunter2\n"), 0o600))
	inv, err := Load([]string{"--config", write(t, fmt.Sprintf("[service-account]\npassword-file = %q\n", file))}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "hunter2", inv.Config.ServiceAccount.Password.Reveal())
	for _, shown := range []string{
		inv.Config.String(), fmt.Sprint(inv.Config), fmt.Sprintf("%v", inv), fmt.Sprintf("%+v", inv), fmt.Sprintf("%#v", inv),
		fmt.Sprintf("%s", inv.Config.ServiceAccount), fmt.Sprintf("%q", inv.Config.ServiceAccount.Password),
	} {
		require.NotContains(t, shown, "hunter2")
	}
	require.Contains(t, inv.Config.String(), hidden)
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "17": 17, "17B": 17, "256MiB": 256 << 20, " 1 GiB ": 1 << 30, "1.5gib": 3 << 29, "2TiB": 2 << 40, "0.5KiB": 512,
		"9223372036854775807": 1<<63 - 1,
	} {
		got, err := ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1", "1MB", "1e400GiB", "NaN", "Inf", "8388608TiB", "9223372036854775808", "1 2MiB", "0x1p4KiB", "1PiB"} {
		_, err := ParseSize(text)
		require.Error(t, err, text)
	}
}

func FuzzSize(f *testing.F) {
	f.Add("256MiB")
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, size, Size(0))
		again, err := ParseSize(size.String())
		require.NoError(t, err)
		require.Equal(t, size, again)
	})
}

// The sample must name every key and show the defaults.
func TestSampleIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "configs", "sluice.toml"))
	require.NoError(t, err)
	var sample Config
	require.NoError(t, sample.decode(text))
	sample.Import.SortDir = Default().Import.SortDir // depends on the machine
	require.Equal(t, Default(), sample)
	for _, line := range strings.Split(Default().String(), "\n") {
		if key, _, ok := strings.Cut(strings.TrimSpace(line), " ="); ok {
			require.Regexp(t, `(?m)^`+key+` = `, string(text), "the sample lacks a key")
		}
	}
}
