// Package s3store is a real S3 server (gofakes3, in memory) on a loopback address
// of its own, with faults that networks and stores have. Tests import from it.
package s3store

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// Bucket is the one that each server has.
const Bucket = "data"

// Fault is what becomes of one request.
type Fault uint8

// The faults. Those of answers make sense for files that are read.
const (
	None        Fault = iota
	SlowDown          // 503
	Internal          // 500
	Denied            // 403
	Reset             // the connection ends before the answer
	Cut               // the connection ends within the answer's body
	ShortLength       // the answer says, and has, less than was asked for
	LongLength        // the answer says more than it has
	WholeFile         // the answer is the whole file, whatever was asked for
	OtherRange        // the answer is another part of the file
	NoCondition       // the request's condition is not looked at
	Hang              // nothing comes until the client gives up
	Garbage           // the answer is none of the protocol
)

// Server is one server. It ends with its test.
type Server struct {
	// AccessKey, if set before the first request, is the only one that may read. SecretKey goes with it;
	// the server doesn't look at signatures.
	AccessKey, SecretKey string

	t       testing.TB
	addr    string
	backend gofakes3.Backend
	handler http.Handler

	mu       sync.Mutex
	server   *http.Server
	served   chan struct{}
	fault    func(*http.Request) Fault
	requests int
}

// Start starts a server with an empty bucket.
func Start(t testing.TB) *Server {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(Bucket))
	s := &Server{t: t, backend: backend, AccessKey: "AKIDSLUICETEST", SecretKey: "Sec/ret+Key=" + strings.Repeat("x", 12)}
	s.handler = gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	// An address that nobody else uses: the port is still there after Down.
	s.addr = fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	s.Up()
	t.Cleanup(s.Down)
	return s
}

// Up makes the server listen again after Down.
func (s *Server) Up() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.addr)
	require.NoError(s.t, err)
	s.addr = listener.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(s.serve), ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	s.mu.Lock()
	s.server, s.served = server, served
	s.mu.Unlock()
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Down
	}()
}

// Down cuts all connections, and refuses new ones until Up.
func (s *Server) Down() {
	s.mu.Lock()
	server, served := s.server, s.served
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close()
	<-served
}

// Put writes an object.
func (s *Server) Put(key string, data []byte) {
	s.t.Helper()
	_, err := s.backend.PutObject(Bucket, key, map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}, bytes.NewReader(data), int64(len(data)), nil)
	require.NoError(s.t, err)
}

// Delete removes an object.
func (s *Server) Delete(key string) {
	s.t.Helper()
	_, err := s.backend.DeleteObject(Bucket, key)
	require.NoError(s.t, err)
}

// Endpoint is the server's URL.
func (s *Server) Endpoint() string { return "http://" + s.addr }

// Location names objects of the bucket, with the endpoint and without credentials.
func (s *Server) Location(path string) string {
	return "s3://" + Bucket + "/" + path + "?endpoint=" + url.QueryEscape(s.Endpoint())
}

// WithKeys is Location with credentials.
func (s *Server) WithKeys(path string) string {
	return s.Location(path) + "&access-key=" + s.AccessKey + "&secret-access-key=" + url.QueryEscape(s.SecretKey)
}

// Env are environment variables with the credentials.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey}
}

// NoEnv are environment variables with which there are no credentials at all, whatever machine it is.
func NoEnv() []string {
	return []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_CONFIG_FILE=/dev/null", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=", "AWS_WEB_IDENTITY_TOKEN_FILE="}
}

// OnRequest decides about each request from now on; nil lets all pass. It is called by several goroutines.
func (s *Server) OnRequest(fault func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Requests is how many have arrived.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// IsRead tells whether a request asks for a file's bytes.
func IsRead(r *http.Request) bool {
	return r.Method == http.MethodGet && len(r.URL.Path) > len("/"+Bucket+"/") && r.URL.Query().Get("prefix") == ""
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	decide := s.fault
	s.requests++
	s.mu.Unlock()
	fault := None
	if decide != nil {
		fault = decide(r)
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+s.AccessKey+"/") {
		fail(w, http.StatusForbidden, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.")
		return
	}
	if fault != NoCondition && s.fails(w, r) {
		return
	}
	s.answer(w, r, fault)
}

// fails honours If-Match, which gofakes3 doesn't for reading.
func (s *Server) fails(w http.ResponseWriter, r *http.Request) bool {
	want := r.Header.Get("If-Match")
	if want == "" {
		return false
	}
	o, err := s.backend.HeadObject(Bucket, strings.TrimPrefix(r.URL.Path, "/"+Bucket+"/"))
	if err != nil || want == fmt.Sprintf("%q", fmt.Sprintf("%x", o.Hash)) {
		return false
	}
	fail(w, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	return true
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

// answer serves a request with a fault.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, fault Fault) {
	switch fault {
	case SlowDown:
		fail(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
		return
	case Internal:
		fail(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
		return
	case Denied:
		fail(w, http.StatusForbidden, "AccessDenied", "Access Denied")
		return
	case Garbage:
		_, _ = io.WriteString(w, "<html>a gateway's page</html>")
		return
	case Hang:
		<-r.Context().Done()
		return
	case Reset:
		hijack(w, nil)
		return
	case WholeFile:
		r.Header.Del("Range")
	case OtherRange:
		r.Header.Set("Range", "bytes=1-1")
	case None, NoCondition:
		s.handler.ServeHTTP(w, r)
		return
	}
	got := httptest.NewRecorder()
	s.handler.ServeHTTP(got, r)
	if got.Code >= 300 { // the file has no other part
		fail(w, http.StatusInternalServerError, "InternalError", "")
		return
	}
	body, length := got.Body.Bytes(), got.Body.Len()
	switch fault {
	case Cut:
		body = body[:len(body)*2/3]
	case ShortLength:
		body = body[:len(body)/2]
		length = len(body)
	case LongLength:
		length += 100
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", got.Code, http.StatusText(got.Code))
	got.Header().Set("Content-Length", strconv.Itoa(length))
	got.Header().Set("Connection", "close")
	_ = got.Header().Write(&head)
	head.WriteString("\r\n")
	if r.Method != http.MethodHead {
		head.Write(body)
	}
	hijack(w, head.Bytes())
}

// hijack writes raw bytes and ends the connection.
func hijack(w http.ResponseWriter, raw []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write(raw)
	_ = conn.Close()
}
