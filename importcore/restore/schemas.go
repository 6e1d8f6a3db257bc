package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

const (
	// schemaReaders is how many schema files are read at a time.
	schemaReaders = 16
	// maxSchema bounds a schema file, in bytes of its text.
	maxSchema = 16 << 20
)

// errOf is where one of several schema files' error is kept, so that all are told, in a fixed order.
type errOf struct{ err error }

// readSchemas reads all schema files that are needed, and the dump's metadata. What is wrong with them is a finding.
func (p *Plan) readSchemas(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(schemaReaders)
	var errs []*errOf
	each := func(f func() error) {
		e := &errOf{}
		errs = append(errs, e)
		group.Go(func() error {
			e.err = fault.Contain(f)()
			return nil
		})
	}
	if !p.task.Options.SkipSchemaFiles {
		p.eachSchema(ctx, each)
	}
	if m := p.listing.Metadata; m != nil {
		each(func() error {
			text, err := p.read(ctx, m)
			p.backupTS = dump.Position(text)
			return err
		})
	}
	_ = group.Wait()
	for _, e := range errs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(e.err, source.ErrAway) {
			return e.err
		}
		if e.err != nil {
			f := precheck.FailWith(e.err)
			f.Check = precheck.SourceFile
			p.findings = append(p.findings, f)
		}
	}
	return nil
}

// readWhole reads the dumps that are in one file each.
func (p *Plan) readWhole(ctx context.Context) error {
	mode := p.task.Session.SQLMode
	cfg := sqldump.Config{NoBackslashEscapes: mode.HasNoBackslashEscapesMode(), ANSIQuotes: mode.HasANSIQuotesMode()}
	return p.listing.ReadWhole(ctx, p.unpacked, cfg, p.task.Selection.database())
}

func (p *Plan) eachSchema(ctx context.Context, each func(func() error)) {
	names := p.newNames
	for _, d := range p.databases {
		d.sql = schema.PlainDatabase(d.name)
		if d.schema != nil {
			each(func() error { return p.readDatabase(ctx, d) })
		}
	}
	for _, t := range p.tables {
		each(func() error { return p.readTable(ctx, t, names) })
	}
	for _, s := range p.sequences {
		each(func() (err error) {
			if p.archived != nil {
				s.sql = p.archived.sequence(s, p.sql != nil && p.sql.server.MariaDB)
				return nil
			}
			f, err := p.file(ctx, s.schema)
			if err == nil {
				s.sql, err = schema.ReadSequence(f, schema.Object{DB: s.from.DB, Name: s.from.Table}, names)
			}
			return err
		})
	}
	for _, v := range p.views {
		each(func() error {
			f, err := p.file(ctx, v.schema)
			if err != nil {
				return err
			}
			read, err := schema.ReadView(f, schema.Object{DB: v.from.DB, Name: v.from.Table}, names, schema.ParseAccount(p.task.Session.Account))
			if err != nil {
				return err
			}
			v.sql, v.collation, v.runsAs = []string{read.SQL}, read.Collation, read.RunsAs
			if p.archived != nil {
				v.collation = define.Collation(p.archived.objects[lower(v.from)].Info)
			}
			return nil
		})
	}
}

// readDatabase reads the schema file of a database.
func (p *Plan) readDatabase(ctx context.Context, d *database) error {
	f, err := p.file(ctx, d.schema)
	switch {
	case err != nil:
		return err
	case p.foreign():
		d.sql, d.left, err = schema.DatabaseForServer(f, d.name, p.sql.server)
	default:
		d.sql, err = schema.Database(f, d.name)
	}
	return err
}

// readTable reads the schema files of a table. The first one makes it; those of further shards must have the same columns.
func (p *Plan) readTable(ctx context.Context, t *table, names schema.Names) error {
	for i, file := range t.schemas {
		if file == nil {
			continue
		}
		f, err := p.file(ctx, file)
		if err != nil {
			return err
		}
		read, err := schema.ReadTable(f, schema.Object{DB: t.from[i].DB, Name: t.from[i].Table}, names)
		if err != nil {
			return err
		}
		if t.made == nil {
			t.made = read
			if p.archived != nil && p.sql == nil {
				if err := p.archived.complete(t, names); err != nil {
					return err
				}
			}
			if err := p.port(f, t); err != nil {
				return err
			}
			continue
		}
		if what := t.made.DiffersFrom(read); what != "" {
			return fault.New(fault.User, codePrecheckFailed, "%s and other tables can't become one table %s: %s", t.from[i], t.to, what)
		}
	}
	return nil
}

func (p *Plan) file(ctx context.Context, from *dump.Schema) (_ *schema.File, err error) {
	if p.archived != nil {
		return p.archived.file(from)
	}
	f := &schema.File{Path: from.Path, Text: from.Text, Line: from.Line, Mode: p.task.Session.SQLMode, Collation: from.Collation}
	if f.Text == "" {
		f.Text, err = p.read(ctx, &from.File)
	}
	return f, err
}

// read returns the text of a small file, unpacked.
func (p *Plan) read(ctx context.Context, file *source.File) (text string, err error) {
	stream, err := p.unpacked.Open(ctx, *file, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(stream, maxSchema+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file.Path, err)
	}
	if n > maxSchema {
		return "", fault.New(fault.Source, 0, "%s is longer than %d bytes, which is too much for a schema file", file.Path, maxSchema)
	}
	return b.String(), nil
}
