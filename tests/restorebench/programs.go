package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/peers"
)

// usage is what a restore has taken.
type usage struct {
	peers.Usage
	// Cluster is the processor time of TiDB, PD and the stores, which are one process.
	Cluster time.Duration
}

// program restores into a cluster once.
type program struct {
	name string
	// analyses tells that all tables have statistics afterwards.
	analyses bool
	run      func(ctx context.Context, on target) (usage, error)
}

// programs are the two that restore a source.
func (b *bench) programs(source string) ([]program, error) {
	sluice := func(name, location, options string, analyses bool) program {
		return program{name, analyses, func(ctx context.Context, on target) (usage, error) {
			return b.sluice(ctx, on, source, location, options)
		}}
	}
	br := func(analyses bool, flags ...string) program {
		return program{"br", analyses, func(ctx context.Context, on target) (usage, error) { return b.br(ctx, on, flags...) }}
	}
	lightning := func(bare bool) program {
		return program{"tidb-lightning", !bare, func(ctx context.Context, on target) (usage, error) { return b.lightning(ctx, on, bare) }}
	}
	switch source {
	case sourceDump:
		return []program{sluice("sluice", b.dump(), "", true), lightning(false)}, nil
	case sourceBareDump:
		return []program{sluice("sluice", b.dump(), "CHECKSUM = OFF ANALYZE = OFF", false), lightning(true)}, nil
	case sourceArchive:
		return []program{sluice("sluice", b.archive(), "", true), br(true)}, nil
	case sourceBareArchive:
		return []program{sluice("sluice", b.archive(), "LOAD_STATS = FALSE ANALYZE = OFF", false), br(false, "--load-stats=false")}, nil
	}
	return nil, fmt.Errorf("no source %q; there are %s, %s, %s and %s", source, sourceDump, sourceBareDump, sourceArchive, sourceBareArchive)
}

// clusterTime adds the cluster's processor time while f runs.
func (u *usage) clusterTime(on target, f func() error) error {
	before, err := instance.ProcessTime(on.cluster.PID)
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := instance.ProcessTime(on.cluster.PID)
	u.Cluster = after - before
	return err
}

// sluice starts a Sluice in front of the cluster and sends it the statement. name is for the files of a profile.
func (b *bench) sluice(ctx context.Context, on target, name, location, options string) (used usage, err error) {
	in, err := instance.Start(ctx, instance.Options{TiDB: on.cluster.TiDB})
	if err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	db, err := in.Open("root", "", "")
	if err != nil {
		return used, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// Before the clock runs: the connection, and Sluice's job tables, which it makes once in the life of a cluster.
	if _, err := db.ExecContext(ctx, "SHOW IMPORT JOBS"); err != nil {
		return used, err
	}
	restore := func() error {
		before, err := in.CPUTime()
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := db.ExecContext(ctx, "RESTORE DATABASE "+schema+" FROM '"+location+"' "+options); err != nil {
			return fmt.Errorf("%w\n%s", err, in.LogTail(20))
		}
		used.Wall = time.Since(began)
		after, err := in.CPUTime()
		used.CPU = after - before
		return err
	}
	err = b.profiled(ctx, b.name+"."+name, on, in, func() error { return used.clusterTime(on, restore) })
	if err != nil {
		return used, err
	}
	used.MaxRSS, err = in.PeakMemory()
	return used, err
}

func (b *bench) lightning(ctx context.Context, on target, bare bool) (used usage, err error) {
	bin, err := peers.BuildLightning(ctx)
	if err != nil {
		return used, err
	}
	dir, err := os.MkdirTemp(b.workDir, "lightning-")
	if err != nil {
		return used, err
	}
	err = used.clusterTime(on, func() (err error) {
		used.Usage, err = peers.Lightning{Bin: bin, Cluster: on.cluster, SourceDir: b.dump(), Dump: true, Bare: bare, WorkDir: dir}.Run(ctx)
		return err
	})
	return used, errors.Join(err, os.RemoveAll(dir))
}

func (b *bench) br(ctx context.Context, on target, flags ...string) (used usage, err error) {
	bin, err := peers.BuildBR(ctx)
	if err != nil {
		return used, err
	}
	dir, err := os.MkdirTemp(b.workDir, "br-")
	if err != nil {
		return used, err
	}
	flags = append([]string{"db", "--db", schema, "--checksum=true"}, flags...)
	err = used.clusterTime(on, func() (err error) {
		used.Usage, err = peers.BR{Bin: bin, Cluster: on.cluster, Storage: "local://" + b.archive(), WorkDir: dir}.Restore(ctx, flags...)
		return err
	})
	return used, errors.Join(err, os.RemoveAll(dir))
}
