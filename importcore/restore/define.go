package restore

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
)

// definers is how many sessions create tables at a time: TiDB's owner of such changes takes up all that wait when it looks, makes up to 8 of them by one
// job (tidb_enable_fast_create_table), and has 10 workers for such jobs.
const definers = 64

// foreignDefiners are as many as gain something where a CREATE TABLE is the work of one server. Each may ask it something meanwhile by another
// session of the same target, which has to have so many.
const foreignDefiners = defaultConnections / 2

// setup are the statements that make a session one for the dump's schema files.
func (p *Plan) setup() []string {
	switch {
	case p.foreign() && p.archived != nil: // defaults are those of rows: strict, or the server would change them silently
		return []string{"SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES', time_zone = '+00:00', foreign_key_checks = 0"}
	case p.foreign():
		return nil // the target's sessions are for definitions
	case p.archived != nil:
		return []string{"SET SESSION sql_mode = '', time_zone = '+00:00', foreign_key_checks = 0"}
	}
	zone := "+00:00"
	if z := p.task.Session.TimeZone; z != nil {
		zone = z.String()
	}
	return []string{fmt.Sprintf("SET SESSION sql_mode = '%s', time_zone = '%s', foreign_key_checks = 0",
		modeText(schema.RunMode(p.task.Session.SQLMode)), strings.ReplaceAll(zone, "'", ""))}
}

