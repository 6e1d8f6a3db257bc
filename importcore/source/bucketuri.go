package source

import (
	"net/url"
	"strings"

	"github.com/pingcap/tidb/br/pkg/storage"
)

// place is a location in an object store, taken apart.
type place struct {
	// base is scheme and bucket, with a / behind them; path is the key of a file, a pattern, or the prefix of a folder without a / behind it.
	base, path string
	bucket     bucket
}

// parsePlace reads a location with one of the schemes of object stores, that of a folder if it may be a whole bucket. It touches
// nothing. Its errors never hold a credential.
func parsePlace(scheme, location string, cfg Config, folder bool) (*place, error) {
	u, path, err := bucketURL(location, folder)
	if err != nil {
		return nil, err
	}
	p := &place{base: scheme + "://" + u.Host + "/", path: path}
	switch scheme {
	case "s3":
		p.bucket, err = parseS3(u, cfg.S3)
	case "gs", "gcs":
		p.bucket, err = parseGCS(u)
	default:
		p.bucket, err = parseAzure(u)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// bucketURL returns the URL and the path below its bucket.
func bucketURL(location string, folder bool) (u *url.URL, path string, err error) {
	u, err = storage.ParseRawURL(location)
	switch {
	case err != nil:
		return nil, "", invalidURI("the URL can't be parsed")
	case u.Host == "":
		return nil, "", invalidURI("please specify the bucket")
	case u.User != nil:
		return nil, "", invalidURI("there is something before the bucket's name: credentials are given as parameters")
	case strings.Contains(location, "#"):
		return nil, "", invalidURI("a # in a file's name is written %%23")
	}
	if path = strings.Trim(u.Path, "/"); path == "" && !folder {
		return nil, "", invalidURI("no file is named in bucket %s", u.Host)
	}
	return u, path, nil
}

// parametersOf returns the parameters that a location has, by their names with -.
// What TiDB would pass over, because it is not in known, misspelt or twice there, is an error.
func parametersOf(u *url.URL, known map[string]bool) (map[string]string, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalidURI("the URL's parameters can't be parsed")
	}
	given := map[string]string{}
	for name, values := range query {
		key := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		_, is := known[key]
		_, twice := given[key]
		switch {
		case !is:
			return nil, invalidURI("unknown parameter %s", shortName(name))
		case twice || len(values) > 1:
			return nil, invalidURI("parameter %s is given twice", key)
		}
		given[key] = values[0]
	}
	return given, nil
}
