package imports_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// rowsEnv is the number of duplicates of TestManyDuplicates.
const rowsEnv = "SLUICE_CONFLICTS_ROWS"

const manyBudget = 192 << 20 // of the process, bytes: 64 MiB for the job

// TestManyDuplicates: 5,000,000 rows of which each comes twice, the second time
// in another order. With replace and ignore one of each stays, and the process
// stays within the bound that it has without duplicates; the peaks are printed.
func TestManyDuplicates(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(rowsEnv))
	if err != nil {
		if os.Getenv(longEnv) == "" {
			t.Skip(longEnv + " is not set")
		}
		n = 5_000_000
	}
	cluster := playground.ForTest(t, playground.Options{})
	single, twice := writeDuplicates(t, n)
	for _, tt := range []struct{ name, files, with, first, second string }{
		{"none", single, "thread=2", "", ""},
		{"replace", twice, "thread=2, on_duplicate='replace'", "0", fmt.Sprint(n)},
		{"ignore", twice, "thread=2, on_duplicate='ignore'", fmt.Sprint(n), "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			in, err := instance.Start(ctx, instance.Options{
				TiDB: cluster.TiDB, Import: fmt.Sprintf("memory-budget = \"%dMiB\"\nthreads = 2", manyBudget>>20),
			})
			cancel()
			require.NoError(t, err)
			defer func() { require.NoError(t, in.Close()) }()
			b := benchOn(t, cluster, in)
			b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT, pass INT, v VARCHAR(40), UNIQUE KEY (u), KEY (v))")
			began := time.Now()
			row := b.mustImport(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH %s", tt.files, tt.with))
			took := time.Since(began)
			peak, err := in.PeakMemory()
			require.NoError(t, err)
			t.Logf("%s: %s rows imported in %v, peak memory %.1f MiB; %s", tt.name, row["Imported_Rows"], took.Round(time.Millisecond),
				float64(peak)/(1<<20), row["Result_Message"])
			require.Equal(t, fmt.Sprint(n), row["Imported_Rows"])
			require.Less(t, peak, int64(manyBudget))
			// The job has compared checksums; ADMIN CHECK TABLE takes too long for so many rows.
			for _, index := range []string{"", "u", "v"} {
				require.Equal(t, [][]string{{fmt.Sprint(n)}}, b.query("SELECT COUNT(*) FROM t USE INDEX ("+index+")"))
			}
			if tt.first != "" {
				require.Equal(t, [][]string{{fmt.Sprint(n), tt.first, tt.second}},
					b.query("SELECT COUNT(*), CAST(SUM(pass = 1) AS SIGNED), CAST(SUM(pass = 2) AS SIGNED) FROM t"))
			}
			b.exec("DROP TABLE t")
		})
	}
}

// writeDuplicates writes n rows in two files, and the same rows in another order
// in two more. It returns patterns for the first two and for all.
func writeDuplicates(t *testing.T, n int) (single, twice string) {
	t.Helper()
	dir := t.TempDir()
	const stride = 7_368_787 // a prime, so it meets every row once unless n is a multiple
	for pass := 1; pass <= 2; pass++ {
		for part := range 2 {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("pass%d.%d.csv", pass, part)))
			require.NoError(t, err)
			w := bufio.NewWriterSize(f, 1<<20)
			for i := part * n / 2; i < (part+1)*n/2; i++ {
				id := i
				if pass == 2 {
					id = int(int64(i) * stride % int64(n))
				}
				_, err := fmt.Fprintf(w, "%d,%d,%d,value %d\n", id, 3*n-id, pass, id%100_003)
				require.NoError(t, err)
			}
			require.NoError(t, w.Flush())
			require.NoError(t, f.Close())
		}
	}
	return filepath.Join(dir, "pass1.*.csv"), filepath.Join(dir, "pass*.csv")
}
