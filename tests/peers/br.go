package peers

import (
	"context"

	"github.com/sluicedb/sluice/tests/playground"
)

// BuildBR builds br of the TiDB release that this module requires, and returns its path.
func BuildBR(ctx context.Context) (string, error) {
	return playground.Build(ctx, "br", "github.com/pingcap/tidb/br/cmd/br")
}

// BR is one run of br, the program.
type BR struct {
	// Bin is the program, see BuildBR.
	Bin string
	// Cluster is what is restored into.
	Cluster *playground.Cluster
	// Storage is where the archive is: an absolute path, or a URL as br takes it.
	Storage string
	// WorkDir is for the log. It must exist; the caller removes it.
	WorkDir string
}

const brLog = "br.log"

// Restore restores an archive. what is "full", "db" or "table" with br's flags for it
// ("--db", "a"), and any others.
func (b BR) Restore(ctx context.Context, what ...string) (Usage, error) {
	args := append([]string{"restore"}, what...)
	args = append(args, "--pd", b.Cluster.PD, "--storage", b.Storage, "--log-file", brLog)
	return runTool(ctx, "br restore", b.WorkDir, brLog, b.Bin, args...)
}
