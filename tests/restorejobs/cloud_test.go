package restorejobs_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/tests/azurestore"
	"github.com/sluicedb/sluice/tests/brarchive"
	"github.com/sluicedb/sluice/tests/gcsstore"
	"github.com/sluicedb/sluice/tests/instance"
	"github.com/sluicedb/sluice/tests/playground"
	"github.com/sluicedb/sluice/tests/s3store"
)

// objectStore is one in which dumps and archives are.
type objectStore struct {
	name     string
	put      func(key string, data []byte)
	location func(path string) string // with credentials
	secrets  []string
}

func objectStores(t *testing.T) []objectStore {
	t.Helper()
	s3, gcs, azure := s3store.Start(t), gcsstore.Start(t), azurestore.Start(t)
	return []objectStore{
		{"s3", s3.Put, s3.WithKeys, []string{s3.SecretKey, s3.AccessKey}},
		{"gcs", gcs.Put, gcs.WithKeys, []string{gcsstore.Token, gcs.KeyText, gcs.CredentialsFile}},
		{"azure", azure.Put, azure.WithKey, []string{azure.Key}},
	}
}

// upload puts the dump into a store.
func (b *bench) upload(s objectStore, prefix string) {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	require.NoError(b.t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(b.t, err)
		s.put(prefix+"/"+filepath.Base(f), data)
	}
}

// TestRestoreFromObjectStores: dumps, and archives that TiDB's BACKUP writes there and the stores read from there. No secret is seen.
func TestRestoreFromObjectStores(t *testing.T) {
	t.Parallel()
	for _, s := range objectStores(t) {
		t.Run(s.name, func(t *testing.T) {
			b := newBench(t)
			b.dump()
			b.upload(s, "dumps/one")
			ours := b.row("RESTORE DATABASE `$_a` FROM '" + s.location("dumps/one") + "'")
			require.Contains(t, ours["Destination"], "=xxxxxx")
			want := b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY 1")
			require.NotEmpty(t, want)

			brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{Location: s.location("backups/one"), Method: "aes128-ctr"})
			b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_b` FROM '"+s.location("backups/one")+"'", 8160, "backupmeta", "encrypted and no key is given")
			made := brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{Location: s.location("backups/two")})
			b.row("RESTORE DATABASE `$_a` AS `$_b` FROM '" + made.Location + "'")
			require.Equal(t, want, b.rows(b.direct, "SELECT * FROM `$_b`.t ORDER BY 1"))
			b.checked("$_b", []string{"t"})
			b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_c` FROM '"+s.location("backups/none")+"'", 8173, "backups/none holds no database")
			for _, secret := range s.secrets {
				b.secret(strings.ToLower(secret))
			}
		})
	}
}

// TestRestoreWhileTheStoreIsAway: a store that goes away while TiKV downloads, or before Sluice has read what the archive says, pauses
// the job; it ends well when the store is back. With answers that are damaged it ends in no success.
func TestRestoreWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	pg := playground.Shared(t)
	in := instance.ForTest(t, instance.Options{TiDB: pg.TiDB, Import: "memory-budget = \"224MiB\"\n[storage]\npatience = \"1s\""})
	b := benchOn(t, pg, in)
	store := s3store.Start(t)
	b.dump()
	b.exec("RESTORE DATABASE `$_a` FROM '@dir'")
	want := b.rows(b.direct, "SELECT * FROM `$_a`.t ORDER BY 1")
	made := brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{Location: store.WithKeys("one")})
	restore := "RESTORE DATABASE `$_a` AS `$_b` FROM '" + made.Location + "'"

	// Sluice can't read it: no job.
	store.OnRequest(func(r *http.Request) s3store.Fault {
		if s3store.IsRead(r) && strings.Contains(r.URL.Path, "backupmeta") {
			return s3store.Garbage
		}
		return s3store.None
	})
	b.fails(b.proxy, restore, 8160, "s3://data/one/backupmeta")
	require.NotContains(t, b.databases(), b.own("$_b"))
	// The stores can't: damaged files end the job, with their names, and nothing is left of it.
	isFile := func(r *http.Request) bool { return s3store.IsRead(r) && strings.HasSuffix(r.URL.Path, ".sst") }
	store.OnRequest(func(r *http.Request) s3store.Fault {
		if isFile(r) {
			return s3store.ShortLength
		}
		return s3store.None
	})
	b.fails(b.proxy, restore, 8160, "_write.sst: downloaded size", "what the job had made was dropped")
	require.NotContains(t, b.databases(), b.own("$_b"))
	// One that is gone for a while is waited for.
	var refused atomic.Int64
	store.OnRequest(func(r *http.Request) s3store.Fault {
		if isFile(r) && refused.Add(1) > 0 {
			return s3store.Reset
		}
		return s3store.None
	})
	id := b.row(restore + " DETACHED")["Job_ID"]
	require.Eventually(t, func() bool { return refused.Load() > 8 }, time.Minute, 10*time.Millisecond)
	require.NotContains(t, []string{"finished", "failed"}, b.row("SHOW IMPORT JOB " + id)["Status"])
	store.OnRequest(nil)
	if b.row("SHOW IMPORT JOB " + id)["Status"] == "paused" {
		b.exec("RESUME IMPORT JOB " + id)
	}
	b.becomes(id, "finished")
	require.Equal(t, want, b.rows(b.direct, "SELECT * FROM `$_b`.t ORDER BY 1"))
	b.checked("$_b", []string{"t"})
}

// TestDamagedArchiveInObjectStores: a file that has another byte than it was written with, or ends early, or is missing, is an error with its name, on
// every store, and nothing is left of the job.
func TestDamagedArchiveInObjectStores(t *testing.T) {
	t.Parallel()
	stores := objectStores(t)
	b := newBench(t)
	b.dump()
	b.exec("RESTORE DATABASE `$_a` FROM '@dir'")
	made := brarchive.Backup(t, b.direct, b.own("DATABASE `$_a`"), brarchive.Options{})
	files := map[string][]byte{}
	var victim string
	require.NoError(t, filepath.WalkDir(made.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(made.Dir, path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "_write.sst") {
			victim = name
		}
		files[name], err = os.ReadFile(path)
		return err
	}))
	require.NotEmpty(t, victim)
	flipped := bytes.Clone(files[victim])
	flipped[len(flipped)/4] ^= 0x20
	for _, s := range stores {
		for how, data := range map[string][]byte{"flipped": flipped, "truncated": files[victim][:len(flipped)/2], "missing": nil} {
			for name, whole := range files {
				if name == victim {
					whole = data
				}
				if whole != nil {
					s.put(how+"/"+name, whole)
				}
			}
			b.fails(b.proxy, "RESTORE DATABASE `$_a` AS `$_b` FROM '"+s.location(how)+"'", 8160, filepath.Base(victim))
			require.NotContains(t, b.databases(), b.own("$_b"), s.name+", "+how)
		}
	}
}
