package sqlconn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

// defaultSilence is how long a statement may take before its server is asked whether it is there.
const defaultSilence = 15 * time.Second

// silentTries is how often in a row a server that takes no connection is asked before it counts as one that hangs.
const silentTries = 2

// errSilent is the error of a statement whose server takes no connections any more.
var errSilent = errors.New("the server doesn't answer, and takes no connections")

// watch looks after a statement until stop is called, which reports whether its server was found to hang. A statement
// may take hours, and a server that hangs, or whose machine is gone, closes no connection: nobody
// would ever hear of that, and another server could do the work.
func (p *Pool) watch(s *Session) (stop func() (silent bool)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	done := make(chan struct{})
	var silent atomic.Bool
	timer := time.AfterFunc(p.silence, func() {
		defer close(done)
		for missed := 0; ; {
			if p.answers(ctx, s.addr) {
				missed = 0
			} else if missed++; missed == silentTries && ctx.Err() == nil {
				silent.Store(true)
				cut(s.conn)
				return
			}
			wait := time.NewTimer(p.silence)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return
			}
		}
	})
	return func() bool {
		cancel()
		if !timer.Stop() {
			<-done
		}
		return silent.Load()
	}
}

// answers tells whether a server takes a connection, or says why it doesn't.
func (p *Pool) answers(ctx context.Context, addr string) bool {
	conn, err := p.connect(ctx, addr, pingTimeout, func(*client.Conn) error { return nil })
	if err == nil {
		_ = conn.Close()
	}
	return err == nil || Code(err) != 0
}
