package peers

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// ImportInto runs TiDB's own IMPORT INTO on db, which has to be connected
// straight to TiDB, and waits for the job. The table's name goes into the
// statement as it is; file is an absolute path that TiDB can read; threads 0
// leaves the number to TiDB. It returns the number of imported rows that TiDB
// tells.
func ImportInto(ctx context.Context, db *sql.DB, table, file string, threads int) (rows int64, err error) {
	statement := "IMPORT INTO " + table + " FROM '" + strings.ReplaceAll(file, "'", "''") + "'"
	if threads > 0 {
		statement += fmt.Sprintf(" WITH thread=%d", threads)
	}
	result, err := db.QueryContext(ctx, statement)
	if err != nil {
		return 0, fmt.Errorf("IMPORT INTO: %w", err)
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		return 0, fmt.Errorf("IMPORT INTO: %w", err)
	}
	targets := make([]any, len(columns))
	for i, name := range columns {
		targets[i] = new(sql.RawBytes)
		if name == "Imported_Rows" {
			targets[i] = &rows
		}
	}
	if !result.Next() {
		return 0, fmt.Errorf("IMPORT INTO: no job came back: %w", result.Err())
	}
	if err := result.Scan(targets...); err != nil {
		return 0, fmt.Errorf("IMPORT INTO: %w", err)
	}
	return rows, result.Err()
}
