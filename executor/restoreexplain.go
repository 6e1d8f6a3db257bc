package executor

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/importcore/restore"
)

// explainRestore is EXPLAIN RESTORE, and RESTORE ... DRY RUN. Nothing is reserved or changed. That something critical is
// found is no error here.
func (e *Executor) explainRestore(ctx context.Context, spec *Spec) (*Result, error) {
	store, engine, err := e.services.getWithoutTables(ctx)
	if err != nil {
		return nil, err
	}
	found, err := engine.Inspect(ctx, e.task(0, spec), true)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: explainColumns}
	add := func(item, status string, value Value, detail string) {
		r.Rows = append(r.Rows, []Value{Value(item), Value(status), value, Value(messageText(detail))})
	}
	for i := range found.Findings {
		r.Rows = append(r.Rows, findingRow(&found.Findings[i]))
	}
	c := found.Contents
	if c == nil {
		return r, nil
	}
	if store != nil {
		for _, t := range c.Tables {
			id, err := store.ActiveOn(ctx, 0, t.To.DB, t.To.Table)
			if err != nil {
				return nil, err
			}
			if id != 0 {
				add("active_job", "critical", nil, fmt.Sprintf("there is active job on the table %s already: job %d", t.To, id))
			}
		}
	}
	add("source", statusExact, nil, c.Source)
	add("source_size", statusExact, intValue(c.Bytes), size(c.Bytes))
	add("databases", statusExact, intValue(int64(len(c.Databases))), strings.Join(c.Databases, ", "))
	add("tables", statusExact, intValue(int64(len(c.Tables))), "")
	for i := range c.Tables {
		add("table", statusExact, intValue(c.Tables[i].Bytes), tableDetail(&c.Tables[i]))
	}
	for _, o := range c.Views {
		add("view", statusExact, nil, objectDetail([]restore.Name{o.From}, o.To, o.Exists))
	}
	for _, o := range c.Sequences {
		add("sequence", statusExact, nil, objectDetail([]restore.Name{o.From}, o.To, o.Exists))
	}
	if c.System != nil {
		add("accounts", statusExact, intValue(int64(c.System.Accounts)), "")
		add("bindings", statusExact, intValue(int64(c.System.Bindings)), "")
	}
	for _, f := range c.Skipped {
		add("skipped_file", statusExact, nil, f.Path+": "+f.Reason)
	}
	return r, nil
}

func tableDetail(t *restore.Table) string {
	files := "1 file"
	if t.Files != 1 {
		files = fmt.Sprintf("%d files", t.Files)
	}
	return objectDetail(t.From, t.To, t.Exists) + ", " + files
}

// objectDetail says where something comes from, if it has another name there, and whether it exists.
func objectDetail(from []restore.Name, to restore.Name, exists bool) string {
	text := to.String()
	var names []string
	for _, f := range from {
		if f != to {
			names = append(names, f.String())
		}
	}
	if len(names) > 0 {
		text += " from " + strings.Join(names, ", ")
	}
	if exists {
		text += ", which exists and stays as it is"
	}
	return text
}
