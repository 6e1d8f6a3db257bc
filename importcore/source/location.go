package source

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
)

// TiDB's error numbers for sources, see pkg/errno of TiDB.
const (
	codeInvalidURI = 8158
	codeCantRead   = 8160
	codePrecheck   = 8173
)

// Open returns the store that the location names, without touching files yet:
// an absolute path, file:// or local:// is local disk. A location that can't
// be used is a *fault.Error of the user with TiDB's code 8158. The file name
// may be a pattern of path/filepath.Match with * and [...]; ? stands for itself.
func Open(ctx context.Context, location string) (Store, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	scheme, path := splitScheme(location)
	switch scheme {
	case "", "local", "file":
		return openLocal(path)
	case "s3", "ks3", "oss", "gs", "gcs", "azure", "azblob", "hdfs":
		return nil, invalidURI("storage %s is not supported yet", scheme)
	default:
		return nil, invalidURI("storage %s not support yet", scheme)
	}
}

// splitScheme returns the lower-cased scheme, empty for a plain path, and the
// rest: the path for local locations.
func splitScheme(location string) (scheme, path string) {
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok || strings.ContainsAny(scheme, "/*[") {
		return "", location
	}
	return strings.ToLower(scheme), rest
}

func invalidURI(format string, args ...any) error {
	e := fault.New(fault.User, codeInvalidURI, format, args...)
	e.Message = "The URI of data source is invalid. Reason: " + e.Message + ". Please provide a valid URI, such as " + exampleURI
	return e
}

// exampleURI is part of TiDB's text for 8158.
const exampleURI = "'s3://import/test.csv?access-key={your_access_key_id ID}&secret-access-key={your_secret_access_key}&session-token={your_session_token}'"

// secretKeys are the query parameters that carry credentials, with - for _.
var secretKeys = map[string]bool{
	"access-key": true, "secret-access-key": true, "session-token": true,
	"account-key": true, "sas-token": true, "encryption-key": true,
	"sse-kms-key-id": true, "credentials-file": true, "external-id": true,
}

const redacted = "xxxxxx"

// Redact returns the location as logs, job rows and errors may show it: the
// credentials in its query and user part are replaced by xxxxxx. What can't be
// parsed as a URL loses its whole query.
func Redact(location string) string {
	scheme, _ := splitScheme(location)
	if scheme == "" || scheme == "local" || scheme == "file" {
		return location
	}
	head, query, hasQuery := strings.Cut(location, "?")
	head = redactUser(head)
	if !hasQuery {
		return head
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err != nil || secretKeys[strings.ReplaceAll(strings.ToLower(plain), "_", "-")] {
			parts[i] = name + "=" + redacted
		}
	}
	return head + "?" + strings.Join(parts, "&")
}

// redactUser replaces the password, or a user without one, before the host.
func redactUser(head string) string {
	scheme, rest, _ := strings.Cut(head, "://")
	host := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host = rest[:i]
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		return scheme + "://" + redacted + rest[at:]
	}
	return head
}

// dataSuffixes are the endings that TiDB accepts for files on the server's
// disk (a guard against reading system files), compressed ones apart.
var dataSuffixes = map[string]bool{".csv": true, ".sql": true, ".parquet": true}

var compressedSuffixes = map[string]bool{".gz": true, ".gzip": true, ".zstd": true, ".zst": true, ".snappy": true}

func checkSuffix(path string) error {
	suffix := strings.ToLower(filepath.Ext(path))
	switch {
	case dataSuffixes[suffix]:
		return nil
	case compressedSuffixes[suffix]:
		return invalidURI("compressed files (%s) are not supported yet", suffix)
	default:
		return invalidURI("the file suffix is not supported when import from server disk")
	}
}
