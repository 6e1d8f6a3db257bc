package logical_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/mariadb"
)

// benchRows is a file of some megabytes: rows of 120 bytes.
func benchRows() string {
	var b strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&b, "%d,%d,%s,2024-01-02 03:04:05\n", i, i*7, strings.Repeat("some text ", 8))
	}
	return b.String()
}

const benchTable = "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT, v VARCHAR(200), d DATETIME)"

// BenchmarkImport is an import by lanes and length of batches; BenchmarkLoadData below is MariaDB's own way.
func BenchmarkImport(b *testing.B) {
	text := benchRows()
	for _, on := range []struct {
		name string
		open func(testing.TB) *server
	}{{"MariaDB", onMariaDB}, {"TiDB", onTiDB}} {
		for _, lanes := range []int{1, 4} {
			for _, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20} {
				b.Run(fmt.Sprintf("%s/lanes=%d/batch=%dKiB", on.name, lanes, size>>10), func(b *testing.B) {
					s := on.open(b)
					target := s.open("", atonce)
					src := newSource(b, []string{"id", "n", "v", "d"}, text)
					b.SetBytes(int64(len(text)))
					for range b.N {
						b.StopTimer()
						s.exec("DROP TABLE IF EXISTS t", benchTable)
						task := s.task(target, "t", src)
						task.Lanes, task.BatchBytes = lanes, size
						b.StartTimer()
						sum, err := target.Import(b.Context(), task)
						require.NoError(b, err)
						require.EqualValues(b, 100000, sum.Rows)
					}
				})
			}
		}
	}
}

// BenchmarkLoadData is LOAD DATA LOCAL INFILE of the same file into MariaDB, in one transaction.
func BenchmarkLoadData(b *testing.B) {
	text := benchRows()
	path := filepath.Join(b.TempDir(), "rows.csv")
	require.NoError(b, os.WriteFile(path, []byte(text), 0o600))
	mysql.RegisterLocalFile(path)
	s := onMariaDB(b)
	s.db = mariadb.Shared(b).DB(b, s.name)
	b.SetBytes(int64(len(text)))
	for range b.N {
		b.StopTimer()
		s.exec("DROP TABLE IF EXISTS t", benchTable)
		b.StartTimer()
		s.exec("LOAD DATA LOCAL INFILE '" + path + "' INTO TABLE t FIELDS TERMINATED BY ','")
	}
}
