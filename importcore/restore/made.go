package restore

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
)

// # What the job has made
//
// That an object of the right name is there doesn't say that the job has made it: others may have, after the prechecks, or
// in the place of the job's. The job goes by the ids of what its CREATE statements made. One that it could not note, because
// the process died or the answer was lost, is found in the cluster's history of changes of the schema, by a mark in the statement's text. What a
// server without a history and without ids has for it is in marks.go.

// marked returns a statement that changes the schema with the job's mark in it.
func (s *state) marked(sql string) string {
	verb, rest, ok := strings.Cut(sql, " ")
	if !ok || s.Mark == "" || !slices.Contains([]string{"CREATE", "ALTER", "DROP", "RENAME"}, verb) {
		return sql
	}
	return verb + " /* " + s.Mark + " */ " + rest
}

// history is what the cluster's history says of a job, asked for as seldom as that is enough.
type history struct {
	mu   sync.Mutex
	made *cluster.Made
}

// has tells whether the job has made what known looks for.
func (h *history) has(ctx context.Context, c server, mark string, known func(*cluster.Made) bool) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mark == "" || h.made != nil && known(h.made) {
		return mark != "", nil
	}
	made, err := c.MadeWith(ctx, mark)
	if err != nil {
		return false, err
	}
	h.made = made
	return known(made), nil
}

// hasID is has for a table, a view or a sequence.
func (h *history) hasID(ctx context.Context, c server, mark string, id int64) (bool, error) {
	return h.has(ctx, c, mark, func(m *cluster.Made) bool { return m.IDs[id] })
}

// adopt is called when an object that the job was about to make exists: it returns its id if the job has made it nevertheless,
// and an error that names it if others have. Then it is not touched any more.
func (p *Plan) adopt(ctx context.Context, o *object) (id int64, err error) {
	c := p.server
	id, ok, err := c.TableID(ctx, o.DB, o.Name)
	if err != nil {
		return 0, err
	}
	if ok && p.foreign() {
		marked, err := p.sql.marked(ctx, p.saved)
		if err != nil {
			return 0, err
		}
		ok = marked[lower(o.name())]
	} else if ok {
		if ok, err = p.history.hasID(ctx, c, p.saved.Mark, id); err != nil {
			return 0, err
		}
	}
	if !ok {
		return 0, fault.New(fault.User, errno.ErrTableExists, "%s %s was made by others after the restore's checks, and is left as it is",
			strings.ToLower(o.Kind.String()), o.name())
	}
	return id, nil
}

// checkMade looks whether all that the job has made so far, and the tables that it found, are still there: an error names those that aren't.
func (p *Plan) checkMade(ctx context.Context) error {
	var names []string
	for _, d := range p.databases {
		names = append(names, d.name)
	}
	_, objects, err := p.server.Objects(ctx, names)
	if err != nil {
		return err
	}
	have := make(map[Name]cluster.Object, len(objects))
	for _, o := range objects {
		have[lower(Name{o.DB, o.Name})] = o
	}
	var gone []string
	for _, o := range p.saved.Objects {
		now, exists := have[lower(o.name())]
		if o.Own && !o.Made || exists && now.Kind == o.Kind && (o.ID == 0 || o.ID == now.ID) {
			continue
		}
		gone = append(gone, strings.ToLower(o.Kind.String())+" "+o.name().String())
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	return replaced(enumerate(gone))
}

// replaced is the error of objects that others have taken away from the job.
func replaced(what string) error {
	return fault.New(fault.User, codePrecheckFailed, "%s: dropped, renamed, truncated or replaced while the restore went on", what)
}
