package restore

import (
	"fmt"
	"slices"
	"strings"

	tablefilter "github.com/pingcap/tidb/pkg/util/table-filter"
	router "github.com/pingcap/tidb/pkg/util/table-router"

	"github.com/sluicedb/sluice/importcore/fault"
)

// systemSchemas, which are the servers' and the import tools' own, are not restored unless they are named.
var systemSchemas = []string{
	"mysql", "sys", "information_schema", "performance_schema", "metrics_schema", "inspection_schema", "lightning_metadata", "lightning_task_info",
}

// chooser decides what is restored, and where it goes.
type chooser struct {
	s      *Selection
	filter tablefilter.Filter // nil for everything
	router *router.Table      // nil without routes
	// named are the databases and objects that the selection names, in lower case: true once met.
	databases map[string]bool
	objects   map[Name]bool
	renames   map[Name]Name
}

func lower(n Name) Name { return Name{strings.ToLower(n.DB), strings.ToLower(n.Table)} }

// newChooser compiles a selection.
func newChooser(s *Selection) (*chooser, error) {
	c := &chooser{s: s, databases: map[string]bool{}, objects: map[Name]bool{}, renames: map[Name]Name{}}
	for _, db := range s.Databases {
		c.databases[strings.ToLower(db)] = false
	}
	for _, t := range s.Tables {
		c.objects[lower(t)] = false
	}
	for _, r := range s.Renames {
		c.renames[lower(r.From)] = r.To
	}
	if len(s.Filters) > 0 {
		for _, rule := range s.Filters {
			if strings.HasPrefix(strings.TrimSpace(rule), "@") {
				return nil, fault.New(fault.User, 0, "the filter %q would read a file of this machine, which is not allowed", rule)
			}
		}
		f, err := tablefilter.Parse(s.Filters)
		if err != nil {
			return nil, fault.New(fault.User, 0, "the filter can't be read: %v", err)
		}
		c.filter = tablefilter.CaseInsensitive(f)
	}
	return c, c.route()
}

// route compiles the routes.
func (c *chooser) route() error {
	if len(c.s.Routes) == 0 {
		return nil
	}
	var rules []*router.TableRule
	for _, r := range c.s.Routes {
		rules = append(rules, &router.TableRule{SchemaPattern: r.DB, TablePattern: r.Table, TargetSchema: r.ToDB, TargetTable: r.ToTable})
	}
	var err error
	if c.router, err = router.NewTableRouter(false, rules); err != nil {
		return fault.New(fault.User, 0, "the routes can't be read: %v", err)
	}
	return nil
}

// database is the one database that all that is selected is in; "" if there are several, or everything is selected.
func (s *Selection) database() string {
	var only string
	for _, db := range s.Databases {
		if only != "" && !strings.EqualFold(only, db) {
			return ""
		}
		only = db
	}
	for _, t := range s.Tables {
		if only != "" && !strings.EqualFold(only, t.DB) {
			return ""
		}
		only = t.DB
	}
	return only
}

// everything tells whether a database, named in lower case, is restored because everything is.
func (c *chooser) everything(db string) bool {
	return c.s.Everything && !slices.Contains(systemSchemas, db) && !slices.ContainsFunc(c.s.Exclude, func(name string) bool { return strings.EqualFold(name, db) })
}

// database tells whether a database of the source is restored as such, and not only some of its tables.
func (c *chooser) database(name string) bool {
	l := strings.ToLower(name)
	if _, named := c.databases[l]; named {
		c.databases[l] = true
	} else if !c.everything(l) {
		return false
	}
	return c.filter == nil || c.filter.MatchSchema(name)
}

// whole tells whether the filter lets all of a database through that is restored, but perhaps for some objects.
func (c *chooser) whole(name string) bool {
	return c.filter == nil || c.filter.MatchTable(name, "\x00") // no object has this name, so no rule is for it alone
}

// object tells whether a table, view or sequence of the source is restored.
func (c *chooser) object(n Name) bool {
	l := lower(n)
	_, db := c.databases[l.DB]
	_, own := c.objects[l]
	if own {
		c.objects[l] = true
	}
	if db {
		c.databases[l.DB] = true
	}
	if !db && !own && !c.everything(l.DB) {
		return false
	}
	return c.filter == nil || c.filter.MatchTable(n.DB, n.Table)
}

// target returns where an object goes, or, with Table "", a database.
func (c *chooser) target(n Name) (Name, error) {
	if to, ok := c.renames[lower(n)]; ok {
		return to, nil
	}
	if to, ok := c.renames[Name{DB: strings.ToLower(n.DB)}]; ok && n.Table != "" {
		return Name{to.DB, n.Table}, nil
	}
	if c.router == nil {
		return n, nil
	}
	db, table, err := c.router.Route(n.DB, n.Table)
	if err != nil {
		return Name{}, fault.New(fault.User, 0, "the routes of %s: %s", n, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return Name{db, table}, nil
}

// missing names what was asked for and not met.
func (c *chooser) missing() (list []string) {
	for _, db := range c.s.Databases {
		if !c.databases[strings.ToLower(db)] {
			list = append(list, fmt.Sprintf("database %s", Name{DB: db}))
		}
	}
	for _, t := range c.s.Tables {
		if !c.objects[lower(t)] {
			list = append(list, fmt.Sprintf("table %s", t))
		}
	}
	return list
}
