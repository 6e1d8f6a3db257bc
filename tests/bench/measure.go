package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/playground"
)

// measurement is one import by one program. Times are in seconds, sizes in
// bytes; see the package doc for what each covers.
type measurement struct {
	Case    string `json:"case"`
	Program string `json:"program"`
	Run     int    `json:"run"`
	Rows    int    `json:"rows"`
	// SourceBytes is the size of the file.
	SourceBytes int64   `json:"source_bytes"`
	Wall        float64 `json:"wall_s"`
	CPU         float64 `json:"cpu_s"`
	ClusterCPU  float64 `json:"cluster_cpu_s"`
	// Alone is 0 for a program that does not tell.
	Alone   float64 `json:"alone_s"`
	Peak    int64   `json:"peak_bytes"`
	Written int64   `json:"written_bytes"`
	// Runs is the size of Sluice's sorted runs.
	Runs int64 `json:"runs_bytes"`
	// Pairs and PairBytes are what is in the table, from ADMIN CHECKSUM.
	Pairs     uint64 `json:"pairs"`
	PairBytes uint64 `json:"pair_bytes"`
}

// cpuPerGiB returns CPU seconds for each GiB of CSV.
func (m measurement) cpuPerGiB() float64 { return m.CPU / (float64(m.SourceBytes) / (1 << 30)) }

// environment is what a program gets for one measurement.
type environment struct {
	cluster    *playground.Cluster
	clusterPID int
	db         *sql.DB // straight to TiDB, as root
	in         input
	threads    int
	workDir    string // empty; removed afterwards
	sluice     sluiceSetup
}

// sluiceSetup is how Sluice is to run when not as usual.
type sluiceSetup struct {
	memory string // import.memory-budget, empty for the default
	env    []string
}

// bench is a whole run of the command.
type bench struct {
	o       options
	workDir string
	// lightning is the path of tidb-lightning, empty when it does not take part.
	lightning        string
	startOfLightning time.Duration // CPU that its start takes
	checks           checks
	measurements     []measurement
}

// newBench makes the directory that everything goes to; cleanUp removes it.
func newBench(ctx context.Context, o options) (*bench, error) {
	if err := checkDisk(o.dir); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.dir, "sluice-bench-")
	if err != nil {
		return nil, err
	}
	// Cluster, Sluice and TiDB put their files there too.
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &bench{o: o, workDir: dir, checks: checks{}}, nil
}

func (b *bench) cleanUp() {
	if err := os.RemoveAll(b.workDir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// measureCases runs the programs in turn, case by case.
func (b *bench) measureCases(ctx context.Context, cases []dataset.Table, programs []program) error {
	for _, table := range cases {
		err := b.withInput(table, b.o.scale, func(in input) error {
			for n := range b.o.runs {
				for _, p := range programs {
					if _, err := b.measure(ctx, table.Name, n+1, in, p, b.o.threads, sluiceSetup{memory: b.o.memory}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) withInput(table dataset.Table, scale float64, use func(input) error) error {
	in, err := writeInput(b.workDir, table, scale)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "-- %s: %s; %d rows, %.1f MiB\n", table.Name, table.About, in.rows, mib(in.bytes))
	return errors.Join(use(in), in.remove())
}

// measure runs one program once on a cluster of its own and keeps the figures
// under the name of the case.
func (b *bench) measure(ctx context.Context, name string, n int, in input, p program, threads int, setup sluiceSetup) (_ measurement, err error) {
	fail := func(err error) (measurement, error) {
		return measurement{}, fmt.Errorf("%s, %s, run %d: %w", name, p.name, n, err)
	}
	env := &environment{in: in, threads: threads, sluice: setup}
	if env.workDir, err = os.MkdirTemp(b.workDir, p.name+"-"); err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(env.workDir)) }()
	if err := env.startCluster(ctx, b.o.stores); err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, env.db.Close(), env.cluster.Close()) }()
	m, err := p.run(ctx, b, env)
	if err != nil {
		return fail(err)
	}
	found, err := lookAtTable(ctx, env.db)
	if err == nil {
		err = b.checks.compare(in, found)
	}
	if err != nil {
		return fail(err)
	}
	m.Case, m.Program, m.Run, m.Rows, m.SourceBytes = name, p.name, n, in.rows, in.bytes
	m.Pairs, m.PairBytes = found.pairs, found.bytes
	b.measurements = append(b.measurements, m)
	fmt.Fprintf(os.Stderr, "   %-12s run %d: CPU %.2f s, wall %.2f s, peak %.0f MiB, written %.1f MiB\n",
		p.name, n, m.CPU, m.Wall, mib(m.Peak), mib(m.Written))
	return m, nil
}

// startCluster starts an empty cluster and makes the table in it.
func (env *environment) startCluster(ctx context.Context, stores int) (err error) {
	before, err := children()
	if err != nil {
		return err
	}
	if env.cluster, err = playground.Start(ctx, playground.Options{Stores: stores}); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, env.cluster.Close())
		}
	}()
	after, err := children()
	if err != nil {
		return err
	}
	for pid := range after {
		if !before[pid] {
			env.clusterPID = pid
		}
	}
	if env.clusterPID == 0 {
		return errors.New("the process of the cluster is not to be found")
	}
	if env.db, err = env.cluster.Open(); err != nil {
		return err
	}
	for _, stmt := range []string{
		"CREATE DATABASE " + schemaName,
		env.in.table.Schema(schemaName + "." + tableName),
		"SET GLOBAL tidb_enable_auto_analyze = OFF",
	} {
		if _, err := env.db.ExecContext(ctx, stmt); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", stmt, err), env.db.Close())
		}
	}
	return nil
}

// usage is what a process, or several, had used when it was read.
type usage struct {
	at      time.Time
	cpu     time.Duration
	cluster time.Duration
	written int64
}

// use reads what the process pid (none for 0) and the cluster have used so far.
func (env *environment) use(pid int) (u usage, err error) {
	if u.cluster, err = cpuTime(env.clusterPID); err != nil {
		return u, err
	}
	if pid != 0 {
		if u.cpu, err = cpuTime(pid); err != nil {
			return u, err
		}
		if u.written, err = writtenBytes(pid); err != nil {
			return u, err
		}
	}
	u.at = time.Now()
	return u, nil
}

// measurement returns the difference between two points in time.
func (u usage) measurement(before usage) measurement {
	return measurement{
		Wall:       u.at.Sub(before.at).Seconds(),
		CPU:        (u.cpu - before.cpu).Seconds(),
		ClusterCPU: (u.cluster - before.cluster).Seconds(),
		Written:    u.written - before.written,
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
