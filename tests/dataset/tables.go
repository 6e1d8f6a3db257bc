package dataset

import "io"

// Table is a kind of table with its generated file. Its rows are a pure
// function of their number and the seed. Every table has a clustered primary
// key, so that the number of workers that an importer has changes no row ID.
type Table struct {
	// Name is short, of lower-case letters and digits.
	Name string
	// About says in a few words what is special.
	About string
	// Rows is the number of rows whose file is about 137 MiB, the size of the
	// demo file of 1,000,000 rows.
	Rows int
	// Schema returns the CREATE TABLE for a name, which is put in as it is.
	Schema func(table string) string
	// Write writes the lines, without a header and in the order of the columns:
	// fields separated by commas, in double quotes where needed with inner
	// quotes doubled, \N for NULL, lines ended by a line feed.
	Write func(w io.Writer, rows int, seed uint64) error
}

// Tables returns all tables, the demo table first.
func Tables() []Table {
	return []Table{
		{"demo", "the demo table: unsorted keys, 3 indexes with the primary key", 1_000_000, DemoSchema, withoutSums(WriteDemoCSV)},
		{"sorted", "the demo table with ascending ids and codes", 1_000_000, DemoSchema, withoutSums(WriteSortedDemoCSV)},
		{"narrow", "3 columns, no secondary index", 5_300_000, narrowSchema, writeNarrow},
		{"wide", "60 columns of 20 types", 151_000, wideSchema, writeWide},
		{"index8", "8 secondary indexes", 1_250_000, index8Schema, writeIndex8},
		{"long", "texts of 2 to 30 KiB", 8_700, longSchema, writeLong},
	}
}

func withoutSums(write func(io.Writer, int, uint64) (Sums, error)) func(io.Writer, int, uint64) error {
	return func(w io.Writer, rows int, seed uint64) error {
		_, err := write(w, rows, seed)
		return err
	}
}
