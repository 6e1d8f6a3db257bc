package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/client"
	"github.com/aws/aws-sdk-go/aws/request"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/s3/s3iface"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/br/pkg/storage"

	"github.com/sluicedb/sluice/importcore/fault"
)

// s3Bucket is a bucket of S3, or of a store that speaks its protocol. The client
// comes from br/pkg/storage, which finds credentials and region as TiDB does.
type s3Bucket struct {
	given backuppb.S3 // by location and configuration
	http  *http.Client

	mu struct {
		sync.Mutex
		api   s3iface.S3API // nil until connect has succeeded
		found backuppb.S3   // given with the credentials that connect has found
	}
}

// newHTTPClient keeps as many connections as requests go at once. A compressed
// object must arrive as it is stored, or offsets would mean nothing. It is each
// store's own, because AWS's library changes the one that it is given.
func newHTTPClient() *http.Client { return &http.Client{Transport: newTransport()} }

func newTransport() *http.Transport {
	transport, _ := storage.CloneDefaultHttpTransport()
	transport.DialContext = dial
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 4*aheadParts, 2*aheadParts
	transport.DisableCompression = true
	return transport
}

// dial soon gives up where a machine in a cloud would be asked for its credentials: elsewhere nobody answers there.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if host, _, err := net.SplitHostPort(addr); err == nil && (net.ParseIP(host).IsLinkLocalUnicast() || host == "fd00:ec2::254") {
		d.Timeout = time.Second
	}
	return d.DialContext(ctx, network, addr)
}

// retryExpired leaves it to this package to try again, but for credentials that
// have expired, which the client renews.
type retryExpired struct{ client.DefaultRetryer }

// ShouldRetry implements request.Retryer.
func (retryExpired) ShouldRetry(r *request.Request) bool { return r.IsErrorExpired() }

// connect finds credentials and the bucket's region, once.
func (b *s3Bucket) connect(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.api != nil {
		return nil
	}
	found := b.given
	store, err := storage.New(ctx, &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_S3{S3: &found}}, &storage.ExternalStorageOptions{
		SendCredentials: true, // to the stores, see backend
		HTTPClient:      b.http, S3Retryer: retryExpired{client.DefaultRetryer{NumMaxRetries: 1}},
	})
	if err != nil {
		return err
	}
	opened, ok := store.(*storage.S3Storage)
	if !ok {
		return fault.New(fault.Sluice, 0, "a location of S3 has led to a %T", store)
	}
	b.mu.api, b.mu.found = opened.GetS3APIHandle(), found
	return nil
}

// backend implements bucket.
func (b *s3Bucket) backend(prefix string) *backuppb.StorageBackend {
	b.mu.Lock()
	defer b.mu.Unlock()
	s3 := b.mu.found
	if b.mu.api == nil {
		s3 = b.given
	}
	s3.Prefix = prefix
	return &backuppb.StorageBackend{Backend: &backuppb.StorageBackend_S3{S3: &s3}}
}

// api is nil before connect has succeeded.
func (b *s3Bucket) api() s3iface.S3API {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.api
}

func (b *s3Bucket) close() { b.http.CloseIdleConnections() }

// list implements bucket with the first version of the protocol's request,
// because not all stores know the second one.
func (b *s3Bucket) list(ctx context.Context, prefix, delimiter, after string) (files []File, next string, err error) {
	in := &s3.ListObjectsInput{Bucket: aws.String(b.given.Bucket), Prefix: aws.String(prefix)}
	if delimiter != "" {
		in.Delimiter = aws.String(delimiter)
	}
	if after != "" {
		in.Marker = aws.String(after)
	}
	out, err := b.api().ListObjectsWithContext(ctx, in)
	if err != nil {
		return nil, "", err
	}
	last := ""
	for _, o := range out.Contents {
		f := File{Key: aws.StringValue(o.Key), Size: aws.Int64Value(o.Size), ModTime: aws.TimeValue(o.LastModified), ETag: plainTag(o.ETag)}
		files, last = append(files, f), f.Key
	}
	if out.NextMarker != nil { // with a delimiter, or from stores that always give it
		last = *out.NextMarker
	}
	if !aws.BoolValue(out.IsTruncated) {
		return files, "", nil
	}
	if last <= after {
		return nil, "", errCircle
	}
	return files, last, nil
}

