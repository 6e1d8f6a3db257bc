package sqlext

import "strings"

// extension names the statement of Sluice's own grammar that sql is, "" if it
// is none. TiDB's parser knows none of them, so only its refusals come here.
func extension(sql string) string {
	words := firstWords(sql, 5)
	at := func(i int, word string) bool { return i < len(words) && strings.EqualFold(words[i], word) }
	switch {
	case at(0, "PAUSE"), at(0, "RESUME"), at(0, "RETRY"), at(0, "ALTER"):
		if at(1, "IMPORT") && at(2, "JOB") {
			return strings.ToUpper(words[0]) + " IMPORT JOB"
		}
	case at(0, "SHOW") && at(1, "RAW") && at(2, "IMPORT"):
		return "SHOW RAW IMPORT JOBS"
	case at(0, "SHOW") && at(1, "IMPORT"):
		switch {
		case at(2, "GROUPS"), at(2, "GROUP"):
			return "SHOW IMPORT GROUPS"
		case at(2, "CLUSTER") && at(3, "STATE"):
			return "SHOW IMPORT CLUSTER STATE"
		case at(2, "JOB") && at(4, "ERRORS"):
			return "SHOW IMPORT JOB ERRORS"
		}
	}
	return ""
}

// firstWords returns up to n words of the front of sql; it stops at the first
// byte that belongs to none.
func firstWords(sql string, n int) []string {
	var words []string
	rest, certain := skipBlank([]byte(sql))
	for certain && len(words) < n {
		var word []byte
		word, rest = cutWord(rest)
		if len(word) == 0 {
			break
		}
		words = append(words, string(word))
		rest, certain = skipBlank(rest)
	}
	return words
}
