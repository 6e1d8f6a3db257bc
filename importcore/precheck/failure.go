package precheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
)

// codeFailed is TiDB's ErrLoadDataPreCheckFailed.
const codeFailed = 8173

// Failure returns the error of a statement with these findings, nil if none of
// them is critical.
//
// If one of them comes with an error of its own, code and text are those of
// the first such error, and the rest is told behind it. Otherwise it is 8173
// with all of them, each with the way to skip it.
func Failure(findings []Finding) error {
	var critical []Finding
	for _, f := range findings {
		if f.fails() {
			critical = append(critical, f)
		}
	}
	if len(critical) == 0 {
		return nil
	}
	first := slices.IndexFunc(critical, func(f Finding) bool { return f.Err != nil })
	if first < 0 {
		return fault.New(fault.User, codeFailed, "PreCheck failed: %s", list(critical))
	}
	own := critical[first].Err
	rest := slices.Delete(critical, first, first+1)
	if len(rest) == 0 {
		return own
	}
	told := &fault.Error{Whose: fault.User, Code: codeFailed, Message: own.Error()}
	if f := fault.As(own); f != nil {
		told.Whose, told.Code = f.Whose, f.Code
	}
	told.Message += "; also failed: " + list(rest)
	return &failure{told: told, cause: own}
}

// list tells what is critical and how it can be skipped.
func list(critical []Finding) string {
	texts := make([]string, len(critical))
	var skip []string
	for i, f := range critical {
		texts[i] = fmt.Sprintf("%s: %s", f.Check, strings.TrimPrefix(f.Message, "PreCheck failed: "))
		if slices.Contains(Skippable(), f.Check) {
			skip = append(skip, string(f.Check))
		}
	}
	text := strings.Join(texts, "; ")
	if len(skip) > 0 {
		text += fmt.Sprintf(" (skip_prechecks = '%s' imports all the same)", strings.Join(skip, ","))
	}
	return text
}

// failure shows the completed message and still leads to the original error.
type failure struct {
	told  *fault.Error
	cause error
}

// Error returns the completed message.
func (f *failure) Error() string { return f.told.Error() }

// Unwrap returns the completed error first, so that errors.As finds all of the message.
func (f *failure) Unwrap() []error { return []error{f.told, f.cause} }
