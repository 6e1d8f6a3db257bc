package memory

import (
	"database/sql"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/dataset"
)

// idleMemory is more than a Sluice without jobs holds, in bytes.
const idleMemory = 96 * mib

// TestIdle: a Sluice without jobs has given back what its jobs had.
func TestIdle(t *testing.T) {
	b := newBench(t, 512, 1)
	rows := size(300_000, 3_000_000)
	path := b.file("demo.csv", func(f *os.File) error {
		_, err := dataset.WriteDemoCSV(f, rows, 1)
		return err
	})
	b.exec(dataset.DemoSchema("t"))
	b.finished(b.start(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached, thread=4", path)))
	b.within()
	require.Greater(t, b.peak(), int64(idleMemory+32*mib), "the job takes memory")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// Long before Go's runtime would do so by itself, unless the machine is very slow.
	for began := time.Now(); b.resident() > idleMemory; <-tick.C {
		require.Less(t, time.Since(began), 5*time.Minute, "%d bytes are resident", b.resident())
	}
	t.Logf("%.1f MiB are resident without a job", float64(b.resident())/mib)
}

// TestSessions: many sessions that are forwarded while a job runs stay within the budget, with it.
func TestSessions(t *testing.T) {
	b := newBench(t, 256, 1)
	sessions, rows := size(100, 400), size(150_000, 1_500_000)
	path := b.file("demo.csv", func(f *os.File) error {
		_, err := dataset.WriteDemoCSV(f, rows, 1)
		return err
	})
	b.exec(dataset.DemoSchema("t"))
	job := b.start(fmt.Sprintf("IMPORT INTO t FROM '%s' WITH detached, thread=4", path))
	ended, turns := make(chan struct{}), make(chan struct{}, 4) // more than that would be a test of the cluster
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() { b.talk(i, turns, ended) })
	}
	b.finished(job)
	close(ended)
	all.Wait()
	b.within()
	b.consistent("t", rows)
}

// talk keeps a session busy: with small statements, and now and then one of some MiB and an answer as large.
func (b *bench) talk(i int, turns chan struct{}, ended <-chan struct{}) {
	conn, err := b.db.Conn(b.t.Context())
	if err != nil {
		b.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	text := make([]byte, 2*mib)
	for j := range text {
		text[j] = 'a' + byte(i+j)%26
	}
	for n := 0; ; n++ {
		select {
		case <-ended:
			return
		case turns <- struct{}{}:
		}
		var length int
		if (n+i)%10 > 0 {
			err = conn.QueryRowContext(b.t.Context(), fmt.Sprintf("SELECT %d", n)).Scan(&length)
		} else {
			var got sql.RawBytes
			rows, queryErr := conn.QueryContext(b.t.Context(), "SELECT '"+string(text)+"'")
			if err = queryErr; err == nil {
				rows.Next()
				err = rows.Scan(&got)
				if err == nil && len(got) != len(text) {
					err = fmt.Errorf("an answer of %d bytes, not %d", len(got), len(text))
				}
				_ = rows.Close()
			}
		}
		<-turns
		if err != nil {
			b.t.Error(err)
			return
		}
	}
}
