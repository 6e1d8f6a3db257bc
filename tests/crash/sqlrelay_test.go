package crash_test

import (
	"regexp"
	"sync"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// sqlRelay stands between one Sluice and TiDB and counts the commands that go through it.
type sqlRelay struct {
	addr string

	mu struct {
		sync.Mutex
		count, at int            // commands since arm; the one to crash at, 0 for never
		only      *regexp.Regexp // if set only commands whose texts match count
		answered  bool           // TiDB gets that one, and only its answer is lost
		crash     func()
		hit       chan struct{} // closed right before
	}
}

func newSQLRelay(t *testing.T, tidb string) *sqlRelay {
	t.Helper()
	r := &sqlRelay{}
	r.addr = sqlrelay.Start(t, tidb, r.command).Addr().String()
	return r
}

// command is a sqlrelay.Hook.
func (r *sqlRelay) command(c sqlrelay.Command) (send bool, answered sqlrelay.Answered) {
	if c.Op == mysql.COM_QUIT || c.Op == mysql.COM_PING {
		return true, nil // they do nothing
	}
	r.mu.Lock()
	if r.mu.only != nil && (c.Op == mysql.COM_STMT_PREPARE || !r.mu.only.MatchString(c.Text)) {
		r.mu.Unlock()
		return true, nil
	}
	r.mu.count++
	here, last := r.mu.at != 0 && r.mu.count == r.mu.at, r.mu.answered
	r.mu.Unlock()
	switch {
	case !here:
		return true, nil
	case last:
		return true, func() bool {
			r.fire()
			return false
		}
	}
	r.fire()
	return false, nil
}

func (r *sqlRelay) fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.at == 0 {
		return // the moment is over: Sluice was killed at its job's end
	}
	r.mu.at = 0
	close(r.mu.hit)
	r.mu.crash()
}

// arm makes Sluice crash at the n-th command from now on, before TiDB has it if n is even, and otherwise when TiDB has
// answered it; 0 is never. The channel is closed then.
func (r *sqlRelay) arm(n int, crash func()) <-chan struct{} { return r.armAt(n, n%2 == 1, crash) }

// armAt is arm for a command that reaches TiDB and is answered, or doesn't.
func (r *sqlRelay) armAt(n int, answered bool, crash func()) <-chan struct{} {
	return r.armOnly(nil, n, answered, crash)
}

// armOnly is armAt for the n-th command whose text matches.
func (r *sqlRelay) armOnly(only *regexp.Regexp, n int, answered bool, crash func()) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.only = only
	r.mu.answered = answered
	r.mu.count, r.mu.at, r.mu.crash, r.mu.hit = 0, n, crash, make(chan struct{})
	return r.mu.hit
}

// counted returns how many commands there were since arm.
func (r *sqlRelay) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.count
}
