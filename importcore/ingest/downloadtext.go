package ingest

import (
	"regexp"
	"slices"
	"strings"
)

// What kept a store from downloading a file is only in the text of its answer, where it is the text of the client of the object store, of the file
// system or of RocksDB. Releases of TiKV differ in it: the marks cover those since 6.5, and what is none of them is tried again.

// damagedMarks are pieces of what TiKV answers, in lower case, when a file can't be used however often it is tried.
var damagedMarks = []string{
	"corruption", "bad table magic", "checksum mismatch", "block checksum", "wrong prefix", "wrongkeyprefix", "key prefix", "downloaded size", "expected size",
	"no such file", "nosuchkey", "notfound", "object doesn't exist",
}

// deniedMarks are those of a store that may not read a file.
var deniedMarks = []string{"permission denied", "accessdenied", "expiredtoken"}

var (
	// missingText is how S3's client in TiKV tells of a key that isn't there, and how HTTP does.
	missingText = regexp.MustCompile(`no key .+ at bucket|: 404 not found\b|(status|code|error)[a-z_ ]*\W{1,4}404\b`)
	deniedText  = regexp.MustCompile(`: 40[13] (unauthorized|forbidden)\b|(status|code|error)[a-z_ ]*\W{1,4}40[13]\b`)
)

// classifyDownloadText is for the error that a download's answer carries as text.
func classifyDownloadText(store uint64, text string) *failure {
	f := classifyWriteText(store, text)
	if f.kind != KindOther {
		return f
	}
	lower := strings.ToLower(text)
	has := func(mark string) bool { return strings.Contains(lower, mark) }
	switch {
	case has("ratelimitexceeded"): // Google says 403 to too many requests
	case slices.ContainsFunc(damagedMarks, has), missingText.MatchString(lower):
		f.kind = KindDamaged
	case slices.ContainsFunc(deniedMarks, has), deniedText.MatchString(lower):
		f.kind = KindDenied
	}
	return f
}
