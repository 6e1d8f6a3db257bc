package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

// importAll imports the rows that TiDB took, from one file or several.
func (j *judging) importAll() {
	j.t.Helper()
	if err := j.importRows(j.accepted); err != nil {
		if code(err) == codeNotYet || code(err) == codeUnsupported {
			report.refuse(j.t, j.name, err.Error())
			j.t.SkipNow()
		}
		j.differ("TiDB takes all %d rows, IMPORT INTO says %v", len(j.accepted), err)
	}
}

// importRows writes the rows to files and runs the statement through Sluice.
func (j *judging) importRows(rows [][]value) error {
	j.t.Helper()
	dir := j.t.TempDir()
	files := 1 + j.rand.IntN(3)
	for i := range files {
		from, to := i*len(rows)/files, (i+1)*len(rows)/files
		if from == to && i > 0 {
			continue // a file without rows is another test's subject
		}
		path := filepath.Join(dir, fmt.Sprintf("f%d.csv", i))
		require.NoError(j.t, os.WriteFile(path, csvText(j.rand, rows[from:to]), 0o600))
	}
	var targets string
	if j.columns != nil || j.generates() {
		var names []string
		for _, c := range j.fieldColumns() {
			if !strings.HasPrefix(c, "@") {
				c = quoteName(c)
			}
			names = append(names, c)
		}
		targets = " (" + strings.Join(names, ", ") + ")"
	}
	if len(j.set) > 0 {
		var parts []string
		for _, a := range j.set {
			parts = append(parts, quoteName(a.column)+" = "+a.expr)
		}
		targets += " SET " + strings.Join(parts, ", ")
	}
	stmt := fmt.Sprintf("IMPORT INTO %s%s FROM '%s/*.csv' WITH thread=%d", j.imported, targets, dir, 1+j.rand.IntN(3))
	_, jobs, err := j.query(j.t, j.proxy, stmt)
	if err != nil {
		return err
	}
	require.Len(j.t, jobs, 1)
	return nil
}

// generates tells whether the table has generated columns, for which the file
// would need fields if the statement had no column list.
func (j *judging) generates() bool {
	for _, c := range loadTarget(j.t, j.cluster.TiDBStatus, j.db, j.imported).Columns() {
		if c.IsGenerated() && !c.Hidden {
			return true
		}
	}
	return false
}

// csvText writes rows in one of the spellings that the default dialect allows
// for each field.
func csvText(r *rand.Rand, rows [][]value) []byte {
	var b strings.Builder
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			writeField(&b, r, v, len(row) == 1 || i == 0)
		}
		b.WriteString([]string{"\n", "\r\n"}[r.IntN(2)])
	}
	return []byte(b.String())
}

var (
	quotedField = strings.NewReplacer(`\`, `\\`, `"`, `""`)
	escapedBody = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\0`, "\x1a", `\Z`)
	plainField  = strings.NewReplacer(`\`, `\\`, `"`, `\"`, ",", `\,`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\0`)
)

// writeField writes a field; one that alone could make an empty line, or that
// stands where a byte order mark would be skipped, is always in quotes.
func writeField(b *strings.Builder, r *rand.Rand, v value, quotes bool) {
	if v == nil {
		b.WriteString(`\N`)
		return
	}
	switch {
	case r.IntN(3) == 0 && !quotes:
		b.WriteString(plainField.Replace(*v))
	case r.IntN(2) == 0:
		b.WriteByte('"')
		b.WriteString(escapedBody.Replace(*v))
		b.WriteByte('"')
	default:
		b.WriteByte('"')
		b.WriteString(quotedField.Replace(*v))
		b.WriteByte('"')
	}
}
