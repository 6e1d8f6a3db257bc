package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
)

// gcsKeys are the parameters of a location in Google Cloud Storage, as TiDB documents them: true for those that matter to
// who writes objects only.
var gcsKeys = map[string]bool{"endpoint": false, "credentials-file": false, "storage-class": true, "predefined-acl": true}

const (
	// gcsPage is how many objects a list's request asks for.
	gcsPage = 1000
	// tokenTimeout bounds the request of a token, which belongs to no request for a file.
	tokenTimeout = 30 * time.Second
)

// gcsBucket is a bucket of Google Cloud Storage. A file's version is its object's generation. The requests are those of Google's generated
// client: the one above it goes on with a broken answer by a request of its own, and doesn't look whether that gives the part that it
// has asked for.
//
// Credentials are those of the location's credentials-file, or what Google's tools find: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own
// or the machine's. The latter never go to an endpoint that a location names, because each request has a token that is good
// elsewhere: such a location without a credentials-file is read without authentication.
type gcsBucket struct {
	bucket, endpoint, credentialsFile string
	http                              *http.Transport

	mu struct {
		sync.Mutex
		objects *storage.ObjectsService // nil until connect has succeeded
		blob    string                  // the credentials in JSON, "" if they are no file's
	}
}

// parseGCS reads the parameters of a location in Google Cloud Storage.
func parseGCS(u *url.URL) (*gcsBucket, error) {
	given, err := parametersOf(u, gcsKeys)
	if err != nil {
		return nil, err
	}
	if err := checkPlainEndpoint(given["endpoint"]); err != nil {
		return nil, err
	}
	return &gcsBucket{bucket: u.Host, endpoint: given["endpoint"], credentialsFile: given["credentials-file"], http: newTransport()}, nil
}

// connect finds credentials, once.
func (b *gcsBucket) connect(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.objects != nil {
		return nil
	}
	creds, err := b.credentials(ctx)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: asStored{b.http}}
	if creds != nil {
		client.Transport = &oauth2.Transport{Source: creds.TokenSource, Base: asStored{b.http}}
		b.mu.blob = string(creds.JSON)
	}
	opts := []option.ClientOption{option.WithHTTPClient(client)}
	if b.endpoint != "" {
		opts = append(opts, option.WithEndpoint(b.endpoint))
	}
	api, err := storage.NewService(ctx, opts...)
	if err != nil {
		return err
	}
	b.mu.objects = api.Objects
	return nil
}

// asStored asks for objects as they are stored: those with Content-Encoding gzip would come unpacked otherwise, and whole.
type asStored struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (a asStored) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("alt") == "media" {
		r = r.Clone(r.Context())
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return a.next.RoundTrip(r)
}

// credentials returns nil for a bucket that is read without authentication.
func (b *gcsBucket) credentials(ctx context.Context) (*google.Credentials, error) {
	lasting := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Transport: b.http, Timeout: tokenTimeout})
	switch {
	case b.credentialsFile != "":
		text, err := os.ReadFile(b.credentialsFile)
		if err != nil {
			return nil, cantAccess(fmt.Sprintf("credentials-file: %v", err))
		}
		creds, err := google.CredentialsFromJSON(lasting, text, storage.DevstorageReadOnlyScope)
		if err != nil { // its text may quote the file
			return nil, cantAccess(b.credentialsFile + " is no file with credentials of Google Cloud")
		}
		return creds, nil
	case b.endpoint != "":
		return nil, nil
	}
	creds, err := google.FindDefaultCredentials(lasting, storage.DevstorageReadOnlyScope)
	if err != nil {
		return nil, cantAccess("there are no credentials: neither the location names a credentials-file nor does Sluice's environment have any")
	}
	return creds, nil
}

func (b *gcsBucket) objects() *storage.ObjectsService {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.objects
}

