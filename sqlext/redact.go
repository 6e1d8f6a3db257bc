package sqlext

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/types/parser_driver"
)

// redactedValue stands for a credential, as in TiDB.
const redactedValue = "xxxxxx"

// openKeys are the query keys of storage URLs whose values are no secret. All
// others are hidden: a list of secrets would miss the next one.
var openKeys = map[string]bool{
	"endpoint": true, "region": true, "storage-class": true, "sse": true, "acl": true, "provider": true,
	"force-path-style": true, "use-accelerate-endpoint": true, "object-lock-enabled": true, "role-arn": true,
	"predefined-acl": true, "account-name": true, "access-tier": true, "encryption-scope": true,
}

// RedactURL hides what may be a credential in a storage URL: the password (or
// a lone user part) before the host, and the values of all query keys that are
// not known to be harmless. A text without scheme is a local path and stays as
// it is. It never fails: what it can't take apart it hides.
func RedactURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok || !isScheme(scheme) {
		return raw
	}
	authority := strings.HasPrefix(rest, "//")
	rest = strings.TrimPrefix(rest, "//")
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = redactedValue + host[i:]
	}
	var sb strings.Builder
	sb.WriteString(scheme + ":")
	if authority {
		sb.WriteString("//")
	}
	sb.WriteString(host)
	if hasPath {
		sb.WriteString("/" + path)
	}
	if hasQuery {
		sb.WriteString("?" + redactQuery(query))
	}
	if hasFragment && fragment != "" {
		sb.WriteString("#" + redactedValue)
	}
	return sb.String()
}

// StripCredentials leaves out of a storage URL what RedactURL hides in it, and changes nothing else.
func StripCredentials(raw string) string {
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok || !isScheme(scheme) {
		return raw
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host, path, hasPath := strings.Cut(after, "/")
		rest = "//" + host[strings.LastIndexByte(host, '@')+1:]
		if hasPath {
			rest += "/" + path
		}
	}
	if !hasQuery {
		return scheme + ":" + rest
	}
	var open []string
	for part := range strings.SplitSeq(query, "&") {
		if redactQuery(part) == part {
			open = append(open, part)
		}
	}
	if len(open) > 0 {
		rest += "?" + strings.Join(open, "&")
	}
	return scheme + ":" + rest
}

// isScheme is RFC 3986's rule; what fits none is a path.
func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return s != ""
}

func redactQuery(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		key, value, ok := strings.Cut(part, "=")
		normal := strings.ToLower(strings.ReplaceAll(key, "_", "-"))
		if ok && value != "" && !openKeys[normal] {
			parts[i] = key + "=" + redactedValue
		}
	}
	return strings.Join(parts, "&")
}

// redactImport writes the statement back with its credentials hidden.
func redactImport(n *ast.ImportIntoStmt, mode mysql.SQLMode) string {
	hidden := *n
	hidden.Path = RedactURL(n.Path)
	if !mode.HasNoBackslashEscapesMode() {
		hidden.Path = strings.ReplaceAll(hidden.Path, `\`, `\\`)
	}
	hidden.Options = make([]*ast.LoadDataOpt, len(n.Options))
	for i, opt := range n.Options {
		hidden.Options[i] = opt
		if opt.Name != "cloud_storage_uri" {
			continue
		}
		text := redactedValue
		if v, ok := opt.Value.(*driver.ValueExpr); ok {
			if s, err := v.ToString(); err == nil {
				text = RedactURL(s)
			}
		}
		hidden.Options[i] = &ast.LoadDataOpt{
			Name: opt.Name, Value: ast.NewValueExpr(text, mysql.UTF8MB4Charset, mysql.UTF8MB4DefaultCollation),
		}
	}
	var sb strings.Builder
	if err := hidden.Restore(format.NewRestoreCtx(format.DefaultRestoreFlags, &sb)); err != nil {
		return "IMPORT INTO " + n.Table.Name.O
	}
	return sb.String()
}
