package importcore

import "context"

// checkForeignKeys asks the cluster for a row whose parent is missing, unless
// the session doesn't want foreign keys checked. Parents may be in the table
// itself, so it is done when all rows are there.
func (r *run) checkForeignKeys(ctx context.Context) error {
	if r.plan.Task.IgnoreForeignKeys {
		return nil
	}
	for _, fk := range r.plan.target.ForeignKeys() {
		if err := r.core.cluster.CheckForeignKey(ctx, r.plan.Task.DB, r.plan.Task.Table, fk); err != nil {
			return err
		}
	}
	return nil
}
