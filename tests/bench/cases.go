package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/tests/dataset"
)

// Where every measurement imports to, and the first case, which most bars are about.
const (
	schemaName = "bench"
	tableName  = "t"
	demoCase   = "demo"
	seed       = 1
)

func caseNames() []string {
	var names []string
	for _, t := range dataset.Tables() {
		names = append(names, t.Name)
	}
	return names
}

// pickCases returns the tables of a comma-separated list, all for an empty one.
func pickCases(list string) ([]dataset.Table, error) {
	all := dataset.Tables()
	if list == "" {
		return all, nil
	}
	var picked []dataset.Table
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(t dataset.Table) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no case %q; there are %s", name, strings.Join(caseNames(), ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// input is the file of a case, alone in its directory and named so that
// tidb-lightning finds the table.
type input struct {
	table dataset.Table
	path  string
	rows  int
	bytes int64
}

// writeInput makes the file of a table, scale times its usual size.
func writeInput(base string, table dataset.Table, scale float64) (in input, err error) {
	in = input{table: table, rows: max(1, int(float64(table.Rows)*scale))}
	dir, err := os.MkdirTemp(base, table.Name+"-")
	if err != nil {
		return in, err
	}
	in.path = filepath.Join(dir, schemaName+"."+tableName+".csv")
	f, err := os.Create(in.path)
	if err != nil {
		return in, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(table.Write(w, in.rows, seed), w.Flush(), f.Sync(), f.Close())
	if err != nil {
		return in, err
	}
	info, err := os.Stat(in.path)
	if err != nil {
		return in, err
	}
	in.bytes = info.Size()
	return in, nil
}

func (in input) remove() error { return os.RemoveAll(filepath.Dir(in.path)) }
