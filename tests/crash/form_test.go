package crash_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// suffix is that of a kind's file.
func (k *kind) suffix(file int) string {
	switch k.form {
	case "":
		return ".csv"
	case givenFiles:
		return []string{".csv", ".sql", ".csv.gz", ".sql.zst", ".all.sql"}[file%5]
	}
	return k.form
}

// rowsPerStatement is how many rows an INSERT has: blocks begin and end in the middle of statements.
const rowsPerStatement = 70

// text is what a file holds, before it is packed.
func (k *kind) text(file int, form string) string {
	var b strings.Builder
	dump := strings.Contains(form, ".sql")
	if strings.HasPrefix(form, ".all") {
		b.WriteString("CREATE TABLE other (id INT);\nINSERT INTO other VALUES (1);\nCREATE TABLE t (id INT);\n")
	}
	for i := range k.size.rowsPerFile {
		row := k.rows(file*k.size.rowsPerFile + i)
		if !dump {
			b.WriteString(row + "\n")
			continue
		}
		switch {
		case i%rowsPerStatement != 0:
			b.WriteString(",\n")
		case i > 0:
			b.WriteString(";\n")
		}
		if i%rowsPerStatement == 0 {
			// Both mean the same.
			b.WriteString([]string{"INSERT INTO `t` VALUES\n", "INSERT INTO `t` (`id`,`u`,`v`) VALUES\n"}[i/rowsPerStatement%2])
		}
		b.WriteString("('" + strings.ReplaceAll(row, ",", "','") + "')")
	}
	if dump {
		b.WriteString(";\n")
	}
	if strings.HasPrefix(form, ".all") {
		b.WriteString("INSERT INTO another VALUES (1);\n")
	}
	return b.String()
}

// packed is a text as a file with that suffix has it.
func packed(t *testing.T, form, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch {
	case strings.HasSuffix(form, ".gz"):
		w = gzip.NewWriter(&b)
	case strings.HasSuffix(form, ".zst"):
		z, err := zstd.NewWriter(&b)
		require.NoError(t, err)
		w = z
	default:
		return []byte(text)
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// files are those that a task names: nil if it names a location.
func (k *kind) files(t *testing.T, location string) (files []importcore.DataFile) {
	t.Helper()
	if k.form != givenFiles {
		return nil
	}
	folder, err := source.OpenFolder(t.Context(), location, source.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, folder.Close()) }()
	list, err := folder.List(t.Context())
	require.NoError(t, err)
	for _, f := range list {
		one := importcore.DataFile{File: f}
		if strings.Contains(f.Key, ".sql") {
			one.Format = importcore.FormatSQL
		}
		if !strings.Contains(f.Key, ".all") {
			files = append(files, one)
			continue
		}
		outline, err := sqldump.ReadOutline(t.Context(), compress.NewStore(folder, 0), &f, sqldump.Config{})
		require.NoError(t, err)
		for _, rows := range outline.Rows {
			if rows.Table == "t" {
				one.Section = &rows.Section
				files = append(files, one)
			}
		}
	}
	require.GreaterOrEqual(t, len(files), k.size.files, fmt.Sprint(files))
	return files
}
