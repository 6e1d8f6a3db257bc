package restorejobs_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/azurestore"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/gcsstore"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
)

// cloud is a store whose answers a test decides about.
type cloud struct {
	objectStore
	onRequest func(func(http.ResponseWriter, *http.Request) bool)
	answer    http.HandlerFunc
	isRead    func(*http.Request) bool
	missing   string // what the client of TiKV's stores says of a file that isn't there
}

// disturb makes the n-th request for each file with that suffix, counted from 1, what fault makes of it, which says whether it has answered.
func (c *cloud) disturb(suffix string, fault func(w http.ResponseWriter, r *http.Request, n int) bool) {
	var mu sync.Mutex
	counts := map[string]int{}
	c.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		if !c.isRead(r) || !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		mu.Lock()
		counts[r.URL.Path]++
		n := counts[r.URL.Path]
		mu.Unlock()
		return fault(w, r, n)
	})
}

// cut answers with half of what the answer says that it has, and ends the connection.
func (c *cloud) cut(w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	c.answer(whole, r)
	maps.Copy(w.Header(), whole.Header())
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestNetworkOfGoogleAndAzure: connections that end within a file cost time only; a store that goes away is waited for, and left alone when the job is
// cancelled; what it refuses in the middle of a file, or doesn't have any more, is an error with the file's name. That holds where Sluice reads, a dump,
// and where TiKV's stores do, an archive. Nothing is a success but all rows, and nothing is left of any other end.
func TestNetworkOfGoogleAndAzure(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	in := instance.ForTest(t, instance.Options{TiDB: pg.TiDB, Import: "memory-budget = \"224MiB\"\nthreads = 4\n[storage]\npatience = \"1s\""})
	gcs, azure := gcsstore.Start(t), azurestore.Start(t)
	for _, c := range []*cloud{
		{objectStore{"gcs", gcs.Put, gcs.WithKeys, nil}, gcs.OnRequest, gcs.Answer, gcsstore.IsRead, "object doesn't exist"},
		{objectStore{"azure", azure.Put, azure.WithKey, nil}, azure.OnRequest, azure.Answer, azurestore.IsRead, "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := benchOn(t, pg, in)
			b.dump()
			b.upload(c.objectStore, "dump")
			b.exec("RESTORE DATABASE `$_a` FROM '@dir'")
			made := brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{Location: c.location("archive")})
			for suffix, location := range map[string]string{".csv": c.location("dump"), ".sst": made.Location} {
				missing := "there is no such file"
				if suffix == ".sst" {
					missing = c.missing
				}
				d := &disturbed{bench: b, cloud: c, suffix: suffix, restore: "RESTORE DATABASE `$_a` AS `$_b` FROM '" + location + "'",
					want: b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY 1")}
				d.count()
				d.cutOff()
				d.refused(http.StatusForbidden, "403")
				d.refused(http.StatusNotFound, missing)
				if long || suffix == ".sst" { // the stores' clients try for 11 seconds before they say that they can't read a dump
					d.away(true)
				}
				if long {
					d.away(false)
				}
			}
		})
	}
}

// disturbed is a restore whose store is disturbed when its files are read.
type disturbed struct {
	*bench
	cloud   *cloud
	suffix  string // of the files
	last    int    // how many requests there are for each, at least: the statement itself looks into files of a dump, its job does it again
	restore string
	want    [][]string
}

// count counts the requests of a restore that isn't disturbed.
func (d *disturbed) count() {
	d.t.Helper()
	var mu sync.Mutex
	counts := map[string]int{}
	d.cloud.disturb(d.suffix, func(_ http.ResponseWriter, r *http.Request, n int) bool {
		mu.Lock()
		defer mu.Unlock()
		counts[r.URL.Path] = n
		return false
	})
	d.exec(d.restore)
	d.whole()
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(d.t, counts)
	d.last = slices.Min(slices.Collect(maps.Values(counts)))
}

// whole makes sure that all is restored, and drops it.
func (d *disturbed) whole() {
	d.t.Helper()
	require.Equal(d.t, d.want, d.rows(d.direct, "SELECT * FROM `$_b`.t ORDER BY 1"))
	d.checked("$_b", []string{"t", "u"})
	d.exec("DROP DATABASE `$_b`")
}

// cutOff: the first answers for each file end in the middle.
func (d *disturbed) cutOff() {
	d.t.Helper()
	d.cloud.disturb(d.suffix, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n <= 2 {
			d.cloud.cut(w, r)
		}
		return false
	})
	d.exec(d.restore)
	d.whole()
}

// refused: the last answer for each file ends in the middle, and what is asked for then is refused.
func (d *disturbed) refused(status int, text string) {
	d.t.Helper()
	d.cloud.disturb(d.suffix, func(w http.ResponseWriter, r *http.Request, n int) bool {
		switch {
		case n < d.last:
			return false
		case n == d.last:
			d.cloud.cut(w, r)
		}
		http.Error(w, "no", status)
		return true
	})
	row := d.becomes(d.row(d.restore + " DETACHED")["Job_ID"], "failed")
	require.Contains(d.t, row["Result_Message"], d.suffix)
	require.Contains(d.t, row["Result_Message"], text)
	if d.suffix == ".sst" { // Sluice itself reads a file before it makes anything
		require.Contains(d.t, row["Result_Message"], "what the job had made was dropped")
	}
	require.NotContains(d.t, d.databases(), d.own("$_b"))
}

// away: the store breaks all connections, for good or until it is back. What Sluice reads pauses the job; what the stores read is tried again.
func (d *disturbed) away(back bool) {
	d.t.Helper()
	var broken atomic.Int64
	d.cloud.disturb(d.suffix, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n < d.last {
			return false
		}
		broken.Add(1)
		if n == d.last {
			d.cloud.cut(w, r)
		}
		panic(http.ErrAbortHandler)
	})
	id := d.row(d.restore + " DETACHED")["Job_ID"]
	if d.suffix == ".csv" {
		require.Contains(d.t, d.becomes(id, "paused")["Result_Message"], d.suffix)
	} else {
		require.Eventually(d.t, func() bool { return broken.Load() > 8 }, time.Minute, 10*time.Millisecond)
		require.Equal(d.t, "running", d.row("SHOW IMPORT JOB " + id)["Status"])
	}
	if !back {
		d.exec("CANCEL IMPORT JOB " + id)
		d.becomes(id, "cancelled")
		require.NotContains(d.t, d.databases(), d.own("$_b"))
		return
	}
	d.cloud.onRequest(nil)
	if d.suffix == ".csv" {
		d.exec("RESUME IMPORT JOB " + id)
	}
	d.becomes(id, "finished")
	d.whole()
}
