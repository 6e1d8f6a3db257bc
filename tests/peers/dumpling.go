package peers

import (
	"context"
	"net"
	"strings"

	"github.com/sluicedb/sluice/tests/playground"
)

// BuildDumpling builds dumpling of the TiDB release that this module requires, and returns its path.
func BuildDumpling(ctx context.Context) (string, error) {
	return playground.Build(ctx, "dumpling", "github.com/pingcap/tidb/dumpling/cmd/dumpling")
}

// Dumpling is one run of dumpling.
type Dumpling struct {
	// Bin is the program, see BuildDumpling.
	Bin string
	// Cluster is what is dumped.
	Cluster *playground.Cluster
	// Databases are those that are dumped, with views and sequences.
	Databases []string
	// Dir is where the files go.
	Dir string
	// FileType is "sql" or "csv".
	FileType string
	// Compress is "gzip", "snappy", "zstd" or "" for none.
	Compress string
	// Flags are any others, as dumpling has them.
	Flags []string
	// WorkDir is for the log. It must exist; the caller removes it.
	WorkDir string
}

const dumplingLog = "dumpling.log"

// Run dumps and waits. An error carries the end of dumpling's output and log.
func (d Dumpling) Run(ctx context.Context) (Usage, error) {
	host, port, err := net.SplitHostPort(d.Cluster.TiDB)
	if err != nil {
		return Usage{}, err
	}
	args := []string{
		"-h", host, "-P", port, "-u", "root", "--status-addr", "", "-L", dumplingLog,
		"-B", strings.Join(d.Databases, ","), "-o", d.Dir, "--filetype", d.FileType, "-W=false", "--no-sequences=false",
	}
	if d.Compress != "" {
		args = append(args, "-c", d.Compress)
	}
	return runTool(ctx, "dumpling", d.WorkDir, dumplingLog, d.Bin, append(args, d.Flags...)...)
}
