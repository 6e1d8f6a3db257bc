package main

import (
	"context"
	"database/sql"
	"fmt"
)

// contents is what the cluster says about an imported table.
type contents struct {
	tableID             int64
	rows                int64
	crc64, pairs, bytes uint64
}

// lookAtTable asks the cluster for the number of rows and the checksum.
func lookAtTable(ctx context.Context, db *sql.DB) (contents, error) {
	var c contents
	name := schemaName + "." + tableName
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+name).Scan(&c.rows); err != nil {
		return c, fmt.Errorf("count: %w", err)
	}
	var schema, table string
	err := db.QueryRowContext(ctx, "ADMIN CHECKSUM TABLE "+name).Scan(&schema, &table, &c.crc64, &c.pairs, &c.bytes)
	if err != nil {
		return c, fmt.Errorf("checksum: %w", err)
	}
	err = db.QueryRowContext(ctx, "SELECT tidb_table_id FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
		schemaName, tableName).Scan(&c.tableID)
	if err != nil {
		return c, fmt.Errorf("table ID: %w", err)
	}
	return c, nil
}

// checks holds the contents of the first import of each file, by table and rows.
type checks map[string]contents

// compare fails when a table does not hold what the file has, or not what
// other imports of the same file made of it. Table IDs are part of the keys
// and so of the checksum; a cluster that gave another ID is an error.
func (c checks) compare(in input, found contents) error {
	if found.rows != int64(in.rows) {
		return fmt.Errorf("the table has %d rows, the file %d", found.rows, in.rows)
	}
	key := fmt.Sprintf("%s/%d", in.table.Name, in.rows)
	first, ok := c[key]
	if !ok {
		c[key] = found
		return nil
	}
	if found.tableID != first.tableID {
		return fmt.Errorf("the table has the ID %d, that of an earlier cluster had %d: checksums can't be compared",
			found.tableID, first.tableID)
	}
	if found != first {
		return fmt.Errorf("the table's checksum is %d/%d/%d, after an earlier import of the file it was %d/%d/%d",
			found.crc64, found.pairs, found.bytes, first.crc64, first.pairs, first.bytes)
	}
	return nil
}
