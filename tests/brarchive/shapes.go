package brarchive

import (
	"fmt"
	"strings"
)

const rowsPerInsert = 200

// shape is a table of Shapes.
type shape struct {
	name    string
	columns string // and options, in brackets as CREATE TABLE has them
	// columnsOfRow and row are how its rows are inserted.
	columnsOfRow string
	row          func(n int) string
	rows         int
}

// text returns a value of n's own length: short, long and very long ones.
func text(n int) string {
	return strings.Repeat(fmt.Sprintf("text %d ", n), []int{1, 10, 40, 1000}[n%4])
}

var shapes = []shape{
	{
		name:         "int_clustered",
		columns:      "(id BIGINT PRIMARY KEY CLUSTERED, v VARCHAR(20), KEY by_v (v), UNIQUE KEY v_and_id (v, id))",
		columnsOfRow: "id, v", rows: 1000,
		row: func(n int) string { return fmt.Sprintf("(%d, 'v%d')", n-500, n%100) },
	},
	{
		name:         "long_values",
		columns:      "(id INT PRIMARY KEY, short VARCHAR(10), body LONGTEXT, raw BLOB, KEY by_body (body(30)))",
		columnsOfRow: "id, short, body, raw", rows: 400,
		row: func(n int) string { return fmt.Sprintf("(%d, 's%d', '%s', x'00ff%04x')", n, n, text(n), n) },
	},
	{
		name:         "common_handle",
		columns:      "(a VARCHAR(30) COLLATE utf8mb4_general_ci, b DATETIME(3), c DECIMAL(20, 5), PRIMARY KEY (a, b) CLUSTERED, KEY by_c (c))",
		columnsOfRow: "a, b, c", rows: 300,
		row: func(n int) string {
			return fmt.Sprintf("('Key %c%d', '2024-01-01 00:00:%02d.123', %d.%05d)", 'A'+n%26, n, n%60, n, n)
		},
	},
	{
		name:         "nonclustered",
		columns:      "(id VARCHAR(20) PRIMARY KEY NONCLUSTERED, v INT, UNIQUE KEY once (v)) SHARD_ROW_ID_BITS = 4",
		columnsOfRow: "id, v", rows: 300,
		row: func(n int) string { return fmt.Sprintf("('id%d', %d)", n, n) },
	},
	{
		name:         "no_key",
		columns:      "(a INT, b JSON, c ENUM('x', 'y'), d SET('p', 'q'), e BIT(9), f TIMESTAMP NULL)",
		columnsOfRow: "a, b, c, d, e, f", rows: 250,
		row: func(n int) string {
			return fmt.Sprintf(`(%d, '{"n": %d}', 'x', 'p,q', %d, '2024-02-03 04:05:%02d')`, n%7, n, n%512, n%60)
		},
	},
	{
		name:         "auto_inc",
		columns:      "(id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
		columnsOfRow: "v", rows: 300,
		row: func(n int) string { return fmt.Sprintf("(%d)", n) },
	},
	{
		name:         "auto_inc_apart",
		columns:      "(id INT AUTO_INCREMENT, v INT, KEY (id)) AUTO_ID_CACHE = 1",
		columnsOfRow: "v", rows: 20,
		row: func(n int) string { return fmt.Sprintf("(%d)", n) },
	},
	{
		name:         "auto_rand",
		columns:      "(id BIGINT AUTO_RANDOM(4) PRIMARY KEY, v INT, KEY (v))",
		columnsOfRow: "v", rows: 300,
		row: func(n int) string { return fmt.Sprintf("(%d)", n) },
	},
	{
		name: "by_hash", columns: "(id INT PRIMARY KEY, v INT, KEY by_v (v)) PARTITION BY HASH (id) PARTITIONS 4",
		columnsOfRow: "id, v", rows: 400,
		row: func(n int) string { return fmt.Sprintf("(%d, %d)", n, n*7%31) },
	},
	{
		name: "by_range",
		columns: "(id INT, day DATE, note VARCHAR(400), KEY by_day (day)) PARTITION BY RANGE COLUMNS (day) " +
			"(PARTITION p24 VALUES LESS THAN ('2025-01-01'), PARTITION p25 VALUES LESS THAN ('2026-01-01'), PARTITION Last VALUES LESS THAN (MAXVALUE))",
		columnsOfRow: "id, day, note", rows: 300,
		row: func(n int) string {
			return fmt.Sprintf("(%d, '202%d-05-06', '%s')", n, 4+n%2, strings.Repeat("n", n))
		},
	},
	{
		name:         "expressions",
		columns:      "(id INT PRIMARY KEY, v VARCHAR(20), up VARCHAR(20) AS (UPPER(v)) STORED, low VARCHAR(20) AS (LOWER(v)), KEY ((id * 2)), KEY (low))",
		columnsOfRow: "id, v", rows: 100,
		row: func(n int) string { return fmt.Sprintf("(%d, 'Ab%d')", n, n) },
	},
	{name: "empty", columns: "(id INT PRIMARY KEY, v INT, KEY (v))"},
	{
		name: "Odd name %41", columns: "(`a b` INT PRIMARY KEY)",
		columnsOfRow: "`a b`", rows: 3,
		row: func(n int) string { return fmt.Sprintf("(%d)", n) },
	},
}
