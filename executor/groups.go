package executor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/sqlext"
)

// groupColumns are those of newer TiDBs, and the number of paused jobs behind.
var groupColumns = []Column{
	textColumn("Group_Key"), intColumn("Total_Jobs"), intColumn("Pending"), intColumn("Running"), intColumn("Completed"),
	intColumn("Failed"), intColumn("Cancelled"), timeColumn("First_Job_Create_Time"), timeColumn("Last_Job_Update_Time"),
	intColumn("Paused"),
}

// group is what SHOW IMPORT GROUPS says of one.
type group struct {
	key           string
	total         int64
	states        map[job.Status]int64
	first, latest time.Time
}

// showGroups is SHOW IMPORT GROUPS and SHOW IMPORT GROUP 'key', over the jobs
// that the user may see.
func (e *Executor) showGroups(ctx context.Context, s Session, st *sqlext.ShowImportGroups) (*Result, error) {
	jobs, state, err := e.visibleJobs(ctx, s)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: groupColumns}
	for _, g := range groups(jobs) {
		if st.Key == nil || *st.Key == g.key {
			r.Rows = append(r.Rows, g.row(state.timeZone))
		}
	}
	return r, nil
}

// groups counts jobs by group, in the order of the keys. Jobs without one are left out.
func groups(jobs []job.Job) []*group {
	byKey := map[string]*group{}
	var all []*group
	for i := range jobs {
		j := &jobs[i]
		if j.GroupKey == "" {
			continue
		}
		g := byKey[j.GroupKey]
		if g == nil {
			g = &group{key: j.GroupKey, states: map[job.Status]int64{}, first: j.CreateTime}
			byKey[j.GroupKey] = g
			all = append(all, g)
		}
		g.total++
		g.states[j.Status]++
		if j.CreateTime.Before(g.first) {
			g.first = j.CreateTime
		}
		if j.UpdateTime.After(g.latest) {
			g.latest = j.UpdateTime
		}
	}
	slices.SortFunc(all, func(a, b *group) int { return strings.Compare(a.key, b.key) })
	return all
}

func (g *group) row(zone *time.Location) []Value {
	row := []Value{Value(g.key), intValue(g.total)}
	for _, s := range []job.Status{job.Pending, job.Running, job.Finished, job.Failed, job.Cancelled} {
		row = append(row, intValue(g.states[s]))
	}
	return append(row, timeValue(g.first, zone), timeValue(g.latest, zone), intValue(g.states[job.Paused]))
}
