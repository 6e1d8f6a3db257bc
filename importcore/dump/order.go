package dump

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// sortData brings a table's data files into the order in which their rows count: by their numbers, as numbers, or by the keys that rules give
// them, files without one first, and by their paths where that leaves a choice.
func sortData(files []Data) {
	slices.SortFunc(files, func(a, b Data) int {
		return cmp.Or(slices.CompareFunc(a.order, b.order, compareNumbers), cmp.Compare(a.Key, b.Key))
	})
}

// numbers returns the numbers at the end of a data file's name, the outer one first.
func numbers(rel string) []string {
	stem, suffix := cutSuffix(path.Base(rel))
	if formats[lowerASCII(suffix)] == FormatNone {
		stem, _ = cutSuffix(stem)
	}
	var out []string
	for {
		bare, number := cutSuffix(stem)
		if !isNumber(number) || bare == stem {
			slices.Reverse(out)
			return out
		}
		out, stem = append(out, number), bare
	}
}

// compareNumbers compares numbers of any length. What is no number comes behind them.
func compareNumbers(a, b string) int {
	if inOrder := isNumber(a); inOrder != isNumber(b) || !inOrder {
		return cmp.Or(-compareBool(inOrder, isNumber(b)), cmp.Compare(a, b))
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
