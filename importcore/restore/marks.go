package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
)

// # Marks
//
// A server without a history of its schema doesn't tell who has made an object, and no transaction holds both a CREATE and the note that it was
// made. So the object itself says it until it is noted:
//
//	CREATE TABLE t (...) COMMENT = 'sluice 0b6...'     the job's mark in the place of the comment
//	                                                   the checkpoint: t is made
//	ALTER TABLE t COMMENT = 'its own'
//
// Sequences are as tables. A view has no comment: it is made with a column that is called as the mark, noted, and then replaced by what it is to be, one
// at a time, so that nothing that is made of it sees the other. An object that has the mark is the job's, whoever goes on with it or gives it up.
// A database has nothing to hold a mark everywhere: one that was not there when the job began counts as the job's, and is dropped only if nothing is in it.

// marked returns the objects of the job's databases that have its mark, by their lower-case names.
func (b *bySQL) marked(ctx context.Context, s *state) (map[Name]bool, error) {
	var databases []any
	for _, o := range s.Objects {
		if !slices.Contains(databases, any(o.DB)) {
			databases = append(databases, o.DB)
		}
	}
	found := map[Name]bool{}
	if len(databases) == 0 || s.Mark == "" {
		return found, nil
	}
	in := " IN (?" + strings.Repeat(", ?", len(databases)-1) + ")"
	args := append([]any{s.Mark}, databases...)
	err := b.target.Use(ctx, func(sess *sqlconn.Session) error {
		for _, sql := range []string{
			"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_COMMENT = ? AND TABLE_SCHEMA" + in,
			"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.COLUMNS WHERE COLUMN_NAME = ? AND TABLE_SCHEMA" + in,
		} {
			res, err := sess.Exec(sql, args...)
			if err != nil {
				return err
			}
			for i := range res.RowNumber() {
				db, err1 := res.GetString(i, 0)
				name, err2 := res.GetString(i, 1)
				if err := errors.Join(err1, err2); err != nil {
					return err
				}
				found[lower(Name{db, name})] = true
			}
		}
		return nil
	})
	return found, asked(err, "look for what the job has made")
}

// settled waits for statements of the job that a process which died has left under way: what they make would appear later.
func (b *bySQL) settled(ctx context.Context, mark string) error {
	return cluster.Settled(ctx, func() (waiting string, err error) {
		err = b.target.Use(ctx, func(s *sqlconn.Session) error {
			res, err := s.Exec("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND LOCATE(?, INFO) > 0", mark)
			if err != nil {
				return err
			}
			n, err := res.GetInt(0, 0)
			if n > 0 {
				waiting = "a statement of the job (SHOW PROCESSLIST: " + mark + ")"
			}
			return err
		})
		return waiting, asked(err, "look for statements that are under way")
	})
}

// withMark is the statement by which the job makes a table or a sequence.
func (p *Plan) withMark(sql string) (string, error) {
	if !p.foreign() {
		return sql, nil
	}
	marked, _, err := schema.Marked(sql, p.saved.Mark, p.sql.server)
	return marked, err
}

// unmark gives tables and sequences that are noted as made their own comments.
func (p *Plan) unmark(ctx context.Context) error {
	if !p.foreign() {
		return nil
	}
	marked, err := p.sql.marked(ctx, p.saved)
	if err != nil || len(marked) == 0 {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(foreignDefiners)
	give := func(o *object, sql string) {
		if o == nil || !o.Own || !o.Made || !marked[lower(o.name())] {
			return
		}
		group.Go(fault.Contain(func() error {
			_, restore, err := schema.Marked(sql, p.saved.Mark, p.sql.server)
			if err != nil {
				return err
			}
			return asked(p.sql.target.Exec(ctx, restore), fmt.Sprintf("give %s its comment", o.name()))
		}))
	}
	for _, t := range p.tables {
		if t.made != nil {
			give(t.state, t.made.SQL)
		}
	}
	for _, s := range p.sequences {
		give(s.state, s.sql[0])
	}
	return group.Wait()
}

// defineForeignViews makes views on a server without a history.
func (p *Plan) defineForeignViews(ctx context.Context, exec cluster.Exec) error {
	marked, err := p.sql.marked(ctx, p.saved)
	if err != nil {
		return err
	}
	// What an earlier run has left half made would be seen by those that are made of it.
	for _, v := range p.views {
		if v.state != nil && v.state.Own && marked[lower(v.to)] {
			if err := p.unmakeView(ctx, exec, v); err != nil {
				return err
			}
		}
	}
	return p.defineAll(ctx, exec, p.views)
}

// unmakeView drops a view that is only marked. First it is noted that the job has not made it: as long as it is there its mark says more.
func (p *Plan) unmakeView(ctx context.Context, exec cluster.Exec, v *defined) error {
	p.keeper.change(func() { v.state.Made = false })
	if err := p.keeper.save(ctx); err != nil {
		return err
	}
	_, err := exec("DROP VIEW " + v.to.String())
	return definingError(err, v.to, v.schema)
}

// markView makes a view that has nothing but the mark, and notes it.
func (p *Plan) markView(ctx context.Context, exec cluster.Exec, v *defined) error {
	sql := p.saved.marked("CREATE VIEW " + v.to.String() + " AS SELECT NULL AS " + sqlconn.QuoteName(p.saved.Mark))
	if _, err := p.make(ctx, exec, v.state, sql, v.schema); err != nil {
		return err
	}
	p.keeper.change(func() { v.state.Made = true })
	return p.keeper.save(ctx)
}

// defineView makes a view of which a server keeps no history.
func (p *Plan) defineView(ctx context.Context, exec cluster.Exec, v *defined) error {
	if err := p.markView(ctx, exec, v); err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(v.sql[0], "CREATE ")
	if !ok {
		return fault.New(fault.Sluice, 0, "%s can't be replaced by its definition", v.to)
	}
	remarks, err := exec(p.saved.marked("CREATE OR REPLACE " + rest))
	if err != nil {
		if unmakeErr := p.unmakeView(ctx, exec, v); unmakeErr != nil {
			return errors.Join(definingError(err, v.to, v.schema), unmakeErr)
		}
		return definingError(err, v.to, v.schema)
	}
	p.remark(v.to, remarks)
	return nil
}
