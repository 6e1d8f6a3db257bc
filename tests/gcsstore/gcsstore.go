// Package gcsstore is a server of Google Cloud Storage (fake-gcs-server, in memory) on a loopback address of its own, which
// wants tokens and gives them for the key of a service account, as Google does. Tests import and restore from it.
package gcsstore

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"
)

// Bucket is the one that each server has.
const Bucket = "data"

// Token is what requests have to have.
const Token = "ya29.SECRETtokenSECRET"

// Server is one server. It ends with its test.
type Server struct {
	// CredentialsFile holds the service account's key.
	CredentialsFile string
	// KeyText is a piece of the key that only the file has.
	KeyText string

	t      testing.TB
	http   *httptest.Server
	api    *fakestorage.Server
	public *rsa.PublicKey

	mu        sync.Mutex
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

// Start starts a server with an empty bucket.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	var err error
	s.api, err = fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true, Scheme: "http", PublicHost: strings.TrimPrefix(s.http.URL, "http://"), ExternalURL: s.http.URL,
	})
	require.NoError(t, err)
	s.api.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: Bucket})
	s.writeKey()
	return s
}

// writeKey makes a service account.
func (s *Server) writeKey() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(s.t, err)
	s.public = &key.PublicKey
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(s.t, err)
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	s.KeyText = strings.Split(string(block), "\n")[3]
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "sluice@test.iam.gserviceaccount.com", "private_key_id": "1", "private_key": string(block),
		"token_uri": s.http.URL + "/token",
	})
	require.NoError(s.t, err)
	s.CredentialsFile = filepath.Join(s.t.TempDir(), "account.json")
	require.NoError(s.t, os.WriteFile(s.CredentialsFile, text, 0o600))
}

// Put writes an object.
func (s *Server) Put(key string, data []byte) {
	s.api.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: Bucket, Name: key}, Content: data})
}

// Location names objects of the bucket, with the endpoint and without credentials.
func (s *Server) Location(path string) string {
	return "gs://" + Bucket + "/" + path + "?endpoint=" + url.QueryEscape(s.http.URL+"/storage/v1/")
}

// WithKeys is Location with credentials.
func (s *Server) WithKeys(path string) string {
	return s.Location(path) + "&credentials-file=" + url.QueryEscape(s.CredentialsFile)
}

// OnRequest is asked about each request from now on, but those for tokens: with true it has answered itself. nil lets all pass. It is
// called by several goroutines.
func (s *Server) OnRequest(intercept func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = intercept
}

// IsRead tells whether a request asks for a file's bytes.
func IsRead(r *http.Request) bool {
	return r.Method == http.MethodGet && (strings.HasPrefix(r.URL.Path, "/"+Bucket+"/") || r.URL.Query().Get("alt") == "media")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		s.token(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Token {
		http.Error(w, "no or another token", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	s.Answer(w, r)
}

// Answer answers a request, whoever makes it, as if nobody looked at requests before.
func (s *Server) Answer(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	answer, err := s.api.HTTPClient().Transport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// token gives a token for an assertion that the service account has signed (RFC 7523).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	assertion := r.FormValue("assertion")
	at := strings.LastIndexByte(assertion, '.')
	signature, err := base64.RawURLEncoding.DecodeString(assertion[at+1:])
	sum := sha256.Sum256([]byte(assertion[:max(at, 0)]))
	w.Header().Set("Content-Type", "application/json")
	if err != nil || rsa.VerifyPKCS1v15(s.public, crypto.SHA256, sum[:], signature) != nil {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
		return
	}
	_, _ = io.WriteString(w, `{"access_token": "`+Token+`", "token_type": "Bearer", "expires_in": 3600}`)
}
