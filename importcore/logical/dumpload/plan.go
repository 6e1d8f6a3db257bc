package dumpload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
)

// codeRefused is TiDB's ErrLoadDataPreCheckFailed.
const codeRefused = 8173

// maxSchema bounds a schema file, in bytes of its text.
const maxSchema = 16 << 20

// Plan is a load whose schema files were read and fit the server.
type Plan struct {
	task     Task
	target   *logical.Target
	server   schema.Server
	made     []string // statements that make databases
	tables   []table
	views    []view
	warnings []string
	refused  []string
}

type table struct {
	dump.Object
	sql string // "" without a schema file: it has to be there
}

type view struct {
	dump.Object
	sql string
}

// New reads the schema files and looks at the server. It changes nothing. Everything that keeps the dump out of the server is one
// error of the user's. The caller closes the plan.
func New(ctx context.Context, task Task) (*Plan, error) {
	if task.Listing.BR != "" {
		return nil, fault.New(fault.User, codeRefused, "%s belongs to a backup, which is no dump", task.Listing.BR)
	}
	target, err := logical.Open(ctx, task.Params)
	if err != nil {
		return nil, err
	}
	p := &Plan{task: task, target: target, server: schema.Server{Name: target.Kind().String() + " " + target.Version(), MariaDB: target.Kind() == logical.MariaDB}}
	if p.server.Collations, err = target.Collations(ctx); err == nil {
		err = p.read(ctx)
	}
	if err == nil && len(p.refused) > 0 {
		err = fault.New(fault.User, codeRefused, "the dump can't be brought into %s, which has been left as it is: %s", p.server.Name, strings.Join(p.refused, "; "))
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close closes the connections.
func (p *Plan) Close() { p.target.Close() }

func (p *Plan) refuse(what string, args ...any) {
	p.refused = append(p.refused, fmt.Sprintf(what, args...))
}

func (p *Plan) read(ctx context.Context) error {
	l := p.task.Listing
	for _, problem := range l.Problems {
		p.refuse("%s: %s", problem.Path, problem.Reason)
	}
	for _, f := range l.Whole {
		p.refuse("%s: it may be a whole dump, and nobody has read what is in it", f.Path)
	}
	for _, s := range l.Skipped {
		p.warnings = append(p.warnings, fmt.Sprintf("%s is not loaded: %s", s.Path, s.Reason))
	}
	for _, s := range l.Policies {
		p.warnings = append(p.warnings, fmt.Sprintf("%s is not loaded: placement policies are TiDB's", s.Path))
	}
	for _, d := range l.Databases {
		if system[strings.ToLower(d.Name)] {
			p.warnings = append(p.warnings, fmt.Sprintf("database %s is the server's own and is not loaded", d.Name))
			continue
		}
		// Its own statement may name a collation that only TiDB has; the tables name theirs.
		p.made = append(p.made, schema.PlainDatabase(d.Name))
	}
	for _, s := range l.Sequences {
		p.refuse("sequence %s: sequences are not brought into other servers", named(s))
	}
	for _, t := range l.Tables {
		if system[strings.ToLower(t.DB)] {
			continue
		}
		if err := p.readTable(ctx, t); err != nil {
			return err
		}
	}
	return p.readViews(ctx)
}

func (p *Plan) readViews(ctx context.Context) error {
	for _, v := range p.task.Listing.Views {
		if system[strings.ToLower(v.DB)] {
			continue
		}
		f, err := p.file(ctx, v.Schema)
		if err != nil {
			return err
		}
		sql, _, err := schema.ReadView(f, schema.Object{DB: v.DB, Name: v.Name}, same)
		if err != nil {
			p.refuse("view %s: %v", named(v), err)
			continue
		}
		p.views = append(p.views, view{v, sql})
	}
	return nil
}

// system are databases that belong to servers, and to Sluice.
var system = map[string]bool{
	"mysql": true, "information_schema": true, "performance_schema": true, "sys": true,
	"metrics_schema": true, "inspection_schema": true, "metadata_schema": true, logical.Schema: true,
}

// same leaves names as they are.
func same(o schema.Object) schema.Object { return o }

func named(o dump.Object) string { return schema.Object{DB: o.DB, Name: o.Name}.String() }

func (p *Plan) readTable(ctx context.Context, o dump.Object) error {
	t := table{Object: o}
	if o.Schema != nil {
		f, err := p.file(ctx, o.Schema)
		if err != nil {
			return err
		}
		read, err := schema.ReadTable(f, schema.Object{DB: o.DB, Name: o.Name}, same)
		if err != nil {
			p.refuse("table %s: %v", named(o), err)
			return nil
		}
		t.sql = read.SQL
		if p.target.Kind() != logical.TiDB {
			portable, err := f.ForServer(read.SQL, p.server)
			if err != nil {
				return err
			}
			t.sql = portable.SQL
			for _, what := range portable.Refused {
				p.refuse("table %s: %s", named(o), what)
			}
			for _, what := range portable.Left {
				p.warnings = append(p.warnings, fmt.Sprintf("table %s does without %s", named(o), what))
			}
		}
	}
	return p.look(ctx, t)
}

// look asks for a table that may be there: then it keeps its definition.
func (p *Plan) look(ctx context.Context, t table) error {
	found, err := p.target.Table(ctx, t.DB, t.Name)
	f := fault.As(err)
	switch {
	case err == nil:
		t.sql = ""
		if len(found.Triggers) > 0 {
			p.warnings = append(p.warnings, fmt.Sprintf("the triggers of table %s run for each row: %s", named(t.Object), strings.Join(found.Triggers, ", ")))
		}
	case f != nil && f.Code == codeNoTable && t.sql == "":
		p.refuse("table %s: it isn't there, and no schema file says how to make it", named(t.Object))
	case f != nil && f.Code == codeNoTable:
	case f != nil && f.Whose == fault.User:
		p.refuse("table %s: %v", named(t.Object), err)
	default:
		return err
	}
	p.tables = append(p.tables, t)
	return nil
}

// codeNoTable is MySQL's ER_NO_SUCH_TABLE.
const codeNoTable = 1146

func (p *Plan) file(ctx context.Context, from *dump.Schema) (*schema.File, error) {
	f := &schema.File{Path: from.Path, Text: from.Text, Line: from.Line, Mode: p.task.Params.Session.SQLMode}
	if f.Text != "" {
		return f, nil
	}
	in, err := p.task.Store.Open(ctx, from.File, 0)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	n, err := io.Copy(&text, io.LimitReader(in, maxSchema+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", from.Path, err)
	}
	if n > maxSchema {
		return nil, fault.New(fault.Source, 0, "%s is longer than %d bytes, which is too much for a schema file", from.Path, maxSchema)
	}
	f.Text = text.String()
	return f, nil
}
