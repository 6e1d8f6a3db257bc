package source_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/azurestore"
	"github.com/sluicedb/sluice/tests/gcsstore"
)

// cloud is a store beside S3.
type cloud struct {
	name string
	put  func(key string, data []byte)
	// location names objects, with credentials; onRequest and isRead are the server's.
	location  func(path string) string
	onRequest func(func(w http.ResponseWriter, r *http.Request) bool)
	isRead    func(*http.Request) bool
	secrets   []string
}

func clouds(t *testing.T) []cloud {
	t.Helper()
	gcs, azure := gcsstore.Start(t), azurestore.Start(t)
	return []cloud{
		{"gcs", gcs.Put, gcs.WithKeys, gcs.OnRequest, gcsstore.IsRead, []string{gcsstore.Token, gcs.KeyText}},
		{"azure by key", azure.Put, azure.WithKey, azure.OnRequest, azurestore.IsRead, []string{azure.Key}},
		{"azure by token", azure.Put, azure.WithToken, azure.OnRequest, azurestore.IsRead, []string{azure.Signature}},
	}
}

// forClouds runs a test for each store.
func forClouds(t *testing.T, test func(t *testing.T, c cloud)) {
	for _, c := range clouds(t) {
		t.Run(c.name, func(t *testing.T) { test(t, c) })
	}
}

func TestCloudFiles(t *testing.T) {
	t.Parallel()
	forClouds(t, func(t *testing.T, c cloud) {
		large := bytesOf(3<<20, 7)
		for _, key := range []string{"in/a.csv", "in/b.csv", "in/c.csv.gz", "in/d+e f.csv", "in/deep/x.csv", "inner.csv"} {
			c.put(key, []byte(key))
		}
		c.put("in/large.csv", large)
		files := listed(t, openStore(t, c.location("in/*.csv"), source.Config{}))
		var keys []string
		for _, f := range files {
			keys = append(keys, f.Key)
		}
		require.Equal(t, []string{"in/a.csv", "in/b.csv", "in/d+e f.csv", "in/large.csv"}, keys)
		scheme, _, _ := strings.Cut(c.location(""), ":")
		require.Equal(t, scheme+"://data/in/a.csv", files[0].Path)
		store := openStore(t, c.location("in/large.csv"), source.Config{})
		one := listed(t, store)
		require.Len(t, one, 1)
		require.Equal(t, large, read(t, store, one[0], 0))
		require.Equal(t, large[1<<20:], read(t, store, one[0], 1<<20))
		require.Empty(t, read(t, store, one[0], int64(len(large))))
		require.Equal(t, "in/d+e f.csv", string(read(t, store, files[2], 0)))
		require.True(t, source.Remote(store))
		ahead, stop := source.NewAhead(t.Context(), store, one, 1<<20)
		require.Equal(t, large, read(t, ahead, one[0], 0))
		stop()
		c.put("in/large.csv", large[1:])
		_, err := store.Open(t.Context(), one[0], 10)
		require.ErrorContains(t, err, "in/large.csv was changed after it had been listed")
		_, err = store.Open(t.Context(), one[0], one[0].Size)
		require.ErrorContains(t, err, "in/large.csv was changed after it had been listed")
	})
}

func TestCloudFolders(t *testing.T) {
	t.Parallel()
	forClouds(t, func(t *testing.T, c cloud) {
		keys := []string{"1/[b*].sst", "1/a.sst", "2/x/c.csv.gz", "backupmeta", "é"}
		for _, key := range keys {
			c.put("dir/"+key, []byte(key))
		}
		c.put("dirt/a", []byte("a"))
		folder := openFolder(t, c.location("dir/"), source.Config{})
		require.Equal(t, keys, keysOf(t, folder))
		checkMissing(t, folder)
		require.Len(t, listed(t, openFolder(t, c.location(""), source.Config{})), len(keys)+1)
		require.Empty(t, listed(t, openFolder(t, c.location("nothing"), source.Config{})))
		text := folder.Backend().String()
		require.Contains(t, text, `"dir"`)
	})
}

