package precheck

import "fmt"

// Sample is what encoding some rows of the source has shown.
type Sample struct {
	// Files is how many files were looked into, Rows how many rows of them were read.
	Files, Rows int64
	// Bad of these rows can't be imported. FirstBad is the first one's error, or that of a file
	// that can't be divided into rows further than that.
	Bad      int64
	FirstBad error
	// Broken says that FirstBad ends a job, whatever it may leave out.
	Broken bool
}

// Rows judges a sample. A job may leave out maxErrors bad rows.
func Rows(s Sample, maxErrors int64) Finding {
	where := fmt.Sprintf("%s of %s", Counted(s.Rows, "row"), Counted(s.Files, "file"))
	switch {
	case s.FirstBad == nil:
		return Pass("%s can be imported", where)
	case s.Broken || s.Bad > maxErrors:
		return Fail("%d of %s can't be imported, the first of them: %v", s.Bad, where, s.FirstBad)
	default:
		return Warn("%d of %s will be left out (max_errors = %d), the first of them: %v", s.Bad, where, maxErrors, s.FirstBad)
	}
}
