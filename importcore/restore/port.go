package restore

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// ported is what became of a definition for a server that isn't TiDB.
type ported struct {
	refused, left []string
}

// foreign tells whether the target is a server that isn't TiDB, for which definitions are turned into others.
func (p *Plan) foreign() bool { return p.sql != nil && p.sql.target.Kind() != logical.TiDB }

// port turns the definition of a table, which f has given, into one for a server that isn't TiDB.
func (p *Plan) port(f *schema.File, t *table) error {
	if !p.foreign() {
		return nil
	}
	out, err := f.ForServer(t.made.SQL, p.sql.server)
	if err != nil {
		return err
	}
	t.made.SQL = out.SQL
	t.ported = ported{refused: out.Refused, left: out.Left}
	return nil
}

// refusePorted finds all that the server can't have, before anything is made.
func (p *Plan) refusePorted() {
	if !p.foreign() {
		return
	}
	for _, d := range p.databases {
		for _, what := range d.left {
			if !d.exists {
				p.warn("database %s does without %s", Name{DB: d.name}, what)
			}
		}
	}
	var refused []string
	for _, t := range p.tables {
		if t.exists {
			continue // it keeps its definition
		}
		for _, what := range t.ported.refused {
			refused = append(refused, fmt.Sprintf("table %s: %s", t.to, what))
		}
		for _, what := range t.ported.left {
			p.caution(precheck.Schema, "table %s does without %s", t.to, what)
		}
	}
	if !p.sql.server.MariaDB {
		for _, s := range p.sequences {
			refused = append(refused, fmt.Sprintf("sequence %s: it has no sequences", s.to))
		}
	}
	if len(refused) > 0 {
		p.finding(precheck.Schema, "%s, which has been left as it is, can't have all of it: %s", p.sql.server.Name, enumerate(refused))
	}
}

// lookAtTablesBySQL checks tables that exist: they take the rows, and may hold some.
func (p *Plan) lookAtTablesBySQL(ctx context.Context, existing []*table) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	found, wrong := make([]*logical.Table, len(existing)), make([]error, len(existing))
	for i, t := range existing {
		group.Go(fault.Contain(func() error {
			var err error
			found[i], err = p.sql.target.Table(groupCtx, t.to.DB, t.to.Table)
			if f := fault.As(err); f != nil && f.Whose == fault.User {
				wrong[i] = err
				return nil
			}
			return err
		}))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, t := range existing {
		if wrong[i] != nil {
			p.finding(precheck.Schema, "%v", wrong[i])
			continue
		}
		for _, c := range found[i].Types() {
			t.columns = append(t.columns, c.Name)
		}
		if odd := computed(t.made, found[i]); len(odd) > 0 {
			p.finding(precheck.Schema, "table %s exists and doesn't fit the source's: its columns aren't generated, which are there: %s", t.to, enumerate(odd))
		}
		if missing := without(t.made, found[i]); len(missing) > 0 {
			p.finding(precheck.Schema, "table %s exists and doesn't fit the dump's: it has no column %s", t.to, enumerate(missing))
		}
		if lost := losses(t.made, found[i]); len(lost) > 0 {
			p.finding(precheck.Schema, "table %s exists and can't keep all values of the source's as they are: %s", t.to, enumerate(lost))
		}
		if triggers := found[i].Triggers; len(triggers) > 0 {
			p.caution(precheck.Schema, "the triggers of table %s run for each row: %s", t.to, enumerate(triggers))
		}
	}
	return nil
}

// computed are the columns that the source has no values for, because it computes them, and the target doesn't.
func computed(made *schema.Table, have *logical.Table) (odd []string) {
	if made == nil {
		return nil
	}
	plain := map[string]bool{}
	for _, name := range have.Columns() {
		plain[strings.ToLower(name)] = true
	}
	for _, c := range made.Columns {
		if plain[c.Name.Name.L] && schema.Generated(c) {
			odd = append(odd, c.Name.Name.O)
		}
	}
	return odd
}

// losses are the columns of the target that have no room for what those of the source may hold: servers would round some values without an error.
func losses(made *schema.Table, have *logical.Table) []string {
	if made == nil {
		return nil // rows only: nothing is known of the source's
	}
	var existing []schema.Existing
	for _, c := range have.Types() {
		existing = append(existing, schema.Existing(c))
	}
	return made.Losses(existing)
}

// without are the columns of a dump's table that one of the target lacks.
func without(made *schema.Table, have *logical.Table) (missing []string) {
	if made == nil {
		return nil
	}
	layout := have.Layout()
	names := map[string]bool{}
	for _, name := range layout.Columns {
		names[strings.ToLower(name)] = true
	}
	for _, c := range made.Columns {
		if !names[c.Name.Name.L] && !schema.Generated(c) {
			missing = append(missing, c.Name.Name.O)
		}
	}
	return missing
}
