package restore

import (
	"context"
	"slices"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
)

// checkCompact refuses to compact where there are no stores.
func (p *Plan) checkCompact() error {
	if p.task.Options.Compact && p.sql != nil {
		return fault.New(fault.User, codePrecheckFailed, "COMPACT = TRUE can't be used where rows go in by SQL (BACKEND = 'tidb', or a server that isn't TiDB)")
	}
	return nil
}

// compact has the stores compact what was restored. Rows are whole without that: an error is a warning, unless the job can't go on behind it. A job that
// goes on does it once more.
func (p *Plan) compact(ctx context.Context) error {
	ranges, err := p.restoredRanges(ctx)
	if err == nil {
		err = p.r.core.Cluster().Compact(ctx, ranges)
	}
	if err != nil {
		if p.ends(ctx, err) {
			return err
		}
		p.warn("the rows are restored, but not compacted: %v", err)
	}
	return nil
}

// restoredRanges are the keys of all tables with rows, those of tables with ids in a row as one range.
func (p *Plan) restoredRanges(ctx context.Context) (ranges []cluster.KeyRange, err error) {
	infos, err := p.loadTables(ctx, slices.DeleteFunc(slices.Clone(p.tables), func(t *table) bool { return t.state.Rows == 0 }))
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, info := range infos {
		ids = append(append(ids, info.ID), importcore.RecordIDs(info)...) // a partitioned table's own id is that of its global indexes
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		start, end := tablecodec.EncodeTablePrefix(id), tablecodec.EncodeTablePrefix(id+1)
		if n := len(ranges); n > 0 && slices.Equal(ranges[n-1].End, start) {
			ranges[n-1].End = end
			continue
		}
		ranges = append(ranges, cluster.KeyRange{Start: start, End: end})
	}
	return ranges, nil
}
