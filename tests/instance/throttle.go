package instance

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// throttleLook is how often a throttled process is looked at.
const throttleLook = 5 * time.Millisecond

// throttleSaves is for how long a throttled process may save up what it does not use.
const throttleSaves = 100 * time.Millisecond

// Throttle lets the process have a share of one processor, in the long run, however much it wants and the
// machine has: 0.1 is a tenth of a second of processor time each second. So what it does takes time, and goes on evenly.
// stop ends that; it may be called after the process has ended.
func (in *Instance) Throttle(share float64) (stop func()) {
	process, exited, quit := in.cmd.Process, in.exited, make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		defer func() { _ = process.Signal(syscall.SIGCONT) }() // it may have ended
		look := time.NewTicker(throttleLook)
		defer look.Stop()
		began, first := time.Now(), time.Duration(-1)
		stopped := false
		for {
			select {
			case <-quit:
				return
			case <-exited:
				return
			case <-look.C:
			}
			used, err := ProcessTime(process.Pid)
			if err != nil {
				continue
			}
			if first < 0 {
				first = used
			}
			allowed := time.Duration(share * float64(time.Since(began)))
			// What it has not used is not saved up.
			if over := used - first - allowed; over < -time.Duration(share*float64(throttleSaves)) {
				began, first = time.Now(), used
			}
			if ahead := used-first > allowed; ahead != stopped {
				signal := syscall.SIGCONT
				if ahead {
					signal = syscall.SIGSTOP
				}
				if process.Signal(signal) == nil {
					stopped = ahead
				}
			}
		}
	})
	var once sync.Once
	return func() {
		once.Do(func() { close(quit) })
		done.Wait()
	}
}

// ProcessTime is the processor time that all threads of a process have used. Its clock is what
// clock_getcpuclockid(3) makes of the process's id.
func ProcessTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|2), &t)
	return time.Duration(t.Nano()), err
}
