package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Made is what statements with a mark have made, whatever became of it.
type Made struct {
	// IDs are those of tables, views and sequences.
	IDs map[int64]bool
	// Databases are their names in lower case.
	Databases map[string]bool
}

// MadeWith returns what CREATE statements have made whose texts held mark, by the cluster's history of changes of the schema, which keeps texts
// with their comments. So a process knows what another one has made that died before it could say so. What such a process has asked for
// is waited for: TiDB goes on with a CREATE when its client is gone, and what it makes is there before it is history. One that is still
// not at its end after settlePatience is an error that is fault.Retryable. The whole history is looked through.
func (c *Cluster) MadeWith(ctx context.Context, mark string) (made *Made, err error) {
	err = Settled(ctx, func() (waiting string, err error) {
		made, waiting, err = c.madeSoFar(ctx, mark)
		return waiting, err
	})
	return made, err
}

// Settle waits until TiDB has come to the end of all changes of the schema whose statements held mark, as MadeWith does for what is made.
func (c *Cluster) Settle(ctx context.Context, mark string) error {
	return Settled(ctx, func() (string, error) {
		jobs, err := c.queryStrings(ctx, "SELECT CONCAT('its job ', JOB_ID, ' (', JOB_TYPE, ', ', STATE, '; see ADMIN SHOW DDL JOBS)') FROM information_schema.DDL_JOBS "+
			"WHERE STATE NOT IN ('synced', 'cancelled', 'rollback done') AND JOB_TYPE NOT LIKE '%subjob%' AND LOCATE(?, QUERY) > 0", mark)
		if err != nil || len(jobs) == 0 {
			return "", failed(err, "look through the history of the schema")
		}
		return jobs[0], nil
	})
}

// Settled asks look, with growing pauses, until nothing is under way any more that a process may have asked a server for before it died. waiting is that in
// words, "" if there is nothing. What is still not at its end after settlePatience is an error that is fault.Retryable; other errors are look's and those of ctx.
func Settled(ctx context.Context, look func() (waiting string, err error)) error {
	for began, pause := time.Now(), settlePause; ; pause = min(2*pause, mostSettlePause) {
		waiting, err := look()
		if err != nil || waiting == "" {
			return err
		}
		if time.Since(began) > settlePatience {
			return fault.Retryable(fault.New(fault.Cluster, 0, "the server doesn't come to the end of %s", waiting))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// How long what is under way is waited for, and between two looks at them.
const (
	settlePatience  = 5 * time.Minute
	settlePause     = 20 * time.Millisecond
	mostSettlePause = time.Second
)

// madeSoFar is MadeWith without waiting. waiting is a statement that is under way, in words; "" if there is none.
func (c *Cluster) madeSoFar(ctx context.Context, mark string) (made *Made, waiting string, err error) {
	res, err := c.Query(ctx, "SELECT JOB_TYPE, DB_NAME, TABLE_ID, STATE, JOB_ID FROM information_schema.DDL_JOBS "+
		"WHERE JOB_TYPE LIKE 'create%' AND STATE NOT IN ('cancelled', 'rollback done') AND LOCATE(?, QUERY) > 0", mark)
	if err != nil {
		return nil, "", failed(err, "look through the history of the schema")
	}
	defer res.Close()
	made = &Made{IDs: map[int64]bool{}, Databases: map[string]bool{}}
	var together []int64
	for i := range res.RowNumber() {
		kind, err1 := res.GetString(i, 0)
		db, err2 := res.GetString(i, 1)
		id, err3 := res.GetInt(i, 2)
		state, err4 := res.GetString(i, 3)
		job, err5 := res.GetInt(i, 4)
		switch err := errors.Join(err1, err2, err3, err4, err5); {
		case err != nil:
			return nil, "", failed(err, "look through the history of the schema")
		case state != "synced":
			waiting = fmt.Sprintf("its job %d (%s, %s; see ADMIN SHOW DDL JOBS)", job, kind, state)
		case kind == "create schema":
			made.Databases[strings.ToLower(db)] = true
		case kind == "create tables":
			together = append(together, job)
		default:
			made.IDs[id] = true
		}
	}
	if waiting == "" {
		err = c.madeTogether(ctx, mark, together, made)
	}
	return made, waiting, err
}

// historyChunk is how many jobs of the history are read at a time: the tables of a job may be in the thousands.
const historyChunk = 50

// madeTogether adds tables that TiDB has made in one job with others, of other sessions too, because their statements came at the same
// time (tidb_enable_fast_create_table). The job's statement is all of theirs, and its TABLE_ID that of the first.
func (c *Cluster) madeTogether(ctx context.Context, mark string, jobs []int64, made *Made) error {
	for chunk := range slices.Chunk(jobs, historyChunk) {
		res, err := c.Query(ctx, "SELECT job_meta FROM mysql.tidb_ddl_history WHERE job_id IN ("+strings.TrimPrefix(strings.Repeat(", ?", len(chunk)), ", ")+")",
			anys(chunk)...)
		if err != nil {
			return failed(err, "look through the history of the schema")
		}
		for i := range res.RowNumber() {
			data, err := res.GetString(i, 0)
			if err == nil {
				err = made.addTogether([]byte(data), mark)
			}
			if err != nil {
				res.Close()
				return failed(err, "look through the history of the schema")
			}
		}
		res.Close()
	}
	return nil
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// addTogether adds the tables of a job, as the history keeps it, whose statements have the mark.
func (m *Made) addTogether(data []byte, mark string) error {
	var job model.Job
	if err := job.Decode(data); err != nil {
		return fmt.Errorf("a job of the history: %w", err)
	}
	if job.BinlogInfo == nil {
		return nil
	}
	ours := markedTables(job.Query, mark)
	for _, t := range job.BinlogInfo.MultipleTableInfos {
		if ours[t.Name.L] {
			m.IDs[t.ID] = true
		}
	}
	return nil
}

// createdName is what follows the mark in a CREATE TABLE.
var createdName = regexp.MustCompile("(?i)^ \\*/ TABLE (?:IF NOT EXISTS )?(?:(?:`(?:[^`]|``)*`|[^`. (]+)\\.)?(?:`((?:[^`]|``)*)`|([^`. (]+))")

// markedTables returns the names of the tables, in lower case, that the statements with the mark in a text make.
func markedTables(text, mark string) map[string]bool {
	names := map[string]bool{}
	for _, rest := range strings.Split(text, mark)[1:] {
		if m := createdName.FindStringSubmatch(rest); m != nil {
			names[strings.ToLower(strings.ReplaceAll(m[1]+m[2], "``", "`"))] = true
		}
	}
	return names
}
