package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/badrows"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/compress"
)

const (
	// smallTable is up to which size, in bytes of data files, tables are imported several at a time.
	smallTable = 32 << 20
	// leaseFrom is importcore.ImportTask's LeaseFrom.
	leaseFrom = 8 << 20
	// mostLanes is how many of them at most.
	mostLanes = 8
)

// errStopped ends the imports of other tables when one has failed. They keep what they have for the clean-up.
var errStopped = fmt.Errorf("another table has failed: %w", importcore.ErrPaused)

// share is what one of several imports that run at a time may use.
type share struct {
	lanes        int
	threads      int
	memory       int64
	speed, quota int64
	small        bool
	// connections bring in the rows of each table by SQL.
	connections int
}

// shares divides the job's threads, memory and limits among the lanes of small tables, and gives them to one large table at a time.
func (p *Plan) shares() (small, large share) {
	t := &p.task
	lanes := t.Options.Concurrency
	if lanes <= 0 {
		lanes = mostLanes
	}
	lanes = max(min(lanes, int(t.MemoryBudget/importcore.MinMemoryBudget), mostLanes), 1)
	n := int64(lanes)
	small = share{connections: 1, lanes: lanes, threads: max(t.Threads/lanes, 1), memory: t.MemoryBudget / n, speed: atLeastOne(t.MaxWriteSpeed, n),
		quota: atLeastOne(t.DiskQuota, n), small: true}
	connections := t.Options.Concurrency
	if connections <= 0 {
		connections = defaultConnections / 2
	}
	return small, share{lanes: 1, connections: connections, threads: max(t.Threads, 1), memory: t.MemoryBudget, speed: t.MaxWriteSpeed, quota: t.DiskQuota}
}

// atLeastOne is a part of a limit; 0 stays no limit.
func atLeastOne(limit, parts int64) int64 {
	if limit == 0 {
		return 0
	}
	return max(limit/parts, 1)
}

// bringIn imports the rows of all tables.
func (p *Plan) bringIn(ctx context.Context) (err error) {
	switch {
	case p.sql != nil:
		if err := p.beginBySQL(ctx); err != nil {
			return err
		}
	case p.archived != nil:
		return p.bringInArchive(ctx)
	}
	p.errors = p.errorLimit()
	small, large := p.shares()
	if slices.ContainsFunc(p.tables, (*table).part) {
		texts := p.unpacked
		if p.sql != nil {
			if texts, err = p.sql.store(ctx); err != nil {
				return err
			}
		}
		p.shared = compress.NewShared(ctx, texts, small.lanes)
		defer func() { err = errors.Join(err, p.shared.Close()) }()
	}
	for _, s := range []share{small, large} {
		if err := p.bringInShared(ctx, s); err != nil {
			return err
		}
	}
	return p.checkForeignKeys(ctx)
}

// errorLimit is how many bad rows all tables together may have. It knows of those of tables that are done.
func (p *Plan) errorLimit() *badrows.Limit {
	limit := badrows.NewLimit(p.task.Options.MaxErrors)
	for _, t := range p.tables {
		if t.state.Done {
			limit.Keep(t.state.BadRows)
		}
	}
	return limit
}

