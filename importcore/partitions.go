package importcore

import (
	"bytes"
	"context"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
)

// The keys of a partitioned table lie in as many places as it has partitions.
// Their table ids are consecutive if the partitions were made together; a
// partition that came or was truncated later has an id behind those of other
// tables, which must be left in peace: neither scattered nor kept from PD's
// schedulers.

// spansOf returns the key ranges of tables, whose ids ascend: one for each run
// of consecutive ids.
func spansOf(ids []int64) []cluster.KeyRange {
	var spans []cluster.KeyRange
	for i, id := range ids {
		end := tablecodec.EncodeTablePrefix(id + 1)
		if i > 0 && ids[i-1]+1 == id {
			spans[len(spans)-1].End = end
			continue
		}
		spans = append(spans, cluster.KeyRange{Start: tablecodec.EncodeTablePrefix(id), End: end})
	}
	return spans
}

// cutToSpans cuts ranges, which cover all pairs, so that none reaches beyond a
// span. Both are in key order, and every pair lies in a span.
func cutToSpans(ranges []sortkv.Range, spans []cluster.KeyRange) []sortkv.Range {
	if len(spans) < 2 {
		return ranges
	}
	var cut []sortkv.Range
	for _, rng := range ranges {
		first := len(cut)
		for _, span := range spans {
			part := rng
			if bytes.Compare(span.Start, part.Start) > 0 {
				part.Start = span.Start
			}
			if bytes.Compare(span.End, part.End) < 0 {
				part.End = span.End
			}
			if bytes.Compare(part.Start, part.End) < 0 {
				cut = append(cut, part)
			}
		}
		for i := first; i < len(cut); i++ { // nothing says what is in which part
			cut[i].Bytes /= int64(len(cut) - first)
			cut[i].Keys /= int64(len(cut) - first)
		}
	}
	return cut
}

// joined returns what ranges in key order cover, those that touch as one.
func joined(ranges []sortkv.Range) []cluster.KeyRange {
	var out []cluster.KeyRange
	for i, rng := range ranges {
		if i > 0 && bytes.Equal(ranges[i-1].End, rng.Start) {
			out[len(out)-1].End = rng.End
			continue
		}
		out = append(out, cluster.KeyRange{Start: rng.Start, End: rng.End})
	}
	return out
}

// reserveIDs gives those who write to other partitions meanwhile ids behind the
// job's. Whoever was given some while the source was read may have the same
// ones: no key is the same, since the partitions differ, but the user has to know.
func (r *run) reserveIDs(ctx context.Context) error {
	task := r.plan.Task
	if len(task.Partitions) == 0 || r.plan.filled || r.ids == (cluster.AutoIDs{}) {
		return nil // a table with rows has had it done when they were looked at
	}
	next, err := r.core.cluster.NextRowID(ctx, task.DB, task.Table)
	if err != nil {
		return err
	}
	if next != r.firstRowID {
		r.warn("while the source was read, others were given automatic ids of the table: rows of other partitions may have the same ones", nil)
	}
	return r.core.cluster.RebaseAutoIDs(r.fenced(ctx), task.DB, task.Table, r.ids)
}

// remoteChecksum asks the cluster for the sum over what the job was to fill: the
// table, or the partitions that it names.
func (r *run) remoteChecksum(ctx context.Context) (kv.Checksum, error) {
	task := r.plan.Task
	owner := ""
	if r.leased() {
		owner = cluster.JobOwner(task.JobID, "checksum")
	}
	if len(task.Partitions) == 0 {
		return r.core.cluster.ChecksumTable(ctx, owner, task.DB, task.Table, task.ChecksumConcurrency)
	}
	var ranges []cluster.KeyRange
	for _, id := range r.plan.encoding.Tables() {
		records := tablecodec.GenTableRecordPrefix(id)
		ranges = append(ranges, cluster.KeyRange{Start: records, End: records.PrefixNext()})
		for _, idx := range r.plan.target.Indexes() {
			entries := tablecodec.EncodeTableIndexPrefix(id, idx.ID)
			ranges = append(ranges, cluster.KeyRange{Start: entries, End: entries.PrefixNext()})
		}
	}
	return r.core.cluster.ChecksumRanges(ctx, owner, ranges)
}
