// Package proxy is the data path: a listener, and for each client connection a
// session with one backend connection of its own. Everything is forwarded
// unchanged; only a statement that the Interceptor recognises is answered here.
//
// # A session
//
// Two goroutines pump, as in any TCP proxy:
//
//	client --clientPump--> backend     looks at each packet's header and command byte
//	client <--backendPump-- backend    forwards chunks; a wire.Follower watches them pass
//
// The backend authenticates the client: the handshake is relayed with the
// capabilities removed that the proxy can't carry (wire.Unsupported), so no
// password is known here.
//
// The pumps meet in one place, the turn: a command starts only when the response
// to the one before has been written to the client in full. The clientPump does
// not wait for a response before it reads on, so it notices a client that goes
// away in the middle of a command, and the backendPump one that is idle, in the
// middle of a statement of ours or not. That is why there are two.
//
// # A statement of ours
//
// It is one more kind of command whose response comes from a third goroutine (run
// in statement.go) rather than from the backend. While it runs, the backendPump
// forwards nothing: what the backend sends answers queries that the statement puts
// on the user's own connection. The statement's context ends when the client goes
// away, when the backend closes the connection (KILL), or at shutdown.
//
// # Locks
//
// session.mu guards the turn and is never held over I/O. There is no other lock
// in the package that is taken with it, except Server.mu before session.mu.
package proxy
