package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
)

// Abandon gives up a job that was paused or interrupted: what it has made is dropped, tables that were there before are
// emptied again, by the rules of importcore's clean-up. fate says what became of it, and what is left; "" if nothing was
// touched. Nobody else may be running the job. The checkpoint goes, unless only that makes it possible to end what was begun.
func (r *Restorer) Abandon(ctx context.Context, task Task) (fate string, err error) {
	s, err := load(ctx, task.Checkpoints)
	if err != nil || s == nil {
		return "", err
	}
	if half := s.halfChanged(); half != "" {
		return half, nil
	}
	a := abandoning{r: r, task: &task, state: s}
	if s.SQL != nil {
		if a.sql, err = openBySQL(ctx, r, &task); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, a.sql.close()) }()
		a.server = r.server(a.sql.target)
	} else {
		a.server = r.server(nil)
	}
	if fate, err = a.all(ctx); err != nil {
		return "", err
	}
	return fate, a.end(ctx)
}

// end removes the checkpoint, unless rows of the job stay behind that only it knows of.
func (a *abandoning) end(ctx context.Context) error {
	if a.sql != nil {
		return a.endBySQL(ctx)
	}
	return a.task.Checkpoints.Save(ctx, nil)
}

// abandoning is a clean-up under way.
type abandoning struct {
	r      *Restorer
	server server
	sql    *bySQL // nil: rows went into TiDB's stores
	task   *Task
	state  *state

	// exists are the objects that are there when the clean-up begins.
	exists  map[Name]cluster.Object
	history history
	// marked are those that say so themselves, on a server without a history.
	marked map[Name]bool

	mu      sync.Mutex
	dropped int
	emptied []string
	left    []string // what stays, with the reason
	// kept tells that rows which went in by SQL stay.
	kept bool
}

// cleaners is how many tables are cleaned up at a time.
const cleaners = 4

// all does it: views first, which need the rest, then tables, sequences and databases.
func (a *abandoning) all(ctx context.Context) (fate string, err error) {
	if a.task.Owned != nil {
		if err := a.task.Owned(ctx); err != nil {
			return "", err
		}
	}
	if a.task.Hold != nil {
		ctx = fence.With(ctx, a.task.Hold)
	}
	if err := a.settle(ctx); err != nil {
		return "", err
	}
	if err := a.look(ctx); err != nil {
		return "", err
	}
	if err := a.definitions(ctx, cluster.KindView); err != nil {
		return "", err
	}
	if err := a.tables(ctx); err != nil {
		return "", err
	}
	if err := a.definitions(ctx, cluster.KindSequence); err != nil {
		return "", err
	}
	if err := a.databases(ctx); err != nil {
		return "", err
	}
	if err := a.policies(ctx); err != nil {
		return "", err
	}
	a.system()
	for _, o := range a.state.Gone {
		if a.state.Changing {
			a.left = append(a.left, fmt.Sprintf("without %s %s, which the archive has no more", strings.ToLower(o.Kind.String()), o.name()))
		}
	}
	return a.fate(), nil
}

// settle waits for what a process that died has asked the cluster to make, and could not note: it would appear behind the clean-up.
func (a *abandoning) settle(ctx context.Context) error {
	if !slices.ContainsFunc(a.state.Objects, func(o *object) bool { return o.Own && o.ID == 0 }) {
		return nil
	}
	if a.r.core == nil {
		return a.sql.settled(ctx, a.state.Mark)
	}
	_, err := a.history.has(ctx, a.server, a.state.Mark, func(*cluster.Made) bool { return false })
	return err
}

// look finds what there is of the job's objects.
func (a *abandoning) look(ctx context.Context) error {
	var databases []string
	for _, o := range a.state.Objects {
		if !slices.Contains(databases, o.DB) {
			databases = append(databases, o.DB)
		}
	}
	_, objects, err := a.server.Objects(ctx, databases)
	a.exists = make(map[Name]cluster.Object, len(objects))
	for _, o := range objects {
		a.exists[lower(Name{o.DB, o.Name})] = o
	}
	if err == nil && a.r.core == nil {
		a.marked, err = a.sql.marked(ctx, a.state)
	}
	return err
}