// backend implements bucket.
func (b *gcsBucket) backend(prefix string) *backuppb.StorageBackend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_Gcs{Gcs: &backuppb.GCS{
		Endpoint: b.endpoint, Bucket: b.bucket, Prefix: prefix, CredentialsBlob: b.mu.blob,
	}}}
}

func (b *gcsBucket) close() { b.http.CloseIdleConnections() }

// errNoGCSBucket is in the error of a list without its bucket.
var errNoGCSBucket = errors.New("there is no such bucket")

// list implements bucket.
func (b *gcsBucket) list(ctx context.Context, prefix, delimiter, from string) (files []File, next string, err error) {
	page, err := b.objects().List(b.bucket).Prefix(prefix).Delimiter(delimiter).PageToken(from).MaxResults(gcsPage).
		Fields("nextPageToken", "items(name,size,generation,updated)").Context(ctx).Do()
	if codeOf(err) == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", errNoGCSBucket, err)
	}
	if err != nil {
		return nil, "", err
	}
	for _, o := range page.Items {
		f, err := gcsFile(o)
		if err != nil {
			return nil, "", err
		}
		files = append(files, f)
	}
	return files, page.NextPageToken, nil
}

// codeOf is the HTTP status of an answer that is an error, 0 for other errors.
func codeOf(err error) int {
	var answered *googleapi.Error
	if errors.As(err, &answered) {
		return answered.Code
	}
	return 0
}

func gcsFile(o *storage.Object) (File, error) {
	changed, err := time.Parse(time.RFC3339, o.Updated)
	if err != nil {
		return File{}, errors.New("the store doesn't say when a file was changed")
	}
	return File{Key: o.Name, Size: int64(o.Size), ModTime: changed, ETag: strconv.FormatInt(o.Generation, 10)}, nil
}

// stat implements bucket.
func (b *gcsBucket) stat(ctx context.Context, key string) (File, error) {
	o, err := b.objects().Get(b.bucket, key).Fields("name", "size", "generation", "updated").Context(ctx).Do()
	if err != nil {
		return File{}, err
	}
	return gcsFile(o)
}

// get implements bucket. Objects that the store keeps compressed arrive as they are kept.
func (b *gcsBucket) get(ctx context.Context, file *File, from, to int64) (io.ReadCloser, error) {
	call := b.objects().Get(b.bucket, file.Key).Context(ctx)
	call.Header().Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	if generation, err := strconv.ParseInt(file.ETag, 10, 64); err == nil {
		call = call.IfGenerationMatch(generation)
	}
	out, err := call.Download()
	if err != nil {
		return nil, err
	}
	got := answer{length: out.ContentLength, contentRange: out.Header.Get("Content-Range"), version: File{ETag: out.Header.Get("X-Goog-Generation")}}
	if err := got.check(file, from, to); err != nil {
		return nil, errors.Join(err, out.Body.Close())
	}
	return out.Body, nil
}

// verdict implements bucket.
func (b *gcsBucket) verdict(err error) verdict {
	var answered *googleapi.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.Is(err, errNoGCSBucket):
		return noBucket
	case errors.As(err, &answered):
		for _, e := range answered.Errors {
			if strings.HasSuffix(e.Reason, "ateLimitExceeded") { // 403 for too many requests
				return passing
			}
		}
		return statusVerdict(answered.Code, "")
	case errors.As(err, &token):
		if v := statusVerdict(token.Response.StatusCode, ""); v == passing {
			return passing
		}
		return denied
	case wrongCertificate(err):
		return refused
	}
	return passing
}

// reason implements bucket.
func (b *gcsBucket) reason(err error) string {
	var answered *googleapi.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &answered):
		text := firstLine(answered.Message)
		if text == "" {
			text = http.StatusText(answered.Code)
		}
		return fmt.Sprintf("%s (HTTP %d)", text, answered.Code)
	case errors.As(err, &token):
		return fmt.Sprintf("no token is given for the credentials (HTTP %d)", token.Response.StatusCode)
	}
	return innermost(err)
}
