// Package fence keeps a process that has lost its job from sending what it was
// about to send.
//
// A process can be stopped between any two instructions, for as long as it
// takes others to give it up, to end its job and to use the table. So whether the
// job is still this process's has to be asked when a request is about to leave
// it, behind everything that may wait: connections, pools, earlier answers. The
// question travels with the context, and those who send ask it: sqlconn before
// each statement, ingest when a message is encoded for its stream, and the
// keeper of leases before it renews or undoes one.
//
// What remains is the moment between the answer and the system call, in which
// nothing waits. For pairs it is harmless while the garbage collection leaves
// what came later: they have the timestamp that their next owner gives them
// too, so that they lie under everything that was written since.
package fence

import "context"

type key struct{}

// With returns a context under which requests are sent only after check has
// returned nil. It may wait until that is certain, and ends with its context.
func With(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// Without returns a context without a check, for requests that are right whoever has the job by now.
func Without(ctx context.Context) context.Context { return With(ctx, nil) }

// Check asks the check of the context, if it has one.
func Check(ctx context.Context) error {
	check, _ := ctx.Value(key{}).(func(context.Context) error)
	if check == nil {
		return nil
	}
	return check(ctx)
}
