package sqlext

import (
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Location is where source files are: an absolute local path or a URL, with a
// wildcard (*, [...]) in the file name or without. Its file-name rules are
// those of TiDB.
type Location struct {
	// Raw is the location as written. It may hold credentials.
	Raw string
	// Scheme is the URL's scheme in lower case, "" for local paths.
	Scheme string
}

// localSuffixes are the file suffixes that may be read from local disk. TiDB
// keeps users away from files such as /etc/passwd that way.
var localSuffixes = []string{".csv", ".sql", ".parquet", ".gz", ".gzip", ".zstd", ".zst", ".snappy"}

// IsLocal tells whether the files are on local disk.
func (l Location) IsLocal() bool {
	return l.Scheme == "" || l.Scheme == "file" || l.Scheme == "local"
}

// ReadsDisk tells whether a file of this machine is read for the location: its own, or one with credentials.
func (l Location) ReadsDisk() bool {
	if l.IsLocal() {
		return true
	}
	_, query, _ := strings.Cut(l.Raw, "?")
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || strings.EqualFold(strings.ReplaceAll(plain, "_", "-"), "credentials-file") {
			return true
		}
	}
	return false
}

// Redacted is the location without credentials.
func (l Location) Redacted() string { return RedactURL(l.Raw) }

// String is Redacted, so that a stray %v leaks nothing.
func (l Location) String() string { return l.Redacted() }

// ParseLocation reads a location. It looks at no file.
func ParseLocation(raw string) (Location, error) {
	l, err := parseLocation(raw)
	if err != nil {
		return Location{}, err
	}
	return l, nil
}

func parseLocation(raw string) (Location, *Error) {
	u, err := parseURL(raw)
	if err != nil {
		return Location{}, invalidURI(err.Error())
	}
	return Location{Raw: raw, Scheme: u.Scheme}, nil
}

// parseURL keeps the text out of its error, which may end in a log.
func parseURL(raw string) (*url.URL, error) {
	// Secrets of AWS hold '+', which would otherwise read as a blank.
	u, err := url.Parse(strings.ReplaceAll(raw, "+", "%2B"))
	if err == nil {
		return u, nil
	}
	if inner := new(url.Error); errors.As(err, &inner) {
		if escape := url.EscapeError(""); errors.As(inner.Err, &escape) {
			return nil, errors.New("invalid URL escape")
		}
		if strings.ContainsAny(inner.Err.Error(), `"`) {
			// Port and host errors quote a part of the URL.
			return nil, errors.New("the URL can't be parsed")
		}
		return nil, inner.Err
	}
	return nil, errors.New("the URL can't be parsed")
}

// check applies the rules that need no look at the files.
func (l Location) check() *Error {
	u, err := parseURL(l.Raw)
	if err != nil {
		return invalidURI(err.Error())
	}
	name := strings.Trim(u.Path, "/")
	if l.IsLocal() {
		if !filepath.IsAbs(l.Raw) {
			return invalidURI("file location should be absolute path when import from server disk")
		}
		if !slices.Contains(localSuffixes, strings.ToLower(filepath.Ext(l.Raw))) {
			return invalidURI("the file suffix is not supported when import from server disk")
		}
		name = filepath.Base(l.Raw)
	}
	if _, err := filepath.Match(EscapeGlob(name), ""); err != nil {
		return invalidURI("Glob pattern error: " + err.Error())
	}
	return checkScheme(u)
}

func checkScheme(u *url.URL) *Error {
	switch u.Scheme {
	case "", "local", "file", "hdfs", "noop":
		return nil
	case "s3", "ks3", "gs", "gcs", "azure", "azblob":
		if u.Host == "" {
			return invalidURI("please specify the bucket in " + RedactURL(u.String()))
		}
		return nil
	}
	return invalidURI("storage " + u.Scheme + " not support yet")
}

// EscapeGlob makes the ? of a file name literal: only * and [...] are
// wildcards of IMPORT INTO, because ? starts the query string of a URL.
func EscapeGlob(name string) string { return strings.ReplaceAll(name, "?", `\?`) }

// validCloudStorage is TiDB's rule for CLOUD_STORAGE_URI: S3 or GCS with a
// bucket, or "" for local sort.
func validCloudStorage(uri string) bool {
	if uri == "" {
		return true
	}
	u, err := parseURL(uri)
	if err != nil || u.Host == "" {
		return false
	}
	switch u.Scheme {
	case "s3", "ks3", "gs", "gcs":
		return true
	}
	return false
}
