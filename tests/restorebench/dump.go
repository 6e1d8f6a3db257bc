package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

const (
	// schema is the database of all tables.
	schema = "many"
	// pairsPerRow is a row, and an entry of its index.
	pairsPerRow = 2
	// textLength is the length of a row's text, and rowBytes about that of a row in the dump.
	textLength, rowBytes = 200, 219
	// A statement has so many rows, and a file of data ends with the first statement that takes it so far.
	rowsPerInsert, bytesPerFile = 1000, 64 << 20
)

func tableName(n int) string { return fmt.Sprintf("t%05d", n) }

// writeDump writes the tables as Dumpling would, and returns the size of the files with rows.
func writeDump(dir string, tables, rows int) (size int64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	write := func(name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	if err := write(schema+"-schema-create.sql", "CREATE DATABASE `"+schema+"`;\n"); err != nil {
		return 0, err
	}
	for table := range tables {
		name := tableName(table)
		ddl := "CREATE TABLE `" + name + "` (`id` bigint NOT NULL, `a` int, `b` varchar(250), PRIMARY KEY (`id`), KEY `a` (`a`));\n"
		if err := write(schema+"."+name+"-schema.sql", ddl); err != nil {
			return 0, err
		}
		next := &rowMaker{table: name, random: rand.New(rand.NewPCG(uint64(table), 0)), rows: rows} // the same in every run
		for file := 0; next.row < rows; file++ {
			n, err := next.writeFile(filepath.Join(dir, fmt.Sprintf("%s.%s.%09d.sql", schema, name, file)))
			if err != nil {
				return 0, err
			}
			size += n
		}
	}
	return size, nil
}

// rowMaker makes a table's rows, one after the other.
type rowMaker struct {
	table  string
	random *rand.Rand
	row    int // the next one
	rows   int
	text   []byte
}

// writeFile writes the next file of data and returns its size.
func (m *rowMaker) writeFile(path string) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	for m.row < m.rows && size < bytesPerFile {
		n, err := w.Write(m.statement())
		if err != nil {
			return 0, err
		}
		size += int64(n)
	}
	return size, w.Flush()
}

// statement returns the INSERT of the next rows, which is overwritten by the next call.
func (m *rowMaker) statement() []byte {
	text := append(m.text[:0], "INSERT INTO `"+m.table+"` VALUES\n"...)
	end := min(m.row+rowsPerInsert, m.rows)
	for ; m.row < end; m.row++ {
		text = append(text, '(')
		text = strconv.AppendInt(text, int64(m.row)+1, 10)
		text = append(text, ',')
		text = strconv.AppendInt(text, int64(m.random.IntN(100_003)), 10)
		text = append(text, ",'"...)
		text = m.appendText(text)
		text = append(text, "'),\n"...)
	}
	m.text = append(text[:len(text)-len(",\n")], ";\n"...)
	return m.text
}

// appendText appends a text that can't be compressed to less than three quarters.
func (m *rowMaker) appendText(text []byte) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var bits uint64
	for i := range textLength {
		if i%10 == 0 { // 10 letters of 6 bits
			bits = m.random.Uint64()
		}
		text = append(text, letters[bits&63])
		bits >>= 6
	}
	return text
}
