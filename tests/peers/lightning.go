package peers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/BurntSushi/toml"

	"github.com/sluicedb/sluice/tests/playground"
)

// LightningBinEnv names the environment variable with the path of a prebuilt
// tidb-lightning. When it is set, BuildLightning builds nothing.
const LightningBinEnv = "SLUICE_LIGHTNING_BIN"

// BuildLightning builds tidb-lightning of the TiDB release that this module
// requires, and returns its path.
func BuildLightning(ctx context.Context) (string, error) {
	if bin := os.Getenv(LightningBinEnv); bin != "" {
		return bin, nil
	}
	return playground.Build(ctx, "tidb-lightning", "github.com/pingcap/tidb/lightning/cmd/tidb-lightning")
}

// Lightning is one run of tidb-lightning with its local backend: physical
// import, unless it is Bare with checksum required and statistics analysed.
type Lightning struct {
	// Bin is the program, see BuildLightning.
	Bin string
	// Cluster is where to import.
	Cluster *playground.Cluster
	// SourceDir holds the files, named <schema>.<table>.csv without a header.
	// The tables exist already.
	SourceDir string
	// Dump says that SourceDir is what Dumpling has written: schema files create the tables, CSV files have headers.
	Dump bool
	// Bare leaves out what doesn't change the tables' contents: tidb-lightning's prechecks, its own checksum, ANALYZE, and the checkpoint, a
	// file that it writes anew, whole, at each step of each table; and it takes more tables at a time. The caller compares what the tables
	// hold itself.
	Bare bool
	// WorkDir is for the configuration, the log, the checkpoint and the sorted
	// pairs. It must exist; the caller removes it.
	WorkDir string
	// Threads is region-concurrency; 0 means one per CPU.
	Threads int
}

// Run imports and waits. An error carries the end of tidb-lightning's output
// and log.
func (l Lightning) Run(ctx context.Context) (Usage, error) {
	config, err := l.writeConfig()
	if err != nil {
		return Usage{}, fmt.Errorf("tidb-lightning: %w", err)
	}
	return runTool(ctx, "tidb-lightning", l.WorkDir, lightningLog, l.Bin, "-config", config)
}

// bareTables is how many tables a Bare one imports at a time.
const bareTables = 16

const lightningLog = "lightning.log"

// writeConfig writes the configuration file and returns its path.
func (l Lightning) writeConfig() (string, error) {
	host, port, err := net.SplitHostPort(l.Cluster.TiDB)
	if err != nil {
		return "", err
	}
	_, statusPort, err := net.SplitHostPort(l.Cluster.TiDBStatus)
	if err != nil {
		return "", err
	}
	portNumber, err := strconv.Atoi(port)
	if err != nil {
		return "", err
	}
	statusNumber, err := strconv.Atoi(statusPort)
	if err != nil {
		return "", err
	}
	type section map[string]any
	general := section{"level": "info", "file": filepath.Join(l.WorkDir, lightningLog), "status-addr": "", "check-requirements": !l.Bare}
	if l.Threads > 0 {
		general["region-concurrency"] = l.Threads
	}
	if l.Bare {
		general["table-concurrency"], general["index-concurrency"] = bareTables, bareTables
	}
	files := section{
		"data-source-dir": l.SourceDir,
		"no-schema":       true,
		"csv":             section{"header": false, "separator": ",", "delimiter": `"`, "backslash-escape": false},
	}
	if l.Dump {
		files = section{"data-source-dir": l.SourceDir}
	}
	level := "required"
	if l.Bare {
		level = "off"
	}
	config := map[string]section{
		"lightning":     general,
		"checkpoint":    {"enable": !l.Bare, "driver": "file", "dsn": filepath.Join(l.WorkDir, "checkpoint.pb")},
		"tikv-importer": {"backend": "local", "sorted-kv-dir": filepath.Join(l.WorkDir, "sorted")},
		"mydumper":      files,
		"tidb": {
			"host": host, "port": portNumber, "user": "root",
			"status-port": statusNumber, "pd-addr": l.Cluster.PD,
		},
		"post-restore": {"checksum": level, "analyze": level},
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(config); err != nil {
		return "", err
	}
	path := filepath.Join(l.WorkDir, "lightning.toml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}
