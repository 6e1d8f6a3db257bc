package dataset

import (
	"context"
	"database/sql"
	"fmt"
)

// Sums are figures over all rows of a demo table. Two tables with equal rows
// have equal sums, and a lost, doubled, mixed up or changed row changes them:
// SumRowCRC covers every column of a row together. Compare with ==.
type Sums struct {
	Rows         uint64
	SumID        uint64
	SumGroup     uint64
	SumNoteBytes uint64
	// SumAmount is decimal text with two decimals; "0.00" for an empty table.
	SumAmount string
	// SumRowCRC adds up the CRC-32 (IEEE) of each row's columns as text,
	// joined by commas.
	SumRowCRC uint64
}

// Querier is what *sql.DB, *sql.Conn and *sql.Tx have in common for one row.
type Querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// QuerySums lets the database compute the sums of a table with DemoSchema's
// columns. The name is put into the statement as it is.
func QuerySums(ctx context.Context, db Querier, table string) (Sums, error) {
	var s Sums
	err := db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(id), 0), COALESCE(SUM(grp), 0),
  COALESCE(SUM(LENGTH(note)), 0), CAST(COALESCE(SUM(amount), 0) AS DECIMAL(30,2)),
  COALESCE(SUM(CRC32(CONCAT_WS(',', id, code, amount, created_at, grp, note))), 0)
FROM `+table).Scan(&s.Rows, &s.SumID, &s.SumGroup, &s.SumNoteBytes, &s.SumAmount, &s.SumRowCRC)
	if err != nil {
		return Sums{}, fmt.Errorf("sums of %s: %w", table, err)
	}
	return s, nil
}
