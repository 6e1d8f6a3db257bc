package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sluicedb/sluice/tests/peers"
)

// startSamples is how often tidb-lightning's start is measured.
const startSamples = 5

// prepareLightning builds tidb-lightning and measures its start.
func (b *bench) prepareLightning(ctx context.Context) error {
	bin, err := peers.BuildLightning(ctx)
	if err != nil {
		return err
	}
	var samples []float64
	for range startSamples {
		cmd := exec.CommandContext(ctx, bin, "-V")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("tidb-lightning -V: %w: %s", err, out)
		}
		samples = append(samples, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	}
	b.lightning, b.startOfLightning = bin, time.Duration(median(samples)*float64(time.Second))
	return nil
}

// runLightning runs tidb-lightning's local backend.
func runLightning(ctx context.Context, b *bench, env *environment) (m measurement, err error) {
	writtenBefore, err := writtenByChildren()
	if err != nil {
		return m, err
	}
	before, err := env.use(0)
	if err != nil {
		return m, err
	}
	used, err := peers.Lightning{
		Bin: b.lightning, Cluster: env.cluster, SourceDir: filepath.Dir(env.in.path), WorkDir: env.workDir, Threads: env.threads,
	}.Run(ctx)
	if err != nil {
		return m, err
	}
	after, err := env.use(0)
	if err != nil {
		return m, err
	}
	written, err := writtenByChildren()
	if err != nil {
		return m, err
	}
	m = after.measurement(before)
	m.Wall, m.Peak = used.Wall.Seconds(), used.MaxRSS
	m.CPU = (used.CPU - b.startOfLightning).Seconds()
	log, err := os.ReadFile(filepath.Join(env.workDir, "lightning.log"))
	if err != nil {
		return m, err
	}
	m.Written = max(0, written-writtenBefore-int64(len(log)))
	alone, err := parseLightningLog(string(log))
	m.Alone = alone.Seconds()
	return m, err
}

// runImportInto runs TiDB's statement and the ANALYZE that the others do
// themselves. CPU, peak and bytes written are those of the cluster's process.
func runImportInto(ctx context.Context, _ *bench, env *environment) (m measurement, err error) {
	if err := resetPeak(env.clusterPID); err != nil {
		return m, err
	}
	before, err := env.use(env.clusterPID)
	if err != nil {
		return m, err
	}
	name := schemaName + "." + tableName
	if _, err := peers.ImportInto(ctx, env.db, name, env.in.path, env.threads); err != nil {
		return m, err
	}
	if _, err := env.db.ExecContext(ctx, "ANALYZE TABLE "+name); err != nil {
		return m, fmt.Errorf("ANALYZE TABLE: %w", err)
	}
	after, err := env.use(env.clusterPID)
	if err != nil {
		return m, err
	}
	m = after.measurement(before)
	m.Peak, err = peakMemory(env.clusterPID)
	return m, err
}
