package imports_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// scrape returns the values of all series of a Sluice, by name and labels as they are written.
func scrape(t *testing.T, in *instance.Instance) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + in.Status + "/metrics") //nolint:noctx // the test's end ends the Sluice
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		values[name], err = strconv.ParseFloat(value, 64)
		require.NoError(t, err, line)
	}
	return values
}

// TestMetricsOfImports: what a Sluice counts is what its jobs did.
func TestMetricsOfImports(t *testing.T) {
	t.Parallel()
	cluster := playground.Shared(t)
	in := startWith(t, cluster, instance.Options{Import: "memory-budget = \"160MiB\"\nthreads = 2\ncheckpoint-bytes = \"512KiB\""})
	b := benchOn(t, cluster, in)
	const series = `sluice_import_step_%s_total{step="%s"}`
	at := scrape(t, in)
	for _, step := range []string{"encode", "sort", "conflicts", "ingest", "checksum", "analyze"} {
		for _, of := range []string{"seconds", "cpu_seconds", "bytes", "rows"} {
			require.Contains(t, at, fmt.Sprintf(series, of, step))
		}
	}
	for _, f := range []string{"source", "memory", "disk", "store", "limit", "backoff", "lease"} {
		require.Contains(t, at, fmt.Sprintf(`sluice_import_wait_seconds_total{for="%s"}`, f))
	}

	// Three files, more than a checkpoint's interval.
	b.exec(dataset.DemoSchema("demo"))
	source, rowsIn := 0.0, 0.0
	path, _ := b.demoFile(30_000, 7)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	all := strings.SplitAfter(string(text), "\n")
	for i := range 3 {
		part := strings.Join(all[i*10_000:(i+1)*10_000], "")
		b.file(fmt.Sprintf("part.%d.csv", i), part)
		source, rowsIn = source+float64(len(part)), rowsIn+10_000
	}
	row := b.mustImport(fmt.Sprintf("IMPORT INTO demo FROM '%s'", filepath.Join(b.dir, "part.*.csv")))
	pairs := b.sortedBytes(row["Job_ID"])
	at = scrape(t, in)
	want := map[string]float64{
		fmt.Sprintf(series, "bytes", "encode"): source, fmt.Sprintf(series, "rows", "encode"): rowsIn,
		fmt.Sprintf(series, "bytes", "sort"): pairs, fmt.Sprintf(series, "rows", "sort"): rowsIn,
		fmt.Sprintf(series, "bytes", "conflicts"): 0, fmt.Sprintf(series, "rows", "conflicts"): 0,
		fmt.Sprintf(series, "bytes", "ingest"): pairs, fmt.Sprintf(series, "rows", "ingest"): rowsIn,
		fmt.Sprintf(series, "bytes", "checksum"): pairs, fmt.Sprintf(series, "bytes", "analyze"): pairs,
		`sluice_import_jobs_total{state="finished"}`: 1, "sluice_import_rows_total": rowsIn,
		`sluice_import_wait_seconds_total{for="limit"}`: 0, `sluice_import_wait_seconds_total{for="backoff"}`: 0,

		`lightning_bytes{state="total_restore"}`: source, `lightning_bytes{state="restored"}`: source,
		`lightning_bytes{state="written"}`: pairs, `lightning_bytes{state="imported"}`: pairs,
		`lightning_rows{state="restored"}`: rowsIn, "lightning_row_read_bytes_sum": source,
		`lightning_chunks{state="estimated"}`: 3, `lightning_chunks{state="pending"}`: 3, `lightning_chunks{state="running"}`: 3,
		`lightning_chunks{state="finished"}`: 3, `lightning_chunks{state="failed"}`: 0,
		`lightning_importer_engine{type="open"}`: 1, `lightning_importer_engine{type="closed"}`: 1,
		`lightning_tables{result="success",state="pending"}`: 1, `lightning_tables{result="success",state="written"}`: 1,
		`lightning_tables{result="success",state="imported"}`: 1, `lightning_tables{result="success",state="checksum"}`: 1,
		`lightning_tables{result="success",state="analyzed"}`: 1, `lightning_tables{result="success",state="completed"}`: 1,
		`lightning_tables{result="failure",state="completed"}`: 0, `lightning_engines{result="success",state="imported"}`: 1,
		"lightning_import_seconds_count": 1, "lightning_checksum_seconds_count": 1,
	}
	for name, value := range want {
		require.InDelta(t, value, at[name], 0.001, name)
	}
	for _, name := range []string{
		fmt.Sprintf(series, "seconds", "encode"), fmt.Sprintf(series, "seconds", "ingest"), fmt.Sprintf(series, "seconds", "checksum"),
		fmt.Sprintf(series, "seconds", "analyze"), fmt.Sprintf(series, "cpu_seconds", "encode"), "sluice_import_spilled_bytes_total",
		"sluice_import_checkpoints_total", `sluice_import_wait_seconds_total{for="store"}`, `sluice_import_wait_seconds_total{for="disk"}`,
		`lightning_sst_seconds_count{kind="write"}`, `lightning_sst_seconds_count{kind="ingest"}`,
	} {
		require.Positive(t, at[name], name)
	}
	b.logged(in, row["Job_ID"])

	// Rows that lose a conflict are encoded, and don't get further.
	b.exec("CREATE TABLE c (a INT PRIMARY KEY, b INT)")
	row = b.mustImport(fmt.Sprintf("IMPORT INTO c FROM '%s' WITH on_duplicate='replace', max_write_speed='100MiB'", b.file("c.csv", lines("1,1", "2,2", "1,3"))))
	require.Equal(t, "2", row["Imported_Rows"])
	now := scrape(t, in)
	more := func(name string) float64 { return now[name] - at[name] }
	require.InDelta(t, 3, more(fmt.Sprintf(series, "rows", "encode")), 0)
	require.InDelta(t, 2, more(fmt.Sprintf(series, "rows", "ingest")), 0)
	require.InDelta(t, b.sortedBytes(row["Job_ID"]), more(fmt.Sprintf(series, "bytes", "ingest")), 0)
	require.Positive(t, more(fmt.Sprintf(series, "bytes", "conflicts")))
	require.InDelta(t, 0, more(fmt.Sprintf(series, "bytes", "sort")), 0)

	// One that fails comes no further than it does.
	at = now
	b.exec("TRUNCATE TABLE c")
	b.fails(fmt.Sprintf("IMPORT INTO c FROM '%s' WITH disable_precheck", b.file("bad.csv", lines("1,1", "x,2"))), 1366)
	now = scrape(t, in)
	require.InDelta(t, 1, more(`lightning_tables{result="failure",state="completed"}`), 0)
	require.InDelta(t, 0, more(`lightning_tables{result="success",state="written"}`), 0)
	require.InDelta(t, 1, more(`lightning_chunks{state="failed"}`), 0)
	require.InDelta(t, 1, more(`sluice_import_jobs_total{state="failed"}`), 0)
	require.InDelta(t, 0, more(fmt.Sprintf(series, "rows", "ingest")), 0)
	require.InDelta(t, now[`lightning_importer_engine{type="open"}`], now[`lightning_importer_engine{type="closed"}`], 0)
}

