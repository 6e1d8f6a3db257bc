package dump

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// sortData brings a table's data files into the order in which their rows count: by their numbers, as numbers, files
// without one first, and by their paths where that leaves a choice.
func sortData(files []Data) {
	slices.SortFunc(files, func(a, b Data) int {
		return cmp.Or(slices.CompareFunc(numbers(a.Key), numbers(b.Key), compareNumbers), cmp.Compare(a.Key, b.Key))
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

// compareNumbers compares numbers of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
