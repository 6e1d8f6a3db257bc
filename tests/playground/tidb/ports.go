package tidb

import (
	"context"
	"fmt"
	"net"
)

// reservePort returns a TCP port on 127.0.0.1 that nobody listens on and that
// the kernel gives to nobody who asks for "any port" for about a minute.
//
// TiDB writes its ports to etcd long before it listens on them, so port 0 is
// no choice. A port that was merely listened on and closed could be given
// away in between. One that is left in TIME_WAIT is not: the kernel skips it
// for port 0, yet lets a listener with SO_REUSEADDR (Go's default) take it by
// number.
func reservePort(ctx context.Context) (port int, err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	defer listener.Close()
	var dialer net.Dialer
	client, err := dialer.DialContext(ctx, "tcp4", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	// The side that closes first keeps the TIME_WAIT state: it has to be the
	// one whose local port is the reserved one.
	if err := server.Close(); err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		return 0, fmt.Errorf("reserve a port: unexpected data on a fresh connection")
	}
	return listener.Addr().(*net.TCPAddr).Port, nil
}
