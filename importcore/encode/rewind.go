package encode

// Mark is what an encoder had counted at some moment.
type Mark struct {
	ids      MaxIDs
	warnings int64
	first    int
}

// Mark returns what e has counted so far: ids and warnings.
func (e *Encoder) Mark() Mark {
	return Mark{ids: e.ids, warnings: e.conv.count, first: len(e.conv.first)}
}

// Rewind forgets what rows since m, a Mark of e, have counted. It is for a row
// that was refused and is left out: an id that it brought along is no one's, and
// what was changed to fit in it isn't in the table.
func (e *Encoder) Rewind(m Mark) {
	e.ids, e.conv.count, e.conv.first = m.ids, m.warnings, e.conv.first[:m.first]
}
