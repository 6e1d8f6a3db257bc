package restore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

// choose finds the objects that are restored, and where they go.
func (p *Plan) choose() error {
	c, err := newChooser(&p.task.Selection)
	if err != nil {
		return err
	}
	for _, s := range p.listing.Skipped {
		p.skipped = append(p.skipped, Skipped(s))
	}
	for _, f := range p.listing.Policies {
		p.skipped = append(p.skipped, Skipped{f.Path, "placement policies are not restored: those that tables and databases name must exist"})
	}
	if err := p.chooseTables(c); err != nil {
		return err
	}
	for _, kind := range []struct {
		from []dump.Object
		to   *[]*defined
	}{{p.listing.Sequences, &p.sequences}, {p.listing.Views, &p.views}} {
		for _, o := range kind.from {
			from := Name{o.DB, o.Name}
			if !c.object(from) || p.task.Options.SkipSchemaFiles {
				continue
			}
			to, err := p.move(c, from)
			if err != nil {
				return err
			}
			*kind.to = append(*kind.to, &defined{from: from, to: to, schema: o.Schema})
		}
	}
	p.collisions()
	if err := p.chooseDatabases(c); err != nil {
		return err
	}
	for _, problem := range p.listing.Problems {
		if o := (Name{problem.DB, problem.Object}); o.Table != "" && c.object(o) || o.Table == "" && c.database(o.DB) {
			p.finding(precheck.SourceFile, "%s can't be restored: %s", problem.Path, problem.Reason)
		}
	}
	if missing := c.missing(); len(missing) > 0 {
		p.finding(precheck.SourceFile, "%s holds no %s", locationOf(p.task.Location), enumerate(missing))
	} else if len(p.tables)+len(p.views)+len(p.sequences)+len(p.databases) == 0 {
		p.finding(precheck.SourceFile, "%s holds nothing of a dump that is to be restored", locationOf(p.task.Location))
	}
	return p.checkJobs(c)
}

// collisions finds objects that would go to one place. Only tables that routes merge may.
func (p *Plan) collisions() {
	at := map[Name]Name{}
	for _, t := range p.tables {
		at[lower(t.to)] = t.from[0]
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		if other, taken := at[lower(d.to)]; taken {
			p.finding(precheck.Schema, "%s and %s can't both become %s", other, d.from, d.to)
			continue
		}
		at[lower(d.to)] = d.from
	}
}

// move notes where an object goes. No two go to one place, but for tables that routes merge.
func (p *Plan) move(c *chooser, from Name) (Name, error) {
	to, err := c.target(from)
	if err == nil {
		p.moved[lower(from)] = to
	}
	return to, err
}

func (p *Plan) chooseTables(c *chooser) error {
	at := map[Name]*table{}
	for _, o := range p.listing.Tables {
		from := Name{o.DB, o.Name}
		if !c.object(from) {
			continue
		}
		to, err := p.move(c, from)
		if err != nil {
			return err
		}
		t := at[lower(to)]
		if t == nil {
			t = &table{to: to}
			at[lower(to)] = t
			p.tables = append(p.tables, t)
		}
		t.from, t.schemas = append(t.from, from), append(t.schemas, o.Schema)
		t.data, t.bytes = append(t.data, o.Data...), t.bytes+o.Bytes
	}
	return nil
}

// chooseDatabases finds the databases that have to be there: those that are restored, and those of objects.
func (p *Plan) chooseDatabases(c *chooser) error {
	at := map[string]*database{}
	need := func(name string) *database {
		l := strings.ToLower(name)
		if at[l] == nil {
			at[l] = &database{name: name}
			p.databases = append(p.databases, at[l])
		}
		return at[l]
	}
	for _, to := range p.moved {
		need(to.DB)
	}
	for _, d := range p.listing.Databases {
		if !c.database(d.Name) {
			continue
		}
		to, err := c.target(Name{DB: d.Name})
		if err != nil {
			return err
		}
		if !c.whole(d.Name) && at[strings.ToLower(to.DB)] == nil {
			continue // some of its objects are selected, and these go elsewhere
		}
		if n := need(to.DB); n.schema == nil {
			n.schema = d.Schema
		}
	}
	slices.SortFunc(p.databases, func(a, b *database) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// order brings the tables into the order in which their rows are imported: small ones first, but those of a compressed file in its order.
func (p *Plan) order() {
	slices.SortStableFunc(p.tables, func(a, b *table) int {
		if a.rank() != b.rank() {
			return cmp.Compare(a.rank(), b.rank())
		}
		if a.rank() != rankOthers {
			return cmp.Or(cmp.Compare(a.data[0].Path, b.data[0].Path), cmp.Compare(a.data[0].Section.Start, b.data[0].Section.Start))
		}
		return cmp.Or(cmp.Compare(a.bytes, b.bytes), cmp.Compare(a.to.DB, b.to.DB), cmp.Compare(a.to.Table, b.to.Table))
	})
}

// The order of tables: first those that are small parts of a compressed file, last those that are large ones.
const (
	rankSmallParts = iota
	rankOthers
	rankLargeParts
)

func (t *table) rank() int {
	switch {
	case !t.part():
		return rankOthers
	case t.bytes <= smallTable:
		return rankSmallParts
	}
	return rankLargeParts
}

// part tells whether the table's rows are in a part of a compressed file.
func (t *table) part() bool {
	return len(t.data) > 0 && t.data[0].Section != nil && t.data[0].Compression != source.Plain
}
