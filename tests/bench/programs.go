package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The programs, by the names of the report.
const (
	sluiceName     = "sluice"
	lightningName  = "lightning"
	importIntoName = "import-into"
	// baseName is Sluice at another revision, which only -base brings in.
	baseName = "base"
)

// program imports the file into the table once and tells what that took.
type program struct {
	name string
	run  func(ctx context.Context, b *bench, env *environment) (measurement, error)
}

// peerPrograms are what is measured by default, in the order in which they take turns.
func peerPrograms() []program {
	return []program{{sluiceName, runSluice}, {lightningName, runLightning}, {importIntoName, runImportInto}}
}

func allPrograms() []program { return append(peerPrograms(), program{baseName, runBase}) }

func programNames() []string {
	var names []string
	for _, p := range peerPrograms() {
		names = append(names, p.name)
	}
	return names
}

// pickPrograms returns the programs of a comma-separated list, all for an empty one.
func pickPrograms(list string) ([]program, error) {
	all := allPrograms()
	if list == "" {
		return peerPrograms(), nil
	}
	var picked []program
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(p program) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no program %q; there are %s", name, strings.Join(programNames(), ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}
