package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/source"
)

// # Rows by SQL
//
// What is in the tables is known by the ledger alone, in the same transactions as the rows (package logical). The checkpoint
// says which objects the job makes and has made, and which tables are done. They can't contradict each other:
//
//   - A table that is noted as done is not looked at again. One that is in by the ledger, and not noted, is found to be complete.
//   - The ledger knows the job from before its first row, and the checkpoint notes that: a ledger that was lost is an error then.
//   - What the ledger says of a table that the job makes is forgotten right before the table is made.
//   - A job that fails keeps its checkpoint as long as rows of it are in tables that it has not made. Tried again, it goes on behind them.

// bySQL is the way of rows by SQL.
type bySQL struct {
	r       *Restorer
	task    *Task
	session logical.Session
	// target's sessions are for definitions and questions. Parents of rows may come later, so nothing is looked for.
	target *logical.Target
	// server is what definitions have to know of one that isn't TiDB.
	server schema.Server

	mu struct {
		sync.Mutex
		folder source.Folder // nil until rows are read
		files  *compress.Store
		open   map[string]*logical.Target // by what rows ask of their session
	}
}

// defaultConnections bring rows in at a time: one for each of so many small tables, or half of them for a large one.
const defaultConnections = 8

// openBySQL connects, and finds out what the target is.
func openBySQL(ctx context.Context, r *Restorer, task *Task) (_ *bySQL, err error) {
	csv := task.Options.CSV
	if err := csv.Validate(); err != nil {
		return nil, err
	}
	vars := maps.Clone(task.Session.SysVars)
	delete(vars, "max_allowed_packet") // a session can't set its own
	b := &bySQL{r: r, task: task, session: logical.Session{
		SQLMode: task.Session.SQLMode, TimeZone: task.Session.TimeZone, IgnoreForeignKeys: true, Vars: vars,
	}}
	definitions := b.session
	definitions.SQLMode |= mysql.ModeStrictTransTables // or the server would change them silently
	if b.target, err = b.connect(ctx, definitions); err != nil {
		return nil, err
	}
	if b.server, err = describe(ctx, b.target); err != nil {
		b.target.Close()
		return nil, err
	}
	return b, nil
}

// describe finds out what a server can have.
func describe(ctx context.Context, t *logical.Target) (s schema.Server, err error) {
	s = schema.Server{Name: serverName(t), MariaDB: t.Kind() == logical.MariaDB}
	if s.Collations, err = t.Collations(ctx); err != nil {
		return s, asked(err, "list the server's collations")
	}
	if t.Kind() != logical.TiDB {
		s.Engines, s.Engine, err = t.Engines(ctx)
	}
	return s, asked(err, "list the server's engines")
}

// serverName is how users know a server. MariaDB's and TiDB's versions say what they are.
func serverName(t *logical.Target) string {
	if kind := t.Kind().String(); !strings.Contains(t.Version(), kind) {
		return kind + " " + t.Version()
	}
	return t.Version()
}

func (b *bySQL) connect(ctx context.Context, session logical.Session) (*logical.Target, error) {
	params := b.r.account
	params.Session, params.Connections = session, max(b.task.Options.Concurrency, defaultConnections)+1
	return logical.Open(ctx, params)
}

// close disconnects. No import may be running.
func (b *bySQL) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.mu.open {
		t.Close()
	}
	b.target.Close()
	if b.mu.folder == nil {
		return nil
	}
	return b.mu.folder.Close()
}

// source gives the source's files, as patiently as a job that runs may be.
func (b *bySQL) source(ctx context.Context) (source.Folder, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.folder == nil {
		folder, err := source.OpenFolder(ctx, b.task.Location, b.r.read)
		if err != nil {
			return nil, err
		}
		b.mu.folder, b.mu.files = folder, compress.NewStore(folder, 0)
	}
	return b.mu.folder, nil
}