// modeText is an SQL mode as a SET has it.
func modeText(mode mysql.SQLMode) string {
	var names []string
	for name, m := range mysql.Str2SQLMode {
		if bits.OnesCount64(uint64(m)) == 1 && mode&m != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// define creates databases, sequences and tables that the job makes and has not made yet.
func (p *Plan) define(ctx context.Context) error {
	err := p.server.Define(ctx, p.setup(), func(exec cluster.Exec) error {
		if err := p.definePolicies(exec); err != nil {
			return err
		}
		for _, d := range p.databases {
			if slices.Contains(p.saved.Databases, d.name) {
				if err := p.defineDatabase(exec, d); err != nil {
					return err
				}
			}
			p.progress.did(stepSchema, 1)
		}
		if err := p.changeObjects(ctx, exec); err != nil {
			return err
		}
		if err := p.advance(exec); err != nil {
			return err
		}
		return p.defineAll(ctx, exec, p.sequences)
	})
	if err != nil {
		return err
	}
	if err := p.alterTables(ctx); err != nil {
		return err
	}
	if err := p.defineTables(ctx); err != nil {
		return err
	}
	if err := p.keeper.save(ctx); err != nil {
		return err
	}
	return p.unmark(ctx)
}

// advance makes sequences that exist go on behind the values that the source's have given: rows have these. SETVAL doesn't go back, so one that is ahead stays there.
func (p *Plan) advance(exec cluster.Exec) error {
	for _, s := range p.sequences {
		if !s.exists || len(s.sql) < 2 {
			continue
		}
		values := s.sql[1:]
		if !p.incremental() {
			values = values[len(values)-1:] // others begin the next round of one that cycles
		}
		for _, sql := range values {
			if _, err := exec(sql); err != nil {
				return definingError(err, s.to, s.schema)
			}
		}
	}
	return nil
}

// defineDatabase creates a database, unless it is there. Where the server can't be asked later who has made it, one that appears between the checks and now is others',
// unless the job has been run before: then it may be its own.
func (p *Plan) defineDatabase(exec cluster.Exec, d *database) error {
	sql := d.sql
	if p.foreign() {
		sql = strings.Replace(sql, "IF NOT EXISTS ", "", 1)
	}
	remarks, err := exec(p.saved.marked(sql))
	p.remark(Name{DB: d.name}, remarks)
	switch {
	case p.foreign() && sqlconn.Code(err) == errno.ErrDBCreateExists:
		if !p.resumed {
			p.keeper.change(func() {
				p.saved.Databases = slices.DeleteFunc(p.saved.Databases, func(db string) bool { return db == d.name })
			})
		}
	case err != nil:
		return definingError(err, Name{DB: d.name}, d.schema)
	}
	return nil
}

// defineAll creates views or sequences. Views that others are made of come before these: what misses something is tried again
// after the rest, as long as that helps.
func (p *Plan) defineAll(ctx context.Context, exec cluster.Exec, list []*defined) error {
	for len(list) > 0 {
		var later []*defined
		var missing error
		for _, d := range list {
			err := p.defineOne(ctx, exec, d)
			switch {
			case sqlconn.Code(err) == errno.ErrNoSuchTable:
				later, missing = append(later, d), err
			case err != nil:
				return err
			default:
				p.progress.did("", 1)
			}
		}
		if len(later) == len(list) {
			return missing
		}
		list = later
	}
	return nil
}

func (p *Plan) defineOne(ctx context.Context, exec cluster.Exec, d *defined) error {
	if d.state == nil || !d.state.Own || d.state.Made {
		return nil
	}
	if d.state.Kind == cluster.KindView {
		if _, err := exec(p.collate(d)); err != nil {
			return err
		}
		if p.foreign() {
			return p.defineView(ctx, exec, d)
		}
	}
	var id int64
	for i, sql := range d.sql {
		if i == 0 {
			var err error
			if sql, err = p.withMark(sql); err != nil {
				return err
			}
			if id, err = p.make(ctx, exec, d.state, sql, d.schema); err != nil {
				return err
			}
			continue
		}
		if _, err := exec(sql); err != nil {
			return definingError(err, d.to, d.schema)
		}
	}
	p.keeper.change(func() { d.state.Made, d.state.ID = true, id })
	return nil
}

// collate makes the session one for a view's statement: SHOW CREATE VIEW tells with what collation it was made.
func (p *Plan) collate(d *defined) string {
	if d.collation == "" || p.foreign() && !p.sql.server.Collations[d.collation] {
		return "SET SESSION collation_connection = DEFAULT"
	}
	return "SET SESSION collation_connection = '" + d.collation + "'"
}

// make runs a CREATE and returns the id of what it has made, by which the job knows its own.
func (p *Plan) make(ctx context.Context, exec cluster.Exec, o *object, sql string, file *dump.Schema) (id int64, err error) {
	remarks, err := exec(p.saved.marked(sql))
	if sqlconn.Code(err) == errno.ErrTableExists {
		return p.adopt(ctx, o)
	}
	if err != nil {
		return 0, definingError(err, o.name(), file)
	}
	p.remark(o.name(), remarks)
	id, ok, err := p.server.TableID(ctx, o.DB, o.Name)
	if err == nil && !ok {
		err = replaced(strings.ToLower(o.Kind.String()) + " " + o.name().String())
	}
	return id, err
}

// defineViews creates the views and ends the job's work on the schema.
func (p *Plan) defineViews(ctx context.Context) error {
	if len(p.views) == 0 {
		return nil
	}
	return p.server.Define(ctx, p.setup(), func(exec cluster.Exec) error {
		if p.foreign() {
			return p.defineForeignViews(ctx, exec)
		}
		return p.defineAll(ctx, exec, p.views)
	})
}

// defineTables creates tables, several at a time.
func (p *Plan) defineTables(ctx context.Context) error {
	work := make(chan *table)
	statements := ctx // one that fails doesn't end those of others: the server may go on with them, behind the clean-up
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(work)
		for _, t := range p.tables {
			if !t.state.Own || t.state.Made {
				p.progress.did(stepSchema, 1)
				continue
			}
			select {
			case work <- t:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	sessions := definers
	if p.foreign() {
		sessions = foreignDefiners
	}
	for range sessions {
		group.Go(fault.Contain(func() error {
			first, ok := <-work
			if !ok {
				return nil
			}
			return p.server.Define(statements, p.setup(), func(exec cluster.Exec) error {
				for t := first; ok; t, ok = <-work {
					if err := p.defineTable(statements, exec, t); err != nil {
						return err
					}
					p.progress.did(stepSchema, 1)
				}
				return nil
			})
		}))
	}
	return group.Wait()
}

// prepareSession brings a session to the state in which an object of an archive was made.
func (p *Plan) prepareSession(exec cluster.Exec, from Name) error {
	if p.archived == nil {
		return nil
	}
	collation := define.Collation(p.archived.objects[lower(from)].Info)
	if collation == "" {
		return nil
	}
	_, err := exec("SET SESSION collation_connection = '" + collation + "'")
	return err
}

// defineTable creates a table and notes its id, by which the job knows that it is the one that it has made.
func (p *Plan) defineTable(ctx context.Context, exec cluster.Exec, t *table) error {
	if p.sql != nil && p.saved.SQL.Begun {
		if err := p.sql.target.ForgetTable(ctx, p.saved.SQL.Job, t.to.DB, t.to.Table); err != nil {
			return err
		}
	}
	if len(t.made.Later) > 0 && p.resumed {
		if err := p.dropHalfMade(ctx, exec, t); err != nil {
			return err
		}
	}
	if err := p.prepareSession(exec, t.from[0]); err != nil {
		return definingError(err, t.to, t.schemas[0])
	}
	sql, err := p.withMark(t.made.SQL)
	if err != nil {
		return err
	}
	id, err := p.make(ctx, exec, t.state, sql, t.schemas[0])
	if err != nil {
		return err
	}
	for _, sql := range t.made.Later {
		remarks, err := exec(sql)
		if err != nil {
			return definingError(err, t.to, t.schemas[0])
		}
		p.remark(t.to, remarks)
	}
	p.keeper.change(func() { t.state.Made, t.state.ID = true, id })
	if !p.foreign() { // where its mark is still to be taken away
		t.made.SQL, t.made.Later = "", nil
	}
	return nil
}

// dropHalfMade drops a table that an earlier run of the job may not have completed: what was done to it isn't known. It has no rows.
func (p *Plan) dropHalfMade(ctx context.Context, exec cluster.Exec, t *table) error {
	c := p.r.core.Cluster()
	id, exists, err := c.TableID(ctx, t.to.DB, t.to.Table)
	if err != nil || !exists {
		return err
	}
	if mine, err := p.history.hasID(ctx, c, p.saved.Mark, id); err != nil || !mine {
		return err // the CREATE says that others have made it
	}
	empty, err := c.TableIsEmpty(ctx, t.to.DB, t.to.Table, nil, nil)
	if err != nil {
		return err
	}
	if !empty {
		return fault.New(fault.User, codePrecheckFailed, "table %s, which the job had not completed, holds rows of others", t.to)
	}
	_, err = exec("DROP TABLE " + t.to.String())
	return definingError(err, t.to, t.schemas[0])
}

// definingError says which object a statement was to create, and which file says so. The end of a context and
// a cluster that is away stay what they are.
func definingError(err error, name Name, file *dump.Schema) error {
	code := sqlconn.Code(err)
	if code == 0 || fault.IsRetryable(err) {
		return err
	}
	from := ""
	if file != nil {
		from = " (" + file.Place() + ")"
	}
	return fault.Wrap(err, fault.User, code, "%s can't be created%s", name, from)
}