// fate says what was done.
func (a *abandoning) fate() string {
	var parts []string
	if a.dropped > 0 {
		parts = append(parts, "what the job had made was dropped")
	}
	slices.Sort(a.emptied)
	slices.Sort(a.left)
	if len(a.emptied) > 0 {
		parts = append(parts, "emptied again: "+enumerate(a.emptied))
	}
	if len(a.left) > 0 {
		parts = append(parts, "left behind: "+enumerate(a.left))
	}
	return strings.Join(parts, "; ")
}

// did notes what became of one thing.
func (a *abandoning) did(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// mine tells whether the job has made the object that has id now in the place of one of its own.
func (a *abandoning) mine(ctx context.Context, o *object, id int64) (bool, error) {
	if !o.Own || o.ID != 0 {
		return o.Own && o.ID == id, nil
	}
	if a.r.core == nil {
		return o.Made || a.marked[lower(o.name())], nil
	}
	return a.history.hasID(ctx, a.server, a.state.Mark, id)
}

// spare notes an object that is left alone because the job hasn't made it.
func (a *abandoning) spare(o *object) {
	a.did(func() {
		a.left = append(a.left, fmt.Sprintf("%s %s, which is not the one that the job has made", strings.ToLower(o.Kind.String()), o.name()))
	})
}

// definitions drops the views or sequences that the job has made. One may be there that it could not note any more.
func (a *abandoning) definitions(ctx context.Context, kind cluster.ObjectKind) error {
	for _, o := range a.state.Objects {
		is, exists := a.exists[lower(o.name())]
		if o.Kind != kind || !o.Own || !exists || is.Kind != kind {
			continue
		}
		switch mine, err := a.mine(ctx, o, is.ID); {
		case err != nil:
			return err
		case !mine:
			a.spare(o)
			continue
		}
		if err := a.drop(ctx, fmt.Sprintf("DROP %s IF EXISTS %s", kind, o.name())); err != nil {
			return err
		}
	}
	return nil
}

// drop drops an object. One that became of another kind is left alone by the server.
func (a *abandoning) drop(ctx context.Context, sql string) error {
	err := a.server.Define(ctx, []string{"SET SESSION foreign_key_checks = 0"}, func(exec cluster.Exec) error {
		_, err := exec(sql)
		return err
	})
	switch {
	case sqlconn.Code(err) != 0 && !fault.IsRetryable(err):
		a.did(func() { a.left = append(a.left, fmt.Sprintf("%s failed (%v)", sql, err)) })
		return nil
	case err == nil:
		a.did(func() { a.dropped++ })
	}
	return err
}

// tables cleans up the tables, several at a time.
func (a *abandoning) tables(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cleaners)
	for i, o := range a.state.Objects {
		if o.Kind != cluster.KindTable {
			continue
		}
		group.Go(fault.Contain(func() error {
			if a.sql != nil {
				return a.tableBySQL(ctx, i, o)
			}
			return a.table(ctx, i, o)
		}))
	}
	return group.Wait()
}

// table puts one table right.
func (a *abandoning) table(ctx context.Context, i int, o *object) error {
	c := a.r.core.Cluster()
	if a.state.touched(o) && !o.Done {
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("table %s, which may hold a part of the archive's changes", o.name()))
		})
		return nil
	}
	if is, exists := a.exists[lower(o.name())]; len(o.Import) == 0 && (!o.Own || !exists || is.Kind != cluster.KindTable) {
		return nil
	}
	id, exists, err := c.TableID(ctx, o.DB, o.Name)
	if err != nil {
		return err
	}
	mine, err := a.mine(ctx, o, id)
	if err != nil {
		return err
	}
	fate := ""
	if len(o.Import) > 0 {
		checkpoints := &memory{data: o.Import}
		fate, err = a.r.core.Abandon(ctx, importcore.ImportTask{
			JobID: a.task.JobID, Part: i + 1, DB: o.DB, Table: o.Name, Checkpoints: checkpoints, Owned: a.task.Owned, Hold: a.task.Hold,
		})
		if err != nil {
			return fmt.Errorf("table %s: %w", o.name(), err)
		}
	}
	if !exists {
		return nil
	}
	if o.Own && !mine {
		a.spare(o)
		return nil
	}
	if o.Sent {
		return a.sent(ctx, o)
	}
	empty, err := a.empty(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case !o.Own && fate != "" && empty:
		a.did(func() { a.emptied = append(a.emptied, o.name().String()) })
	case !o.Own && fate != "":
		a.did(func() { a.left = append(a.left, fmt.Sprintf("table %s %s", o.name(), fate)) })
	case !o.Own:
	case !empty && fate != "":
		a.did(func() { a.left = append(a.left, fmt.Sprintf("table %s %s", o.name(), fate)) })
	case !empty:
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("table %s, which holds rows that are not the job's", o.name()))
		})
	default:
		return a.drop(ctx, "DROP TABLE IF EXISTS "+o.name().String())
	}
	return nil
}

