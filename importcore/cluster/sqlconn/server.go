package sqlconn

import (
	"fmt"
	"strings"
)

// Server is what a server is.
type Server struct {
	// Version is what VERSION() says. TiDB's setting server-version can make that anything.
	Version string
	// TiDB tells whether it is one; Release is its release then, such as "v8.5.4".
	TiDB    bool
	Release string
}

// Identify asks a session's server what it is. TiDB is told by a variable that only it has, rather than by what it is called.
func Identify(s *Session) (Server, error) {
	ask := func(sql string) (string, error) {
		res, err := s.Exec(sql)
		if err != nil {
			return "", fmt.Errorf("ask the server what it is: %w", err)
		}
		if res.RowNumber() == 0 {
			return "", nil
		}
		text, err := res.GetString(0, 0)
		return strings.Clone(text), err
	}
	version, err := ask("SELECT VERSION()")
	if err != nil {
		return Server{}, err
	}
	own, err := ask("SHOW SESSION VARIABLES WHERE Variable_name = 'tidb_current_ts'")
	if err != nil || own == "" {
		return Server{Version: version}, err
	}
	about, err := ask("SELECT TIDB_VERSION()")
	return Server{Version: version, TiDB: true, Release: release(about)}, err
}

// release is the one that TIDB_VERSION() tells in its first line, "" if it doesn't.
func release(about string) string {
	first, _, _ := strings.Cut(about, "\n")
	_, text, _ := strings.Cut(first, "Release Version:")
	return strings.TrimSpace(text)
}
