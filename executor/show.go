package executor

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/sqlext"
)

// showJobs is SHOW IMPORT JOBS: the user's own jobs, or all for SUPER.
func (e *Executor) showJobs(ctx context.Context, s Session, st *sqlext.ShowImportJobs) (*Result, error) {
	jobs, state, err := e.visibleJobs(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		e.live(&jobs[i])
	}
	if st.Where != "" {
		if err := checkCharset(st.Where, state.charset); err != nil {
			return nil, err
		}
		r := jobResult(jobs, state.timeZone)
		r.Rows, err = filterRows(ctx, s, r, st.Where)
		return r, err
	}
	return jobResult(jobs, state.timeZone), nil
}

// visibleJobs are those that the user may see.
func (e *Executor) visibleJobs(ctx context.Context, s Session) ([]job.Job, *sessionState, error) {
	state, store, super, err := e.askForJobs(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	owner := state.account
	if super {
		owner = ""
	}
	jobs, err := store.List(ctx, owner)
	return jobs, state, err
}

// showJob is SHOW IMPORT JOB n.
func (e *Executor) showJob(ctx context.Context, s Session, id int64) (*Result, error) {
	state, store, super, err := e.askForJobs(ctx, s)
	if err != nil {
		return nil, err
	}
	j, err := visibleJob(ctx, store, id, state.account, super)
	if err != nil {
		return nil, err
	}
	e.live(&j)
	return jobResult([]job.Job{j}, state.timeZone), nil
}

// askForJobs gathers what every statement about existing jobs needs.
func (e *Executor) askForJobs(ctx context.Context, s Session) (*sessionState, *jobstore.Store, bool, error) {
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, nil, false, err
	}
	super, err := privilege.IsSuper(ctx, s)
	if err != nil {
		return nil, nil, false, err
	}
	store, err := e.services.getStore(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	return state, store, super, nil
}

// visibleJob returns a job that the account may see and control.
func visibleJob(ctx context.Context, store *jobstore.Store, id int64, account string, super bool) (job.Job, error) {
	j, err := store.Get(ctx, id)
	if errors.Is(err, jobstore.ErrNotFound) {
		return job.Job{}, codedError(errno.ErrLoadDataJobNotFound, id)
	}
	if err != nil {
		return job.Job{}, err
	}
	if !super && j.CreatedBy != account {
		return job.Job{}, errNeedsSuper()
	}
	return j, nil
}

// filterRows lets the cluster evaluate LIKE and WHERE, on the user's connection
// and so with the user's rights: the rows go there as literals and the ids of
// those that pass come back. The first column is the id.
func filterRows(ctx context.Context, s Session, all *Result, where string) ([][]Value, error) {
	kept := make([][]Value, 0, len(all.Rows))
	for some := range slices.Chunk(all.Rows, filterChunk) {
		r, err := s.Query(ctx, filterQuery(all.Columns, some, where))
		if err != nil {
			return nil, err
		}
		passed := make(map[string]bool, r.RowNumber())
		for i := range r.RowNumber() {
			id, err := r.GetInt(i, 0)
			if err != nil {
				return nil, err
			}
			passed[strconv.FormatInt(id, 10)] = true
		}
		for _, row := range some {
			if passed[string(row[0])] {
				kept = append(kept, row)
			}
		}
	}
	return kept, nil
}

// filterChunk is the number of jobs in one query: the text has to stay small for
// the cluster's parser and planner, however many jobs are kept.
const filterChunk = 100

func filterQuery(columns []Column, rows [][]Value, where string) string {
	var sb strings.Builder
	sb.WriteString("SELECT `" + columns[0].Name + "` FROM (")
	for i, row := range rows {
		if i > 0 {
			sb.WriteString(" UNION ALL ")
		}
		sb.WriteString("SELECT ")
		for c, value := range row {
			if c > 0 {
				sb.WriteString(", ")
			}
			sb.WriteString(literal(columns[c], value))
			sb.WriteString(" AS `" + columns[c].Name + "`")
		}
	}
	sb.WriteString(") AS `jobs` WHERE " + where)
	return sb.String()
}

// literal writes a value as SQL of its column's type. Texts go as hexadecimal,
// which no sql_mode changes.
func literal(c Column, v Value) string {
	var text string
	if v == nil {
		text = "NULL"
	} else {
		text = "CONVERT(x'" + hex.EncodeToString(v) + "' USING utf8mb4)"
	}
	switch c.Type {
	case jobColumns[0].Type:
		if v != nil {
			if _, err := strconv.ParseUint(strings.TrimPrefix(string(v), "-"), 10, 64); err == nil {
				text = string(v)
			}
		}
		if c.Flags&mysql.UNSIGNED_FLAG != 0 {
			return "CAST(" + text + " AS UNSIGNED)"
		}
		return "CAST(" + text + " AS SIGNED)"
	case timeColumn("").Type, datetimeColumn("").Type:
		return "CAST(" + text + " AS DATETIME(6))"
	case doubleColumn("").Type:
		return "CAST(" + text + " AS DOUBLE)"
	}
	return text
}