// TestCloudTroubles: what passes is tried again from where it was; what lasts is an error in one line that names the file, and no secret.
func TestCloudTroubles(t *testing.T) {
	t.Parallel()
	forClouds(t, func(t *testing.T, c cloud) {
		data := bytesOf(200_000, 8)
		c.put("a.csv", data)
		hasty := source.Hasty(source.Config{Stall: time.Minute})
		var mu sync.Mutex
		left := map[string]int{"list": 2, "busy": 2, "cut": 3, "reset": 2}
		c.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			take := func(what string) bool {
				left[what]--
				return left[what] >= 0
			}
			switch {
			case !c.isRead(r):
				if take("list") {
					http.Error(w, "down", http.StatusInternalServerError)
					return true
				}
			case take("busy"):
				http.Error(w, "busy", http.StatusServiceUnavailable)
				return true
			case take("reset"):
				panic(http.ErrAbortHandler)
			case take("cut"):
				w.Header().Set("Content-Length", "200000")
				w.Header().Set("Content-Range", "bytes 0-199999/200000")
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(data[:50_000])
				panic(http.ErrAbortHandler)
			}
			return false
		})
		store := openStore(t, c.location("a.csv"), hasty)
		files := listed(t, store)
		require.True(t, bytes.Equal(data, read(t, store, files[0], 0)))

		failing := func(text string, code uint16, answer func(w http.ResponseWriter)) {
			t.Helper()
			cfg := hasty
			cfg.Patience = time.Millisecond
			store := openStore(t, c.location("a.csv"), cfg)
			c.onRequest(nil)
			files := listed(t, store)
			c.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
				if c.isRead(r) {
					answer(w)
				}
				return c.isRead(r)
			})
			in, err := store.Open(t.Context(), files[0], 0)
			if err == nil {
				_, err = io.ReadAll(in)
			}
			require.ErrorContains(t, err, "://data/a.csv")
			require.ErrorContains(t, err, text)
			require.Equal(t, code, fault.As(err).Code)
			require.NotContains(t, err.Error(), "\n")
			for _, secret := range c.secrets {
				require.NotContains(t, err.Error(), secret)
			}
		}
		failing("can't be read, for", 8160, func(w http.ResponseWriter) { http.Error(w, "busy", http.StatusServiceUnavailable) })
		failing("can't be read, for", 8160, func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
		failing("HTTP 403", 8159, func(w http.ResponseWriter) { http.Error(w, "no", http.StatusForbidden) })
		failing("no such file", 8160, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
		failing("was changed", 8160, func(w http.ResponseWriter) { w.WriteHeader(http.StatusPreconditionFailed) })
		c.onRequest(nil)
	})
}

// TestCloudRefusals: what a location lacks or has too much is said, without its secrets.
func TestCloudRefusals(t *testing.T) {
	t.Parallel()
	gcs, azure := gcsstore.Start(t), azurestore.Start(t)
	dir := t.TempDir()
	noKey, otherKey := filepath.Join(dir, "no.json"), filepath.Join(dir, "other.json")
	require.NoError(t, os.WriteFile(noKey, []byte("SECRETsecretSECRET"), 0o600))
	text, err := os.ReadFile(gcs.CredentialsFile)
	require.NoError(t, err)
	other, err := os.ReadFile(gcsstore.Start(t).CredentialsFile)
	require.NoError(t, err)
	from := func(s []byte) string { return strings.Split(strings.Split(string(s), "token_uri\":\"")[1], `"`)[0] }
	require.NoError(t, os.WriteFile(otherKey, bytes.ReplaceAll(other, []byte(from(other)), []byte(from(text))), 0o600))
	const secret = "SECRETsecretSECRET"
	for _, tc := range []struct {
		location string
		code     uint16
		text     string
	}{
		{gcs.Location("a.csv"), 8159, "HTTP 401"},
		{gcs.Location("a.csv") + "&credentials-file=/none/x", 8159, "/none/x: no such file"},
		{gcs.Location("a.csv") + "&credentials-file=" + noKey, 8159, "is no file with credentials"},
		{gcs.Location("a.csv") + "&credentials-file=" + otherKey, 8159, "no token is given for the credentials (HTTP 400)"},
		{strings.Replace(gcs.WithKeys("*.csv"), "data", "nothing", 1), 8159, "there is no bucket gs://nothing"},
		{gcs.WithKeys("none.csv"), 8160, "gs://data/none.csv: there is no such file"},
		{gcs.WithKeys("a.csv") + "&key=" + secret, 8158, "unknown parameter key"},
		{"gs://data/a.csv?endpoint=http://h/%3Fkey=" + secret, 8158, "without parameters"},
		{"gs:///a.csv", 8158, "please specify the bucket"},
		{azure.Location("a.csv") + "&account-key=not base64 " + secret, 8159, "Base64"},
		{azure.Location("a.csv") + "&sas-token=sig%3D" + secret, 8159, "AuthenticationFailed (HTTP 403)"},
		{strings.Replace(azure.WithKey("*.csv"), "data", "nothing", 1), 8159, "there is no bucket azure://nothing"},
		{azure.WithKey("none.csv"), 8160, "azure://data/none.csv: there is no such file"},
		{"azure://data/a.csv?sas-token=" + secret, 8158, "account-name belongs to"},
		{"azblob://" + secret + "@data/a.csv", 8158, "credentials are given as parameters"},
	} {
		store, err := source.Open(t.Context(), tc.location, source.Hasty(source.Config{Patience: time.Millisecond, Stall: 5 * time.Minute}))
		if err == nil {
			_, err = store.List(t.Context())
		}
		require.ErrorContains(t, err, tc.text, tc.location)
		require.Equal(t, tc.code, fault.As(err).Code, tc.location)
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, err.Error(), "\n")
	}
}
