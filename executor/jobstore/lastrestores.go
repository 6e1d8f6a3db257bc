package jobstore

import (
	"context"
	"slices"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// LastRestores returns, by the tables' NameKey, the newest restore that has brought something into each of them: one that has finished, or one that failed
// or was cancelled and kept its checkpoint, because it has left a part of its work behind. Tables without one, or whose job is no longer kept, are left out.
// Tables need DB and Name only.
func (s *Store) LastRestores(ctx context.Context, tables []job.Table) (map[string]job.LastRestore, error) {
	last := map[string]job.LastRestore{}
	err := s.pool.Use(ctx, func(c *sqlconn.Session) error {
		for chunk := range slices.Chunk(tables, tablesChunk) {
			args := []any{string(job.Restore)}
			for i := range chunk {
				args = append(args, chunk[i].NameKey())
			}
			args = append(args, string(job.Finished), string(job.Failed), string(job.Cancelled))
			r, err := c.Exec("SELECT t.name_key, j.id, j.status, j.result FROM "+s.schema+".job_tables t JOIN "+s.schema+".jobs j ON j.id = t.job_id "+
				"WHERE j.kind = ? AND t.name_key IN ("+placeholders(len(chunk))+") AND (j.status = ? OR j.status IN (?, ?) AND "+
				"EXISTS (SELECT 1 FROM "+s.schema+".checkpoints c WHERE c.job_id = j.id)) ORDER BY j.id", args...)
			if err != nil {
				return err
			}
			for i := range r.RowNumber() {
				sc := rowScanner{r: r, row: i}
				var key, status string
				var found job.LastRestore
				sc.string(&key)
				sc.int(&found.JobID)
				sc.string(&status)
				sc.string(&found.Result)
				if sc.err != nil {
					return sc.err
				}
				found.Finished = job.Status(status) == job.Finished
				last[key] = found
			}
		}
		return nil
	})
	return last, wrap("find the last restores of tables", err)
}
