package dumpload

import (
	"context"
	"fmt"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/tablefiles"
)

// Run makes what isn't there, and brings the rows in. After an error the same job may be run again, and goes on. The summary tells what
// was done so far.
func (p *Plan) Run(ctx context.Context) (*Summary, error) {
	sum := &Summary{Warnings: p.warnings}
	for _, sql := range p.made {
		if err := p.target.Exec(ctx, sql); err != nil {
			return sum, fmt.Errorf("make a database: %w", err)
		}
		sum.Databases++
	}
	if err := p.makeTables(ctx); err != nil {
		return sum, err
	}
	sessions := &sessions{plan: p, open: map[string]*logical.Target{}}
	defer sessions.close()
	for _, t := range p.tables {
		if err := p.bringIn(ctx, t, sessions, sum); err != nil {
			return sum, fmt.Errorf("table %s: %w", named(t.Object), err)
		}
		sum.Tables++
	}
	if err := p.checkForeignKeys(ctx); err != nil {
		return sum, err
	}
	for _, v := range p.views {
		err := p.target.Exec(ctx, v.sql)
		if sqlconn.Code(err) == codeExists {
			sum.Warnings = append(sum.Warnings, fmt.Sprintf("view %s exists already and stays as it is", named(v.Object)))
			continue
		}
		if err != nil {
			return sum, fault.Wrap(err, fault.User, sqlconn.Code(err), "view %s can't be made (%s)", named(v.Object), v.Schema.Path)
		}
		sum.Views++
	}
	return sum, nil
}

// codeExists is MySQL's ER_TABLE_EXISTS_ERROR.
const codeExists = 1050

// makeTables makes those that aren't there. Foreign keys may name tables that come later, so they are not looked at.
func (p *Plan) makeTables(ctx context.Context) error {
	params := p.task.Params
	params.Session.IgnoreForeignKeys = true
	target, err := logical.Open(ctx, params)
	if err != nil {
		return err
	}
	defer target.Close()
	for _, t := range p.tables {
		if t.sql == "" {
			continue
		}
		if err := target.Exec(ctx, t.sql); err != nil && sqlconn.Code(err) != codeExists {
			return fault.Wrap(err, fault.User, sqlconn.Code(err), "table %s can't be made (%s)", named(t.Object), t.Schema.Path)
		}
	}
	return nil
}

// checkForeignKeys looks, when all rows are there, for those whose parents are missing.
func (p *Plan) checkForeignKeys(ctx context.Context) error {
	if p.task.Params.Session.IgnoreForeignKeys {
		return nil
	}
	for _, t := range p.tables {
		if len(t.Data) == 0 {
			continue
		}
		table, err := p.target.Table(ctx, t.DB, t.Name)
		if err == nil {
			err = p.target.CheckForeignKeys(ctx, table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bringIn brings a table's rows in.
func (p *Plan) bringIn(ctx context.Context, t table, sessions *sessions, sum *Summary) error {
	if len(t.Data) == 0 {
		return nil
	}
	table, err := p.target.Table(ctx, t.DB, t.Name)
	if err != nil {
		return err
	}
	src, err := tablefiles.Open(ctx, tablefiles.Config{Store: p.task.Store, Files: files(t.Data), CSV: p.task.CSV, Header: p.task.CSVHeader, Layout: table.Layout()})
	if err != nil {
		return err
	}
	target, err := sessions.get(ctx, src)
	if err != nil {
		return err
	}
	done, err := target.Import(ctx, logical.Task{
		Job: p.task.Job, Table: table, Source: src, Basis: fmt.Sprintf("%s%d %t %+v", src.Basis(), p.task.OnDuplicate, p.task.CSVHeader, p.task.CSV),
		OnDuplicate: p.task.OnDuplicate, Lanes: p.task.Lanes, BatchBytes: p.task.BatchBytes, BatchRows: p.task.BatchRows, Committed: p.task.Committed,
	})
	if done != nil {
		sum.Rows.Add(done.Counts)
		for _, w := range done.WarningSamples {
			sum.Warnings = append(sum.Warnings, fmt.Sprintf("table %s: %s", named(t.Object), w))
		}
	}
	return err
}

func files(data []dump.Data) []tablefiles.File {
	var out []tablefiles.File
	for _, d := range data {
		out = append(out, tablefiles.File{File: d.File, SQL: d.Format == dump.FormatSQL, Section: d.Section})
	}
	return out
}

// sessions are connections by what files say of their rows.
type sessions struct {
	plan *Plan
	open map[string]*logical.Target
}

// get returns the connections for a table's files.
func (s *sessions) get(ctx context.Context, src *tablefiles.Files) (*logical.Target, error) {
	params, set := s.plan.task.Params, src.Settings()
	key := fmt.Sprintf("%v %t", set.TimeZone, set.NoAutoValueOnZero())
	if t := s.open[key]; t != nil {
		return t, nil
	}
	if set.TimeZone.Given {
		loc, err := zone(set.TimeZone.Text)
		if err != nil {
			return nil, fault.Wrap(err, fault.Source, 0, "the dump's time zone %q isn't known", set.TimeZone.Text)
		}
		params.Session.TimeZone = loc
	}
	params.Session.SQLMode |= loadMode
	params.Session.IgnoreForeignKeys = true // parents may come later
	t, err := logical.Open(ctx, params)
	if err == nil {
		s.open[key] = t
	}
	return t, err
}

func (s *sessions) close() {
	for _, t := range s.open {
		t.Close()
	}
}
