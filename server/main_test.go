package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pingcaplog "github.com/pingcap/log"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicedb/sluice/server/config"
	"github.com/sluicedb/sluice/server/proxy"
	"github.com/sluicedb/sluice/server/wire"
)

// opencensus, linked for the cloud storages' sake, starts a worker when loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

func runOnce(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(t.Context(), args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	code, out, _ := runOnce(t, "--version")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "sluice ")
	code, out, _ = runOnce(t, "--check-config", "--addr", "127.0.0.1:0")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, `addr = "127.0.0.1:0"`)
	code, _, errOut := runOnce(t, "--help")
	require.Equal(t, exitOK, code)
	require.Contains(t, errOut, "--config" /* usage shows one hyphen */ [1:])
	code, _, errOut = runOnce(t, "--check-config", "--addr", "x", "--log-level", "y")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "addr must be")
	require.Contains(t, errOut, "log.level must be")
	code, _, _ = runOnce(t, "--nonsense")
	require.Equal(t, exitUsage, code)
	code, _, errOut = runOnce(t, "--log-file", filepath.Join(t.TempDir(), "missing", "log"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "log.file")
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for _, args := range [][]string{
		{"--addr", l.Addr().String()},
		{"--addr", "127.0.0.1:0", "--status-addr", l.Addr().String()},
	} {
		code, _, errOut := runOnce(t, append(args, "--log-level", "error")...)
		require.Equal(t, exitFailed, code)
		require.Contains(t, errOut, "address already in use")
	}
}

// TestLife starts the process against a backend that is not there and stops it as
// a signal would.
func TestLife(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	logFile := filepath.Join(t.TempDir(), "sluice.log")
	ctx, stop := context.WithCancel(t.Context())
	stdout, stdoutWriter := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--addr", "127.0.0.1:0", "--status-addr", "127.0.0.1:0", "--backend", gone.Addr().String(),
			"--sort-dir", t.TempDir(), "--log-file", logFile, "--print-ready"}, stdoutWriter, io.Discard)
	}()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var ready Ready
	require.NoError(t, json.Unmarshal(line, &ready))

	conn, err := net.Dial("tcp", ready.Addr)
	require.NoError(t, err)
	payload, _, err := wire.ReadPacket(conn, wire.MaxHandshakePacket)
	require.NoError(t, err)
	refusal, err := wire.ParseErr(payload, 0)
	require.NoError(t, err)
	require.Equal(t, uint16(2003), refusal.Code)
	require.Contains(t, refusal.Message, "no TiDB server is reachable")
	require.NoError(t, conn.Close())

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/healthz": http.StatusServiceUnavailable, "/metrics": http.StatusOK} {
		resp, err := client.Get("http://" + ready.Status + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, path)
		if path == "/metrics" {
			require.Contains(t, string(body), `sluice_proxy_connections_total{result="failed"} 1`)
		}
	}
	stop()
	require.Equal(t, exitOK, <-code)
	log, err := os.ReadFile(logFile)
	require.NoError(t, err)
	require.Contains(t, string(log), "sluice is ready")
	require.Contains(t, string(log), "sluice is down")
}

func TestTimeZonesAreInTheBinary(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	require.Contains(t, strings.Fields(string(out)), "time/tzdata")
}

// TestLibrariesLogToOurLog is not parallel: the libraries' logger is the process's.
func TestLibrariesLogToOurLog(t *testing.T) {
	for level, want := range map[string][]string{"info": {"careful", "broken"}, "error": {"broken"}} {
		var out bytes.Buffer
		logger, closeLog, err := newLogger(config.Log{Level: level, Format: "json"}, &out)
		require.NoError(t, err)
		restore := redirectLibraries(logger)
		pingcaplog.Info("chatter")
		pingcaplog.Warn("careful")
		pingcaplog.Error("broken")
		restore()
		require.NoError(t, closeLog())
		var got []string
		for line := range strings.Lines(out.String()) {
			var entry struct{ Msg string }
			require.NoError(t, json.Unmarshal([]byte(line), &entry))
			got = append(got, entry.Msg)
		}
		require.Equal(t, want, got)
	}
}

func TestRecognise(t *testing.T) {
	t.Parallel()
	s := statements{}
	utf8 := proxy.TextMode{Charset: "utf8mb4"}
	for text, kind := range map[string]string{
		"SHOW IMPORT JOBS":                 "show_import_jobs",
		"show import job 5":                "show_import_job",
		"cancel import job 5":              "cancel_import_job",
		"import into t from '/data/a.csv'": "import_into",
	} {
		require.True(t, s.MaybeOurs([]byte(text)))
		statement, err := s.Recognise([]byte(text), utf8)
		require.NoError(t, err)
		require.Equal(t, kind, statement.Kind())
	}
	for _, text := range []string{"select 1", "show import", "explain import", "import \xff\xfe"} {
		statement, err := s.Recognise([]byte(text), utf8)
		require.NoError(t, err, text)
		require.Nil(t, statement, text)
	}
	_, err := s.Recognise([]byte("import into t from '/a.csv' with foo"), utf8)
	require.Error(t, err)

	// ANSI_QUOTES: a location in double quotes is a name, so TiDB answers.
	statement, err := s.Recognise([]byte(`import into t from "/a.csv"`), proxy.TextMode{SQLMode: "ANSI_QUOTES", Charset: "utf8mb4"})
	require.NoError(t, err)
	require.Nil(t, statement)

	gbk := proxy.TextMode{Charset: "gbk"}
	statement, err = s.Recognise([]byte("import into \xd6\xd0 from '/a.csv'"), gbk)
	require.NoError(t, err)
	require.Equal(t, "import_into", statement.Kind())
	_, err = s.Recognise([]byte("import into t from '/\xff\xff.csv'"), gbk)
	require.ErrorContains(t, err, "not valid gbk")
}