// sortedBytes is the size of a finished job's pairs.
func (b *bench) sortedBytes(job string) (bytes float64) {
	require.NoError(b.t, b.direct.QueryRowContext(b.t.Context(), "SELECT total_bytes FROM sluice.jobs WHERE id = "+job).Scan(&bytes))
	return bytes
}

// logged: a job's events and steps have a line each, those of steps with what they did.
func (b *bench) logged(in *instance.Instance, job string) {
	t := b.t
	all, err := in.Logged(`"job": ` + job + `,`)
	require.NoError(t, err)
	count := func(words ...string) (n int) {
		for _, line := range all {
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				n++
			}
		}
		return n
	}
	for _, event := range []string{"import job accepted", "import job taken", "import job claimed", "import job ended"} {
		require.Equal(t, 1, count("\t"+event+"\t"), event)
	}
	for _, step := range []string{"encode", "sort", "ingest", "checksum", "analyze"} {
		require.Equal(t, 1, count("\timport step\t", `"step": "`+step+`"`), step)
		require.Equal(t, 1, count("\timport step ended\t", `"step": "`+step+`"`, `"took":`, `"rows": 30000`), step)
	}
	require.Equal(t, 1, count("\timport step ended\t", `"step": "ingest"`, `"bytes":`, `"bytes_per_second":`, `"cpu":`, `"waited_for_stores":`))
	require.Positive(t, count("\tcheckpoint\t"))
}