// sent drops a table that holds pairs of an archive, perhaps not all, unless others have written to it. What they write while
// it is dropped is found afterwards, in the keys of the old ids, and told.
func (a *abandoning) sent(ctx context.Context, o *object) error {
	c := a.r.core.Cluster()
	info, _, err := c.LoadTable(ctx, o.DB, o.Name)
	if err != nil {
		return err
	}
	ids := importcore.RecordIDs(info)
	others, err := c.WrittenAfter(ctx, ids, a.state.BackupTS)
	if err != nil {
		return err
	}
	if others != "" {
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("table %s, which may lack rows of the archive and holds or held %s, after the timestamp %d of the backup: "+
				"save what is of use of these, then DROP it before the archive is restored again", o.name(), others, a.state.BackupTS))
		})
		return nil
	}
	if err := a.drop(ctx, "DROP TABLE IF EXISTS "+o.name().String()); err != nil {
		return err
	}
	others, err = c.WrittenAfter(ctx, ids, a.state.BackupTS)
	if err != nil {
		others = fmt.Sprintf("what others may have written in that moment, which is not known (%v)", err)
	}
	if others != "" {
		a.did(func() {
			a.left = append(a.left, fmt.Sprintf("of table %s, with which went %s: FLASHBACK TABLE %s TO another name brings them back while tikv_gc_life_time lasts",
				o.name(), others, o.name()))
		})
	}
	return nil
}

func (a *abandoning) empty(ctx context.Context, o *object) (bool, error) {
	info, _, err := a.r.core.Cluster().LoadTable(ctx, o.DB, o.Name)
	if err != nil {
		return false, err
	}
	var indexes []string
	for _, idx := range info.Indices {
		indexes = append(indexes, idx.Name.O)
	}
	return a.r.core.Cluster().TableIsEmpty(ctx, o.DB, o.Name, nil, indexes)
}

// databases drops those that the job has made, if nothing is in them.
func (a *abandoning) databases(ctx context.Context) error {
	existing, objects, err := a.server.Objects(ctx, a.state.Databases)
	if err != nil {
		return err
	}
	for _, db := range existing {
		if slices.ContainsFunc(objects, func(o cluster.Object) bool { return strings.EqualFold(o.DB, db) }) {
			a.did(func() { a.left = append(a.left, "database "+Name{DB: db}.String()+", which isn't empty") })
			continue
		}
		programs, err := a.holdsPrograms(ctx, db)
		if err != nil {
			return err
		}
		if programs {
			a.did(func() {
				a.left = append(a.left, "database "+Name{DB: db}.String()+", which holds routines or events that are not the job's")
			})
			continue
		}
		mine, err := a.madeDatabase(ctx, db)
		if err != nil {
			return err
		}
		if !mine {
			a.did(func() { a.left = append(a.left, "database "+Name{DB: db}.String()+", which the job has not made") })
			continue
		}
		if err := a.drop(ctx, "DROP DATABASE IF EXISTS "+(Name{DB: db}).String()); err != nil {
			return err
		}
	}
	return nil
}

// madeDatabase tells whether the job has made a database.
func (a *abandoning) madeDatabase(ctx context.Context, db string) (bool, error) {
	if a.r.core == nil {
		return true, nil // it was not there when the job began, and is empty
	}
	return a.history.has(ctx, a.server, a.state.Mark, func(m *cluster.Made) bool { return m.Databases[strings.ToLower(db)] })
}

// memory is a table's checkpoint while it is given up.
type memory struct{ data []byte }

// Load implements importcore.Checkpoints.
func (m *memory) Load(context.Context) ([]byte, error) { return m.data, nil }

// Save implements importcore.Checkpoints.
func (m *memory) Save(_ context.Context, data []byte) error {
	m.data = data
	return nil
}
