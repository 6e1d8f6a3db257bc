package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/executor/job"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	all := groups([]job.Job{
		{GroupKey: "b", Status: job.Failed, CreateTime: at(5), UpdateTime: at(6)},
		{Status: job.Running, CreateTime: at(0)},
		{GroupKey: "a", Status: job.Paused, CreateTime: at(1), UpdateTime: at(2)},
		{GroupKey: "b", Status: job.Finished, CreateTime: at(3), UpdateTime: at(9)},
		{GroupKey: "b", Status: job.Finished, CreateTime: at(4), UpdateTime: at(7)},
	})
	require.Len(t, all, 2)
	texts := func(g *group) (texts []string) {
		for _, v := range g.row(time.UTC) {
			texts = append(texts, string(v))
		}
		return texts
	}
	require.Len(t, groupColumns, len(all[0].row(time.UTC)))
	require.Equal(t, []string{"a", "1", "0", "0", "0", "0", "0", "2026-01-02 03:01:00.000000", "2026-01-02 03:02:00.000000", "1"}, texts(all[0]))
	require.Equal(t, []string{"b", "3", "0", "0", "2", "1", "0", "2026-01-02 03:03:00.000000", "2026-01-02 03:09:00.000000", "0"}, texts(all[1]))
}
