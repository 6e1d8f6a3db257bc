// Package sqlrows reads results of SQL as text, the form in which tests and benchmarks compare what servers answer.
package sqlrows

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// Null is how a NULL stands in a Result.
const Null = "NULL"

// Queryer is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Result is what a statement has answered, each row as long as Columns; Rows is nil if there are none. It belongs to who asked.
type Result struct {
	Columns []string
	Rows    [][]string
}

// Query runs a statement and reads its rows, NULL as Null. The error is that of the server or of the connection.
func Query(ctx context.Context, q Queryer, query string, args ...any) (*Result, error) {
	columns, cells, err := Cells(ctx, q, query, args...)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: columns}
	for _, row := range cells {
		texts := make([]string, len(row))
		for c, cell := range row {
			if texts[c] = cell.String; !cell.Valid {
				texts[c] = Null
			}
		}
		r.Rows = append(r.Rows, texts)
	}
	return r, nil
}

// Cells is Query for those who have to tell NULL from its text.
func Cells(ctx context.Context, q Queryer, query string, args ...any) (columns []string, cells [][]sql.NullString, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if columns, err = rows.Columns(); err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		row, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		cells = append(cells, row)
	}
	return columns, cells, rows.Err()
}

// Maps are the rows by the names of their columns.
func (r *Result) Maps() []map[string]string {
	out := make([]map[string]string, len(r.Rows))
	for i, row := range r.Rows {
		out[i] = make(map[string]string, len(row))
		for c, name := range r.Columns {
			out[i][name] = row[c]
		}
	}
	return out
}

// Lines are the rows, each with "|" between its fields.
func (r *Result) Lines() []string {
	out := make([]string, len(r.Rows))
	for i, row := range r.Rows {
		out[i] = strings.Join(row, "|")
	}
	return out
}
