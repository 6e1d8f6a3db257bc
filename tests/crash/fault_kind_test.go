package crash_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/tests/playground"
)

// trouble is something that goes wrong around a Sluice that stays.
type trouble struct {
	name string
	// places says where it may begin: any moment, if there are none.
	places []string
	// second gives Sluice a second address of TiDB.
	second bool
	// begin makes it so, end puts it right; it lasts for as long as given, see faultCase.
	begin, end func(c *faultCase) error
	lasts      lasting
}

// lasting is how long a trouble lasts, in warnings that Sluice has logged since it began: it has noticed that many times.
type lasting int

const (
	forAMoment lasting = 0
	forSeconds lasting = 4
	// forAMinute is longer than leases, and than what Sluice takes for one try.
	forAMinute lasting = 75
)

// part is a trouble with a part of the cluster.
func part(name string, lasts lasting, state string, p playground.Part) trouble {
	set := func(c *faultCase, state string) error {
		d := playground.Door{Part: p, State: state}
		if strings.HasPrefix(name, "one store") {
			d.Store = c.pg.Stores[c.number%len(c.pg.Stores)].ID
		}
		return c.pg.SetDoor(context.WithoutCancel(c.T.Context()), d)
	}
	return trouble{name: name, lasts: lasts, second: strings.Contains(name, "of two"),
		begin: func(c *faultCase) error { return set(c, state) }, end: func(c *faultCase) error { return set(c, "open") }}
}

// troubles are all that there are.
func troubles() []trouble {
	nothing := func(*faultCase) error { return nil }
	return []trouble{
		part("one store away", forSeconds, "away", playground.PartStore),
		part("TiDB away", forSeconds, "away", playground.PartTiDB),
		part("PD away", forSeconds, "away", playground.PartPD),
		{name: "SQL sessions killed", begin: killSessions, end: nothing},
		part("one TiDB of two away", forSeconds, "away", playground.PartTiDB2),
		{name: "a SQL connection cut", begin: nothing, end: nothing, places: []string{inSQL}},
		part("connections to all stores cut", forAMoment, "away", playground.PartStore),
		part("connections to PD cut", forAMoment, "away", playground.PartPD),
		part("all stores away", forSeconds, "away", playground.PartStore),
		part("TiDB away for a minute", forAMinute, "away", playground.PartTiDB),
		part("PD hangs", forSeconds, "hanging", playground.PartPD),
		part("one store hangs", forSeconds, "hanging", playground.PartStore),
		part("TiDB hangs", forSeconds, "hanging", playground.PartTiDB),
		part("all stores hang", forSeconds, "hanging", playground.PartStore),
		part("connections to TiDB cut", forAMoment, "away", playground.PartTiDB),
		part("one TiDB of two hangs", forSeconds, "hanging", playground.PartTiDB2),
		part("PD away for a minute", forAMinute, "away", playground.PartPD),
		part("all stores away for a minute", forAMinute, "away", playground.PartStore),
	}
}

// killSessions ends the sessions of Sluice's account as an administrator would.
func killSessions(c *faultCase) error {
	ctx := context.WithoutCancel(c.T.Context())
	rows, err := c.db.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user = ?", c.node.Account())
	if err != nil {
		return err
	}
	defer rows.Close()
	var ids []uint64
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		if _, err := c.db.ExecContext(ctx, fmt.Sprintf("KILL %d", id)); err != nil {
			return err
		}
	}
	return rows.Err()
}