// store gives the text of the source's files.
func (b *bySQL) store(ctx context.Context) (*compress.Store, error) {
	if _, err := b.source(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.files, nil
}

// sessions returns the connections for rows that ask for these settings.
func (p *Plan) sessions(ctx context.Context, settings *rowSettings) (*logical.Target, error) {
	b := p.sql
	b.mu.Lock()
	defer b.mu.Unlock()
	key := settings.key()
	if t := b.mu.open[key]; t != nil {
		return t, nil
	}
	session := settings.session(b.session)
	session.Now = p.now
	t, err := b.connect(ctx, session)
	if err != nil {
		return nil, err
	}
	if b.mu.open == nil {
		b.mu.open = map[string]*logical.Target{}
	}
	b.mu.open[key] = t
	return t, nil
}

// beginBySQL makes the job known to the ledger before its first row.
func (p *Plan) beginBySQL(ctx context.Context) error {
	if len(p.unfinished()) == 0 {
		return nil // and perhaps the ledger has forgotten the job already
	}
	if err := p.sql.target.Begin(ctx, p.saved.SQL.Job, p.saved.SQL.Begun); err != nil {
		return err
	}
	p.keeper.change(func() { p.saved.SQL.Begun = true })
	return p.keeper.save(ctx)
}

// forget removes the job from the ledger when the checkpoint says that all is done. What stays does no harm.
func (p *Plan) forget(ctx context.Context) {
	if err := p.sql.target.Forget(ctx, p.saved.SQL.Job); err != nil {
		p.log().Warn("the ledger still holds a job that is done", zap.Error(err))
	}
}

// importTableBySQL brings a table's rows in, or what is left of them.
func (p *Plan) importTableBySQL(ctx context.Context, i int, s share) (rows int64, err error) {
	t := p.tables[i]
	if err := p.checkSame(ctx, t); err != nil {
		return 0, err
	}
	into, err := p.sql.target.Table(ctx, t.to.DB, t.to.Table)
	if err != nil {
		return 0, err
	}
	from, err := p.rowsOf(ctx, t, into)
	if err != nil {
		return 0, err
	}
	if c, ok := from.Source.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	target, err := p.sessions(ctx, &from.settings)
	if err != nil {
		return 0, err
	}
	task := logical.Task{
		Job: p.saved.SQL.Job, Table: into, Source: from.Source, Basis: from.basis, OnDuplicate: strategies[p.task.Options.OnDuplicate],
		Lanes: s.connections, BatchBytes: s.batch(), Room: format.LimitedRoom(int(s.memory / rowPart)),
	}
	if o := &p.task.Options; o.MaxErrors > 0 && p.task.BadRows != nil {
		task.ErrorLimit, task.BadRows = p.errors, p.task.BadRows(i+1, t.to)
	}
	counting := p.progress.count(t.bytes)
	task.Claimed, task.Committed = counting.begin, counting.add
	sum, err := target.Import(ctx, task)
	if err != nil {
		counting.end()
		return 0, ledgerError(err)
	}
	p.toldBySQL(t, into, sum)
	p.keeper.change(func() { t.state.BadRows = sum.Rejected })
	if err = from.compareSource(&sum.Counts); err == nil {
		err = p.compareCount(ctx, t, into, &sum.Counts)
	}
	if err == nil {
		err = p.analyzeBySQL(ctx, t, sum.Rows)
	}
	counting.end()
	return sum.Rows - sum.Ignored, err
}

// strategies are those of package logical. Others are refused before.
var strategies = map[importcore.OnDuplicate]logical.OnDuplicate{
	importcore.DuplicateError: logical.DuplicateError, importcore.DuplicateReplace: logical.DuplicateReplace, importcore.DuplicateIgnore: logical.DuplicateIgnore,
}

const (
	// batchPart is the part of a lane's memory that a batch's text gets: there are two of it at a time, and blocks.
	batchPart = 6
	// rowPart is the part of a table's memory that rows longer than a block get.
	rowPart = 2
)

// batch is the length of a batch's text, in bytes.
func (s *share) batch() int {
	return int(min(logical.DefaultBatchBytes, s.memory/int64(max(s.connections, 1))/batchPart))
}

// ledgerError says what an error of the ledger means for the job.
func ledgerError(err error) error {
	switch {
	case errors.Is(err, logical.ErrFenced):
		return fmt.Errorf("%w: %w", importcore.ErrNotOwner, err)
	case errors.Is(err, logical.ErrBasis):
		return fmt.Errorf("%w: %w", importcore.ErrCantGoOn, err)
	}
	return err
}

// checkSame makes sure, where the server has ids, that a table is the one that the job has made.
func (p *Plan) checkSame(ctx context.Context, t *table) error {
	if !t.state.Own || t.state.ID == 0 {
		return nil
	}
	id, ok, err := p.server.TableID(ctx, t.to.DB, t.to.Table)
	if err == nil && (!ok || id != t.state.ID) {
		err = replaced("table " + t.to.String())
	}
	return err
}

// toldBySQL notes what the user should know of a table.
func (p *Plan) toldBySQL(t *table, into *logical.Table, sum *logical.Summary) {
	var told []string
	if sum.Ignored > 0 {
		told = append(told, fmt.Sprintf("%d rows were left out because of rows with the same keys (on_duplicate = ignore)", sum.Ignored))
	}
	if sum.Replaced > 0 {
		told = append(told, fmt.Sprintf("%d rows gave way to others with the same keys (on_duplicate = replace)", sum.Replaced))
	}
	if sum.Warnings > 0 {
		told = append(told, fmt.Sprintf("the server has warned %d times that a value was changed", sum.Warnings))
	}
	told = append(told, sum.WarningSamples...)
	p.warnOf(t, told)
}

// compareCount compares the number of rows of a table that the job has made with what went in. It stands for the checksum, which
// no server but TiDB has, and which says nothing of tables that held rows. REPLACE of an equal row isn't counted by all servers.
func (p *Plan) compareCount(ctx context.Context, t *table, into *logical.Table, sum *logical.Counts) error {
	level := p.task.Options.Checksum
	if level == importcore.ChecksumOff || !t.state.Own || p.task.Options.OnDuplicate == importcore.DuplicateReplace && into.Unique {
		return nil
	}
	want := sum.Rows - sum.Ignored
	have, err := p.sql.countRows(ctx, t.to)
	if err != nil || have == want {
		return err
	}
	text := fmt.Sprintf("%d rows went in, and it has %d: somebody else has written to it, or taken rows away", want, have)
	if level == importcore.ChecksumOptional {
		p.warnOf(t, []string{text})
		return nil
	}
	return fault.New(fault.Cluster, 0, "%s", text)
}

func (b *bySQL) countRows(ctx context.Context, name Name) (n int64, err error) {
	err = b.target.Use(ctx, func(s *sqlconn.Session) error {
		n, err = countIn(s, name)
		return err
	})
	return n, asked(err, "count the rows of table "+name.String())
}

// countIn counts the rows of a table.
func countIn(s *sqlconn.Session, name Name) (int64, error) {
	res, err := s.Exec("SELECT COUNT(*) FROM " + name.String())
	if err != nil {
		return 0, err
	}
	return res.GetInt(0, 0)
}

// analyzeBySQL collects a table's statistics, as the options say.
func (p *Plan) analyzeBySQL(ctx context.Context, t *table, rows int64) error {
	if rows == 0 || p.task.Options.Analyze == importcore.AnalyzeOff {
		return nil
	}
	err := p.sql.target.Use(ctx, func(s *sqlconn.Session) error {
		_, err := s.Exec("ANALYZE TABLE " + t.to.String())
		return err
	})
	if err == nil || p.task.Options.Analyze == importcore.AnalyzeRequired || p.ends(ctx, err) {
		return asked(err, "collect the statistics of table "+t.to.String())
	}
	p.warnOf(t, []string{fmt.Sprintf("the rows are restored, but the table could not be analysed: %v", err)})
	return nil
}

// checkForeignKeysBySQL looks, when all rows are there, for rows whose parents are missing.
func (p *Plan) checkForeignKeysBySQL(ctx context.Context) error {
	for _, t := range p.tables {
		if t.bytes == 0 || t.made != nil && !t.made.ForeignKeys && !t.exists {
			continue
		}
		into, err := p.sql.target.Table(ctx, t.to.DB, t.to.Table)
		if err == nil {
			err = p.sql.target.CheckForeignKeys(ctx, into)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
