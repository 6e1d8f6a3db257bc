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
)

// program imports the file into the table once and tells what that took.
type program struct {
	name string
	run  func(ctx context.Context, b *bench, env *environment) (measurement, error)
}

// allPrograms in the order in which they take turns.
func allPrograms() []program {
	return []program{{sluiceName, runSluice}, {lightningName, runLightning}, {importIntoName, runImportInto}}
}

func programNames() []string {
	var names []string
	for _, p := range allPrograms() {
		names = append(names, p.name)
	}
	return names
}

// pickPrograms returns the programs of a comma-separated list, all for an empty one.
func pickPrograms(list string) ([]program, error) {
	all := allPrograms()
	if list == "" {
		return all, nil
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
