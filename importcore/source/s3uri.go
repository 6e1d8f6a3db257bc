package source

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/br/pkg/storage"
)

// S3 is what holds for s3:// locations that don't say otherwise. Credentials are
// used only for locations without some of their own, and only at this Endpoint: a
// location that names another one gets none of them.
//
// A location that finds no credentials here either is left to what AWS's tools use: the
// environment, the shared credentials file, the role of the instance or container.
type S3 struct {
	// Endpoint is a URL (http or https); empty means AWS.
	Endpoint string
	// Region is asked from the store if empty.
	Region string
	// Provider is empty or aws, or names a service whose ways differ, such as alibaba, ceph or minio.
	Provider string
	// VirtualHost says that the bucket is a part of the host name, not of the path.
	VirtualHost bool
	// AccessKey, SecretAccessKey and SessionToken are credentials; RoleARN and
	// ExternalID are of a role that they, or those of the environment, assume.
	AccessKey, SecretAccessKey, SessionToken string
	RoleARN, ExternalID                      string
}

// s3Keys are the parameters of a location, as TiDB documents them: true for
// those that matter to who writes objects only.
var s3Keys = map[string]bool{
	"endpoint": false, "region": false, "provider": false, "force-path-style": false, "use-accelerate-endpoint": false,
	"access-key": false, "secret-access-key": false, "session-token": false, "role-arn": false, "external-id": false,
	"storage-class": true, "sse": true, "sse-kms-key-id": true, "acl": true, "object-lock-enabled": true,
}

// parseS3 reads the parameters of a location in S3.
func parseS3(u *url.URL, defaults S3) (*s3Bucket, error) {
	given, err := parametersOf(u, s3Keys)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"force-path-style", "use-accelerate-endpoint", "object-lock-enabled"} {
		if value, ok := given[key]; ok {
			if _, err := strconv.ParseBool(value); err != nil {
				return nil, invalidURI("parameter %s must be true or false", key)
			}
		}
	}
	options := defaults.options(given)
	storage.ExtractQueryParameters(u, &options)
	if err := checkEndpoint(options.Endpoint); err != nil {
		return nil, err
	}
	b := &s3Bucket{given: backuppb.S3{Bucket: u.Host}, http: newHTTPClient()}
	if err := options.Apply(&b.given); err != nil {
		return nil, invalidURI("%s", strings.ReplaceAll(firstLine(err.Error()), "_", "-"))
	}
	return b, nil
}

// shortName keeps a name that may be a misplaced credential from being shown whole.
func shortName(name string) string {
	if len(name) > 24 {
		return fmt.Sprintf("%.8s...", name)
	}
	return name
}

// options are what a location with the given parameters starts from.
func (d S3) options(given map[string]string) storage.S3BackendOptions {
	o := storage.S3BackendOptions{Endpoint: d.Endpoint, Region: d.Region, Provider: d.Provider, ForcePathStyle: !d.VirtualHost}
	has := func(key string) bool { _, ok := given[key]; return ok }
	if has("endpoint") && strings.TrimSuffix(given["endpoint"], "/") != strings.TrimSuffix(d.Endpoint, "/") {
		// Another place altogether.
		return storage.S3BackendOptions{ForcePathStyle: true}
	}
	if slices.ContainsFunc([]string{"access-key", "secret-access-key", "session-token", "role-arn", "external-id"}, has) {
		return o
	}
	o.AccessKey, o.SecretAccessKey, o.SessionToken = d.AccessKey, d.SecretAccessKey, d.SessionToken
	o.RoleARN, o.ExternalID = d.RoleARN, d.ExternalID
	return o
}

// Validate checks what a location can't make good.
func (d S3) Validate() error {
	if err := checkEndpoint(d.Endpoint); err != nil {
		return fmt.Errorf("endpoint must be a URL with http or https and a host, without a user")
	}
	switch {
	case (d.AccessKey == "") != (d.SecretAccessKey == ""):
		return fmt.Errorf("access-key and secret-access-key belong together")
	case d.SessionToken != "" && d.AccessKey == "":
		return fmt.Errorf("session-token belongs to an access-key")
	case d.ExternalID != "" && d.RoleARN == "":
		return fmt.Errorf("external-id belongs to a role-arn")
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return invalidURI("endpoint must be a URL with http or https and a host, without a user")
	}
	return nil
}

// checkPlainEndpoint is checkEndpoint for stores whose endpoints may be no place for a secret.
func checkPlainEndpoint(endpoint string) error {
	if strings.ContainsAny(endpoint, "?#") {
		return invalidURI("endpoint must be a URL without parameters")
	}
	return checkEndpoint(endpoint)
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}
