package encode

import "github.com/sluicedb/sluice/importcore/fault"

// sequenceValues are the values of sequences for some rows that follow each
// other. They are fetched in the order of the rows, so that a row's value does
// not depend on which worker encodes it.
type sequenceValues struct {
	first  int64     // row id of the first row
	values [][]int64 // per sequence: PerRow values for each row
}

// UseSequences gives the encoder the values of Plan.Sequences for the rows from
// first on: for each sequence PerRow values per row. The encoder reads them
// until the next call.
func (e *Encoder) UseSequences(first int64, values [][]int64) {
	if e.computed != nil {
		e.computed.sequences = sequenceValues{first: first, values: values}
	}
}

// value returns the value that a column of a row gets.
func (s *sequenceValues) value(p *Plan, to *computedColumn, rowID int64) (int64, error) {
	use := p.compute.sequences[to.sequence]
	at := (rowID-s.first)*int64(use.PerRow) + int64(to.slot)
	if to.sequence >= len(s.values) || at < 0 || at >= int64(len(s.values[to.sequence])) {
		return 0, fault.New(fault.Sluice, 0, "row %d has no value of sequence %s.%s", rowID, use.DB, use.Name)
	}
	return s.values[to.sequence][at], nil
}
