package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicedb/sluice/tests/dataset"
)

// The cases that only Sluice runs, all with the demo table.
const (
	fitCase      = "demo, fits memory"
	oneCoreCase  = "demo, 1 core"
	twoCoresCase = "demo, 2 cores"
	bigCase      = "demo, 10 times"
	bigFactor    = 10
)

// measureExtras runs what bars need beside the comparison. It needs the demo
// table among the cases and Sluice among the programs.
func (b *bench) measureExtras(ctx context.Context, cases []dataset.Table, programs []program) error {
	demo := slices.IndexFunc(cases, func(t dataset.Table) bool { return t.Name == demoCase })
	sluice := slices.IndexFunc(programs, func(p program) bool { return p.name == sluiceName })
	if demo < 0 || sluice < 0 {
		return nil
	}
	if b.o.extras {
		err := b.withInput(cases[demo], b.o.scale, func(in input) error { return b.measureVariants(ctx, in, programs[sluice]) })
		if err != nil {
			return err
		}
	}
	if !b.o.big {
		return nil
	}
	return b.withInput(cases[demo], bigFactor*b.o.scale, func(in input) error {
		_, err := b.measure(ctx, bigCase, 1, in, programs[sluice], b.o.threads, sluiceSetup{memory: b.o.memory})
		return err
	})
}

// measureVariants runs Sluice with memory for all pairs, and on one core and two in turn.
func (b *bench) measureVariants(ctx context.Context, in input, sluice program) error {
	if _, err := b.measure(ctx, fitCase, 1, in, sluice, b.o.threads, sluiceSetup{memory: b.o.fitMemory}); err != nil {
		return err
	}
	for n := range b.o.runs {
		for cores, name := range []string{1: oneCoreCase, 2: twoCoresCase} {
			if name == "" {
				continue
			}
			setup := sluiceSetup{memory: b.o.memory, env: []string{fmt.Sprintf("GOMAXPROCS=%d", cores)}}
			if _, err := b.measure(ctx, name, n+1, in, sluice, cores, setup); err != nil {
				return err
			}
		}
	}
	return nil
}
