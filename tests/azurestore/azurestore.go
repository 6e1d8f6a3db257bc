// Package azurestore is a server of Azure Blob Storage, in memory, on a loopback address of its own: the requests by which containers
// are listed and blobs are written and read. Tests import and restore from it.
//
// See https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api.
package azurestore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Container is the one that each server has, Account the one whose it is.
const (
	Container = "data"
	Account   = "sluicetest"
)

// page is how many blobs a list's answer has.
const page = 3

// Server is one server. It ends with its test.
type Server struct {
	// Key is the account's, in Base64, and Signature that of the token (SAS) that may read. The server looks whether
	// requests are the account's, not at what they are signed with.
	Key, Signature string

	http *httptest.Server

	mu        sync.Mutex
	blobs     map[string]*object
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

type object struct {
	data    []byte
	tag     string
	changed time.Time
}

// Start starts a server with an empty container.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		Key: base64.StdEncoding.EncodeToString([]byte("SECRET+key/of the account" + strings.Repeat("\xff", 9))), Signature: "SECRETsig+nature/", blobs: map[string]*object{},
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	return s
}

// Put writes a blob.
func (s *Server) Put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(fmt.Appendf(slices.Clone(data), "%d", time.Now().UnixNano()))
	s.blobs[key] = &object{data: data, tag: fmt.Sprintf(`"0x%X"`, sum[:8]), changed: time.Now()}
}

// Location names blobs of the container, with account and endpoint, and without credentials.
func (s *Server) Location(path string) string {
	return "azure://" + Container + "/" + path + "?account-name=" + Account + "&endpoint=" + url.QueryEscape(s.http.URL)
}

// WithKey is Location with the account's key.
func (s *Server) WithKey(path string) string { return s.Location(path) + "&account-key=" + s.Key }

// WithToken is Location with a token.
func (s *Server) WithToken(path string) string {
	return s.Location(path) + "&sas-token=" + url.QueryEscape("sv=2020&sig="+url.QueryEscape(s.Signature))
}

// OnRequest is asked about each request from now on: with true it has answered itself. nil lets all pass. It is called by several
// goroutines.
func (s *Server) OnRequest(intercept func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = intercept
}

// IsRead tells whether a request asks for a blob's bytes.
func IsRead(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("comp") == ""
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	intercept := s.intercept
	s.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey "+Account+":") && r.URL.Query().Get("sig") != s.Signature {
		fail(w, http.StatusForbidden, "AuthenticationFailed")
		return
	}
	if intercept != nil && intercept(w, r) {
		return
	}
	s.Answer(w, r)
}

// Answer answers a request, whoever makes it, as if nobody looked at requests before.
func (s *Server) Answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	container, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case container != Container:
		fail(w, http.StatusNotFound, "ContainerNotFound")
	case key == "" && r.URL.Query().Get("comp") == "list":
		s.listLocked(w, r.URL.Query())
	case key == "":
		w.WriteHeader(http.StatusOK) // its properties
	case r.Method == http.MethodPut:
		s.mu.Unlock()
		data, err := io.ReadAll(r.Body)
		if err == nil {
			s.Put(key, data)
		}
		s.mu.Lock()
		w.WriteHeader(http.StatusCreated)
	default:
		s.readLocked(w, r, key)
	}
}

// fail answers as Azure does.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-ms-error-code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>what there is to say</Message></Error>`, code)
}

// readLocked answers a request for a blob or its properties.
func (s *Server) readLocked(w http.ResponseWriter, r *http.Request, key string) {
	o := s.blobs[key]
	if o == nil {
		fail(w, http.StatusNotFound, "BlobNotFound")
		return
	}
	if want := r.Header.Get("If-Match"); want != "" && want != o.tag {
		fail(w, http.StatusPreconditionFailed, "ConditionNotMet")
		return
	}
	w.Header().Set("ETag", o.tag)
	w.Header().Set("Last-Modified", o.changed.UTC().Format(http.TimeFormat))
	data, status := o.data, http.StatusOK
	var first, last int
	asked := r.Header.Get("x-ms-range")
	if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last); n > 0 {
		if n == 1 || last >= len(data) {
			last = len(data) - 1
		}
		if first > last {
			fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
		data, status = data[first:last+1], http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

// listing is the answer to List Blobs.
type listing struct {
	XMLName xml.Name `xml:"EnumerationResults"`
	Blobs   struct {
		Blob   []listed
		Prefix []struct{ Name string } `xml:"BlobPrefix"`
	}
	NextMarker string
}

type listed struct {
	Name       string
	Properties struct {
		Changed string `xml:"Last-Modified"`
		Tag     string `xml:"Etag"`
		Length  int    `xml:"Content-Length"`
	}
}

// listLocked answers with a page of the blobs, in order.
func (s *Server) listLocked(w http.ResponseWriter, query url.Values) {
	var out listing
	prefix, delimiter, marker := query.Get("prefix"), query.Get("delimiter"), strings.TrimPrefix(query.Get("marker"), "2!")
	var keys []string
	for key := range s.blobs {
		if strings.HasPrefix(key, prefix) && key >= marker {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i == page {
			out.NextMarker = "2!" + key // no client may read anything in it
			break
		}
		if head, _, hidden := strings.Cut(key[len(prefix):], delimiter); delimiter != "" && hidden {
			out.Blobs.Prefix = append(out.Blobs.Prefix, struct{ Name string }{prefix + head + delimiter})
			continue
		}
		o := s.blobs[key]
		b := listed{Name: key}
		b.Properties.Changed, b.Properties.Tag, b.Properties.Length = o.changed.UTC().Format(http.TimeFormat), strings.Trim(o.tag, `"`), len(o.data)
		out.Blobs.Blob = append(out.Blobs.Blob, b)
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(&out)
}