// bringInShared imports the tables that a share is for. When one fails the others stop; the error names all that have failed.
func (p *Plan) bringInShared(ctx context.Context, s share) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work := make(chan []int)
	var lanes sync.WaitGroup
	failed := &failures{}
	for range s.lanes {
		lanes.Go(func() {
			for batch := range work {
				at := batch[0]
				err := fault.Contain(func() (err error) {
					if len(batch) == 1 {
						return p.bringInTable(ctx, at, s)
					}
					at, err = p.bringInTogether(ctx, batch, s)
					return err
				})()
				if err != nil {
					failed.add(p.tables[at].to, err)
					stop(errStopped)
				}
			}
		})
	}
	for _, batch := range p.batches(s) {
		select {
		case work <- batch:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(work)
	lanes.Wait()
	if err := failed.err(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// bringInTable imports the rows of one table.
func (p *Plan) bringInTable(ctx context.Context, i int, s share) error {
	t := p.tables[i]
	if t.bytes == 0 {
		p.done(t, 0)
		return nil
	}
	p.tell(Event{Table: t.to, State: TableRunning})
	rows, err := p.importTable(ctx, i, s)
	return p.imported(t, rows, err)
}

// imported notes what became of a table's import.
func (p *Plan) imported(t *table, rows int64, err error) error {
	if err != nil {
		p.tell(Event{Table: t.to, State: TableFailed, Err: err})
		return err
	}
	kept, over, err := condense(t.state.Import)
	if err != nil {
		return err
	}
	p.keeper.change(func() { t.state.Import, t.state.Over = kept, over })
	p.done(t, rows)
	return nil
}

func (p *Plan) importTable(ctx context.Context, i int, s share) (rows int64, err error) {
	if p.sql != nil {
		return p.importTableBySQL(ctx, i, s)
	}
	plan, err := p.r.core.Plan(ctx, p.importTask(i, s))
	if err != nil {
		return 0, err
	}
	return p.importPlanned(ctx, p.tables[i], plan)
}

// importPlanned imports a table by its plan.
func (p *Plan) importPlanned(ctx context.Context, t *table, plan *importcore.Plan) (rows int64, err error) {
	if t.state.Own && plan.TableID != t.state.ID {
		return 0, errors.Join(replaced("table "+t.to.String()), plan.Close())
	}
	defer p.progress.run(plan)()
	sum, err := p.r.core.Import(ctx, plan, nil)
	if err != nil {
		return 0, errors.Join(err, p.renew(ctx, t))
	}
	p.warnOf(t, sum.Warnings)
	p.keeper.change(func() { t.state.BadRows = sum.BadRows })
	return sum.Rows, nil
}

// renew notes the id that a table of the job's has after a failed import, which may have emptied it by TRUNCATE.
func (p *Plan) renew(ctx context.Context, t *table) error {
	if !t.state.Own || len(t.state.Import) > 0 {
		return nil // the import keeps what it has
	}
	id, ok, err := p.server.TableID(context.WithoutCancel(ctx), t.to.DB, t.to.Table)
	if err == nil && ok {
		p.keeper.change(func() { t.state.ID = id })
	}
	return err
}

// done notes that a table's rows are restored.
func (p *Plan) done(t *table, rows int64) {
	p.keeper.change(func() { t.state.Done, t.state.Rows = true, rows })
	p.progress.tableDone(t.bytes, rows)
	p.tell(Event{Table: t.to, State: TableDone, Rows: rows, Bytes: t.bytes, BadRows: t.state.BadRows})
}

// tell tells whoever wants to hear of tables.
func (p *Plan) tell(e Event) {
	if p.task.Events != nil {
		p.keeper.change(func() { p.task.Events(e) })
	}
}

// importTask is the import of a table.
func (p *Plan) importTask(i int, s share) importcore.ImportTask {
	t, o, session := p.tables[i], &p.task.Options, &p.task.Session
	task := importcore.ImportTask{
		JobID: p.task.JobID, Part: i + 1, DB: t.to.DB, Table: t.to.Table, Location: p.task.Location, Files: dataFiles(t.data),
		CSV: o.CSV, HeaderNames: o.CSVHeader,
		SysVars: session.SysVars, User: session.User, CurrentDB: t.to.DB, IgnoreForeignKeys: true, // see checkForeignKeys
		SQLMode: session.SQLMode, Now: p.now, TimeZone: session.TimeZone,
		Threads: s.threads, MaxWriteSpeed: s.speed, MaxLatency: p.task.MaxLatency, MemoryBudget: s.memory, DiskQuota: s.quota,
		Checksum: o.Checksum, ChecksumConcurrency: o.ChecksumConcurrency, Analyze: o.Analyze, DisableImportMode: o.DisableImportMode, OnDuplicate: o.OnDuplicate,
		Owned: p.task.Owned, Hold: p.task.Hold, Observer: p.task.Observer,
		LeaseFrom: leaseFrom, Checkpoints: &tableKeeper{p.keeper, t.state},
	}
	if t.part() {
		task.Texts = p.shared
	}
	if p.task.BadRows != nil && (o.MaxErrors > 0 || o.OnDuplicate == importcore.DuplicateCapture) {
		task.MaxErrors, task.ErrorLimit, task.BadRows = o.MaxErrors, p.errors, p.task.BadRows(i+1, t.to)
	}
	return task
}

// dataFiles are a table's files as the core wants them.
func dataFiles(data []dump.Data) []importcore.DataFile {
	files := make([]importcore.DataFile, len(data))
	for i, d := range data {
		files[i] = importcore.DataFile{File: d.File, Format: importcore.FormatCSV}
		if d.Format == dump.FormatSQL {
			files[i].Format, files[i].Section = importcore.FormatSQL, d.Section
		}
	}
	return files
}

// failures are the errors of tables.
type failures struct {
	mu    sync.Mutex
	names []Name
	errs  []error
	// tooMany tells that one is that there are too many bad rows. The limit is one for all tables, so others say the same.
	tooMany bool
}

func (f *failures) add(name Name, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit := (*badrows.LimitError)(nil)
	if errors.Is(err, errStopped) || errors.As(err, &limit) && f.tooMany {
		return
	}
	f.tooMany = f.tooMany || limit != nil
	f.names, f.errs = append(f.names, name), append(f.errs, err)
}

// err is the first error, with those of other tables named behind it; nil if there is none.
func (f *failures) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) == 0 {
		return nil
	}
	if len(f.errs) == 1 {
		return inTable(f.names[0], f.errs[0], "")
	}
	var also []string
	for i, err := range f.errs[1:] {
		also = append(also, fmt.Sprintf("table %s: %v", f.names[i+1], err))
	}
	return inTable(f.names[0], f.errs[0], "; also failed: "+strings.Join(also, "; "))
}

// inTable says which table an error is about.
func inTable(name Name, err error, also string) error {
	told := &fault.Error{Whose: fault.Sluice, Message: fmt.Sprintf("table %s: %v%s", name, err, also)}
	if f := fault.As(err); f != nil {
		told.Whose, told.Code = f.Whose, f.Code
	}
	return &explained{told, err}
}