func (b *s3Bucket) stat(ctx context.Context, key string) (File, error) {
	out, err := b.api().HeadObjectWithContext(ctx, &s3.HeadObjectInput{Bucket: aws.String(b.given.Bucket), Key: aws.String(key)})
	if err != nil {
		return File{}, err
	}
	if out.ContentLength == nil {
		return File{}, errors.New("the store doesn't say how long the file is")
	}
	return File{Key: key, Size: *out.ContentLength, ModTime: aws.TimeValue(out.LastModified), ETag: plainTag(out.ETag)}, nil
}

func (b *s3Bucket) get(ctx context.Context, file *File, from, to int64) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{
		Bucket: aws.String(b.given.Bucket), Key: aws.String(file.Key), Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)),
	}
	if file.ETag != "" {
		in.IfMatch = aws.String(`"` + file.ETag + `"`)
	}
	out, err := b.api().GetObjectWithContext(ctx, in)
	if err != nil {
		return nil, err
	}
	got := answer{length: aws.Int64Value(out.ContentLength), contentRange: aws.StringValue(out.ContentRange),
		version: File{ETag: plainTag(out.ETag), ModTime: aws.TimeValue(out.LastModified)}}
	if err := got.check(file, from, to); err != nil {
		return nil, errors.Join(err, out.Body.Close())
	}
	return out.Body, nil
}

func plainTag(tag *string) string {
	return strings.Trim(strings.TrimPrefix(aws.StringValue(tag), "W/"), `"`)
}

// verdict implements bucket.
func (b *s3Bucket) verdict(err error) verdict {
	var failed awserr.RequestFailure
	if errors.As(err, &failed) {
		return statusVerdict(failed.StatusCode(), failed.Code())
	}
	var coded awserr.Error
	if errors.As(err, &coded) {
		switch coded.Code() {
		case "NoCredentialProviders":
			if b.api() == nil {
				return denied
			}
			return passing // there were some when it began
		case "MissingRegion", "MissingEndpoint", request.InvalidParameterErrCode, request.ParamRequiredErrCode, "SharedConfigErr", "SharedConfigLoadError":
			return refused
		}
	}
	if wrongCertificate(err) {
		return refused
	}
	if strings.Contains(err.Error(), "s3 bucket and region are not matched") {
		return refused
	}
	return passing
}

// statusVerdict says what an answer of an S3 store means.
func statusVerdict(status int, code string) verdict {
	switch {
	case code == "RequestTimeout" || code == "SlowDown" || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return passing
	case code == s3.ErrCodeNoSuchBucket:
		return noBucket
	case status == http.StatusNotFound:
		return missing
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return denied
	case status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable:
		return changed
	case status == http.StatusNotImplemented || status >= 300 && status < 500:
		return refused
	default: // 500 and more, or an answer that is none of the protocol
		return passing
	}
}

// reason implements bucket: the answer's code and text, or the innermost cause
// where there was no answer. The client's own text spans several lines and quotes requests.
func (b *s3Bucket) reason(err error) string {
	var failed awserr.RequestFailure
	if errors.As(err, &failed) {
		text := failed.Code()
		if m := failed.Message(); m != "" && m != http.StatusText(failed.StatusCode()) {
			text += ": " + strings.TrimSuffix(m, ".")
		}
		return b.scrub(fmt.Sprintf("%s (HTTP %d)", text, failed.StatusCode()))
	}
	if coded := awserr.Error(nil); errors.As(err, &coded) && coded.Code() == "NoCredentialProviders" {
		return "there are no credentials: neither the location nor Sluice's configuration or environment has any"
	}
	return b.scrub(innermost(err))
}

// scrub makes sure that no text holds a secret, wherever it comes from.
func (b *s3Bucket) scrub(text string) string {
	for _, secret := range []string{b.given.SecretAccessKey, b.given.SessionToken} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxxx")
		}
	}
	return text
}
