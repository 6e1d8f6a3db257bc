package imports_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sluicedb/sluice/tests/sqlrelay"
)

// gate stands between one Sluice and TiDB, so that an answer can be kept from
// that Sluice alone. What the Sluice asks always gets through.
type gate struct {
	addr    string
	closing chan struct{}

	mu struct {
		sync.Mutex
		rules []*keptAnswer
	}
}

// keptAnswer is the answer to a statement that begins with a text, the first
// after skip others.
type keptAnswer struct {
	text string
	skip int
	// kept is closed when TiDB has answered; the Sluice gets the answer after give.
	kept, given chan struct{}
	give        func()
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	g := &gate{closing: make(chan struct{})}
	g.addr = sqlrelay.Start(t, to, g.command).Addr().String()
	t.Cleanup(func() { close(g.closing) })
	return g
}

// keep keeps the answer to a statement.
func (g *gate) keep(text string, skip int) *keptAnswer {
	k := &keptAnswer{text: text, skip: skip, kept: make(chan struct{}), given: make(chan struct{})}
	k.give = sync.OnceFunc(func() { close(k.given) })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.rules = append(g.mu.rules, k)
	return k
}

// asked returns the rule for a statement, and uses it up.
func (g *gate) asked(text string) *keptAnswer {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, k := range g.mu.rules {
		if !strings.HasPrefix(text, k.text) {
			continue
		}
		if k.skip--; k.skip < 0 {
			g.mu.rules = append(g.mu.rules[:i:i], g.mu.rules[i+1:]...)
			return k
		}
	}
	return nil
}

// command is a sqlrelay.Hook.
func (g *gate) command(c sqlrelay.Command) (send bool, answered sqlrelay.Answered) {
	k := g.asked(c.Text)
	if k == nil {
		return true, nil
	}
	return true, func() bool {
		close(k.kept)
		select {
		case <-k.given:
			return true
		case <-g.closing:
			return false
		}
	}
}
