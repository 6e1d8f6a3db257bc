package tidb

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/sluicedb/sluice/tests/playground/door"
)

// doors are the ports that clients know. TiDB tells the cluster its ports long before it listens on
// them, and listens by itself: it has others, which nobody knows.
type doors struct {
	sql    [2]*door.Door
	status *door.Door
	relays []*door.Relay
}

func openDoors(ctx context.Context) (d doors, err error) {
	for _, at := range []**door.Door{&d.sql[0], &d.sql[1], &d.status} {
		if *at, err = door.Listen(ctx); err != nil {
			return d, errors.Join(err, d.close())
		}
	}
	return d, nil
}

func port(d *door.Door) int { return d.Addr().(*net.TCPAddr).Port }

// serve connects the doors with the server.
func (d *doors) serve(sql, status int) {
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	d.relays = []*door.Relay{door.Serve(d.sql[0], at(sql)), door.Serve(d.sql[1], at(sql)), door.Serve(d.status, at(status))}
}

func (d *doors) set(second bool, to door.State) error {
	if second {
		return d.sql[1].Set(to)
	}
	return errors.Join(d.sql[0].Set(to), d.status.Set(to))
}

func (d *doors) close() error {
	var errs []error
	for _, r := range d.relays {
		errs = append(errs, r.Close())
	}
	for _, at := range append(d.sql[:], d.status) {
		if at != nil {
			errs = append(errs, at.Close())
		}
	}
	return errors.Join(errs...)
}
