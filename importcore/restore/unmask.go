package restore

import (
	"context"
	"errors"
	"strings"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/source"
)

// unmask gives objects the names that mydumper keeps out of the names of files. From 0.11 on it calls the files of a database or table whose
// name has other characters than letters, digits and a few signs mydumper_ and a number; what it is then, the statement in its schema file
// says. It is the only case in which the text names an object, and not the file. User-written rules name objects themselves.
// https://github.com/mydumper/mydumper/pull/399
func (p *Plan) unmask(ctx context.Context) error {
	if len(p.task.Options.Files) > 0 && !p.task.Options.DefaultFiles {
		return nil
	}
	l := p.listing
	databases := map[string]string{}
	for i := range l.Databases {
		d := &l.Databases[i]
		name, err := p.unmasked(ctx, d.Name, d.Schema)
		if err != nil {
			return err
		}
		if name != d.Name {
			databases[strings.ToLower(d.Name)], d.Name = name, name
		}
	}
	objects := map[Name]Name{}
	for _, list := range [][]dump.Object{l.Tables, l.Views, l.Sequences} {
		for i := range list {
			o := &list[i]
			from := Name{o.DB, o.Name}
			name, err := p.unmasked(ctx, o.Name, o.Schema)
			if err != nil {
				return err
			}
			if db, ok := databases[strings.ToLower(o.DB)]; ok {
				o.DB = db
			}
			o.Name = name
			objects[lower(from)] = Name{o.DB, o.Name}
		}
	}
	for i := range l.Problems {
		problem := &l.Problems[i]
		if to, ok := objects[lower(Name{problem.DB, problem.Object})]; ok {
			problem.DB, problem.Object = to.DB, to.Table
		} else if db, ok := databases[strings.ToLower(problem.DB)]; ok {
			problem.DB = db
		}
	}
	p.namedTwice()
	return nil
}

// unmasked is the name of an object whose file says name. A schema that can't be read is told when it is needed.
func (p *Plan) unmasked(ctx context.Context, name string, from *dump.Schema) (string, error) {
	if from == nil || !dump.Masked(name) {
		return name, nil
	}
	f, err := p.file(ctx, from)
	if err == nil {
		var called string
		if called, err = schema.Called(f); err == nil {
			return called, nil
		}
	}
	if errors.Is(err, source.ErrAway) || ctx.Err() != nil {
		return "", err
	}
	return name, nil
}

// namedTwice finds files of one table under two names.
func (p *Plan) namedTwice() {
	seen := map[Name]bool{}
	for _, list := range [][]dump.Object{p.listing.Tables, p.listing.Views, p.listing.Sequences} {
		for _, o := range list {
			at := lower(Name{o.DB, o.Name})
			if seen[at] && o.Schema != nil {
				p.listing.Problems = append(p.listing.Problems, dump.Problem{DB: o.DB, Object: o.Name, Path: o.Schema.Place(), Reason: "there is another schema file of this name"})
			}
			seen[at] = true
		}
	}
}
