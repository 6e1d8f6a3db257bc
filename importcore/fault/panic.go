package fault

import (
	"fmt"
	"runtime/debug"
)

// Panic is the cause of an error that Contain made.
type Panic struct {
	Value any
	Stack []byte // of the goroutine that panicked, for the log
}

// Error returns the panic's value as text, without the stack.
func (p *Panic) Error() string { return fmt.Sprint(p.Value) }

// Contain wraps the body of a goroutine that works for a job: a panic in it
// ends the job with a Sluice fault, not the process with all its other
// connections and jobs.
func Contain(body func() error) func() error {
	return func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = Wrap(&Panic{Value: v, Stack: debug.Stack()}, Sluice, 0, "internal error of Sluice: panic")
			}
		}()
		return body()
	}
}
