package executor

import (
	"context"

	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/sqlext"
)

var errorColumns = []Column{
	intColumn("Seq"), textColumn("Class"), textColumn("File"), intColumn("Line"), intColumn("Offset"), textColumn("Column_Name"),
	textColumn("Value"), intColumn("Error_Code"), textColumn("Message"), timeColumn("Recorded_Time"),
	textColumn("Table_Schema"), textColumn("Table_Name"),
}

const (
	// errorPage is how many records are read in one query.
	errorPage = 1000
	// maxErrorBytes bounds what one answer holds in memory. More of it is to be
	// had with LIMIT, or from the table.
	maxErrorBytes = 64 << 20
)

// showErrors is SHOW IMPORT JOB n ERRORS: the rows that the job left out.
func (e *Executor) showErrors(ctx context.Context, s Session, st *sqlext.ShowImportErrors) (*Result, error) {
	store, j, state, err := e.controlled(ctx, s, st.ID)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: errorColumns}
	var held int
	for offset := st.Offset; st.Count < 0 || int64(len(r.Rows)) < st.Count; {
		limit := int64(errorPage)
		if st.Count >= 0 {
			limit = min(limit, st.Count-int64(len(r.Rows)))
		}
		page, err := store.BadRows(ctx, st.ID, offset, limit)
		if err != nil {
			return nil, err
		}
		for i := range page {
			held += len(page[i].File) + len(page[i].Value) + len(page[i].Message)
			if page[i].Table == "" { // of before records had their tables
				page[i].DB, page[i].Table = j.DB, j.Table
			}
			r.Rows = append(r.Rows, errorRow(&page[i], state))
		}
		if held > maxErrorBytes {
			return nil, unknownError("the errors of job %d take more than %d MiB: ask for fewer with LIMIT, or SELECT from %s",
				st.ID, maxErrorBytes>>20, store.BadRowsTable())
		}
		if offset += int64(len(page)); int64(len(page)) < limit {
			break
		}
	}
	return r, nil
}

func errorRow(b *jobstore.BadRow, state *sessionState) []Value {
	return []Value{
		intValue(b.Seq), Value(b.Class), Value(b.File), intValue(b.Line), intValue(b.Offset), Value(b.Column), Value(b.Value),
		intValue(b.Code), Value(b.Message), timeValue(b.Time, state.timeZone),
		Value(b.DB), Value(b.Table),
	}
}
