// Package house_test holds the rules of the house as tests, so that a plain
// `make test` finds what the linter would: which way imports point and what the
// product must not contain.
package house_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sluicedb/sluice/"

// forbiddenRooms lists, for each room, the rooms that it must not import.
var forbiddenRooms = map[string][]string{
	"sqlext":     {"server", "executor", "importcore", "tests"},
	"importcore": {"server", "executor", "sqlext", "tests"},
	"executor":   {"server", "tests"},
	"server":     {"tests"},
}

// forbiddenPackages may not be imported by the product: Sluice builds these anew.
var forbiddenPackages = []string{
	"github.com/pingcap/tidb/lightning",
	"github.com/pingcap/tidb/pkg/lightning",
	"github.com/pingcap/tidb/pkg/executor",
	"github.com/pingcap/tidb/pkg/disttask",
	"github.com/pingcap/tidb/pkg/dxf",
	"github.com/pingcap/tidb/br/pkg",
	"github.com/pingcap/errors",
}

// allowedPackages are exceptions to forbiddenPackages.
var allowedPackages = []string{"github.com/pingcap/tidb/br/pkg/storage"}

// forbiddenInBinary may not be linked into the product, by whatever way: TiDB's
// server, what runs SQL, its importers and its stand-ins for a cluster.
var forbiddenInBinary = []string{
	"github.com/pingcap/tidb/pkg/server",
	"github.com/pingcap/tidb/pkg/session",
	"github.com/pingcap/tidb/pkg/executor",
	"github.com/pingcap/tidb/pkg/domain",
	"github.com/pingcap/tidb/pkg/ddl",
	"github.com/pingcap/tidb/pkg/planner/core",
	"github.com/pingcap/tidb/pkg/disttask",
	"github.com/pingcap/tidb/pkg/dxf",
	"github.com/pingcap/tidb/pkg/store/mockstore",
	"github.com/pingcap/tidb/pkg/lightning",
	"github.com/pingcap/tidb/lightning",
	"github.com/pingcap/tidb/br",
}

// allowedLeaves are packages below forbiddenInBinary that hold plain types or
// constants and that TiDB's value libraries and its package for storage need. Each is named alone: what is
// below it is not allowed with it.
var allowedLeaves = []string{
	"github.com/pingcap/tidb/pkg/lightning/metric",
	"github.com/pingcap/tidb/br/pkg/streamhelper/config",
	"github.com/pingcap/tidb/pkg/executor/join/joinversion",
	"github.com/pingcap/tidb/pkg/ddl/placement",
	"github.com/pingcap/tidb/pkg/session/cursor",
	"github.com/pingcap/tidb/pkg/session/txninfo",
	"github.com/pingcap/tidb/pkg/planner/core/resolve",
	// The clients of object stores, and what they log with.
	"github.com/pingcap/tidb/br/pkg/storage",
	"github.com/pingcap/tidb/br/pkg/errors",
	"github.com/pingcap/tidb/br/pkg/logutil",
	"github.com/pingcap/tidb/br/pkg/utils/iter",
	"github.com/pingcap/tidb/pkg/lightning/log",
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	root := repoRoot(t)
	for room, forbidden := range forbiddenRooms {
		files := 0
		walkImports(t, filepath.Join(root, room), func(file, path string) {
			files++
			for _, other := range forbidden {
				if within(path, module+other) {
					t.Errorf("%s imports %s: %s must not know %s", file, path, room, other)
				}
			}
			if isForbiddenPackage(path) {
				t.Errorf("%s imports %s, which the product must not", file, path)
			}
		})
		require.NotZero(t, files, "room %s has no imports at all: the test looks at the wrong place", room)
	}
}

func TestBinaryStaysFreeOfTiDBServer(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "./server")
	cmd.Dir = repoRoot(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, module+"executor")
	for _, dep := range deps {
		for _, bad := range forbiddenInBinary {
			if within(dep, bad) && !slices.Contains(allowedLeaves, dep) {
				t.Errorf("the product links %s", dep)
			}
		}
	}
	for _, leaf := range allowedLeaves {
		require.Contains(t, deps, leaf, "an exception that nobody needs any more")
	}
}

func repoRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	return root
}

func walkImports(t *testing.T, dir string, visit func(file, importPath string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			visit(path, importPath)
		}
		return nil
	})
	require.NoError(t, err)
}

func isForbiddenPackage(path string) bool {
	for _, ok := range allowedPackages {
		if within(path, ok) {
			return false
		}
	}
	for _, bad := range forbiddenPackages {
		if within(path, bad) {
			return true
		}
	}
	return false
}

// within reports whether path is the package root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}
