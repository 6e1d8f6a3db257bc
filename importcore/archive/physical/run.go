package physical

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/ingest"
	"github.com/sluicedb/sluice/importcore/kv"
)

// Cluster is what a restore needs of a cluster; *cluster.Cluster implements it.
type Cluster interface {
	ingest.Cluster
	// ChecksumRewritten returns sums as they would be with the keys that pairs had before.
	ChecksumRewritten(ctx context.Context, owner string, groups [][]cluster.RewrittenRange, atOnce int) ([]kv.Checksum, error)
}

// Run brings all files into the cluster but for the ranges that are done already. opts need not say where the files are
// and how they are encrypted; where they are is told with the credentials of the archive's folder unless opts has another place. Errors are those of
// ingest.RunDownloads and ingest.Run.
func (p *Plan) Run(ctx context.Context, c Cluster, opts ingest.DownloadOptions, done checkpoint.Ranges) (ingest.Stats, error) {
	if opts.Storage == nil {
		opts.Storage = p.archive.Folder().Backend()
	}
	opts.CacheID, opts.Cipher = "sluice-"+uuid.NewString(), p.archive.Cipher().Info()
	var left []ingest.Download
	for _, part := range p.parts {
		for _, missing := range done.Missing(part.Start, part.End) {
			part.Start, part.End = missing[0], missing[1]
			left = append(left, part)
		}
	}
	stats, err := ingest.RunDownloads(ctx, c, left, opts)
	if err != nil || len(p.global) == 0 {
		return stats, err
	}
	global, err := p.runGlobal(ctx, c, opts.Options, done)
	stats.Pairs, stats.Bytes, stats.SSTs, stats.Regions = stats.Pairs+global.Pairs, stats.Bytes+global.Bytes, stats.SSTs+global.SSTs, stats.Regions+global.Regions
	return stats, err
}

// Verify compares what the cluster has of each table with what the archive says that it had, and returns the sums in the order of
// the plan's targets, with the archive's keys. Of indexes over all partitions, whose values are others, it reads the archive once more. All tables that
// differ are in the error. atOnce is as in ChecksumRewritten.
func (p *Plan) Verify(ctx context.Context, c Cluster, owner string, atOnce int) ([]kv.Checksum, error) {
	groups := make([][]cluster.RewrittenRange, len(p.tables))
	for i := range p.tables {
		if !p.tables[i].Base {
			groups[i] = p.tables[i].written()
		}
	}
	sums, err := c.ChecksumRewritten(ctx, owner, groups, atOnce)
	if err != nil {
		return nil, err
	}
	var problems []error
	for i, t := range p.tables {
		if t.Base {
			continue
		}
		want, err := p.wanted(ctx, &p.tables[i])
		if err != nil {
			return nil, err
		}
		if sums[i] != want {
			problems = append(problems, fault.New(fault.Cluster, 0,
				"table `%s`.`%s`: checksum mismatched remote vs archive => (checksum: %d vs %d) (total_kvs: %d vs %d) (total_bytes:%d vs %d)",
				t.DB, t.To.Name.O, sums[i].Sum, want.Sum, sums[i].Pairs, want.Pairs, sums[i].Bytes, want.Bytes))
		}
	}
	if len(problems) > 0 {
		return sums, together(problems)
	}
	return sums, nil
}

// written are the ranges of the cluster in which nothing but the table's pairs may be: one for each table or partition if none of its indexes
// has another id than in the archive, and one for each rule otherwise.
func (t *planned) written() []cluster.RewrittenRange {
	var out []cluster.RewrittenRange
	for rest := t.rules; len(rest) > 0; {
		n := 1
		for n < len(rest) && bytes.Equal(rest[n].Old[:tableLen], rest[0].Old[:tableLen]) {
			n++
		}
		whole := n > 1
		for _, r := range rest[:n] {
			whole = whole && bytes.Equal(r.Old[tableLen:], r.New[tableLen:]) && bytes.Equal(r.New[:tableLen], rest[0].New[:tableLen])
		}
		if whole {
			out = append(out, writtenBy(rest[0].Old[:tableLen], rest[0].New[:tableLen]))
		} else {
			for _, r := range rest[:n] {
				out = append(out, writtenBy(r.Old, r.New))
			}
		}
		rest = rest[n:]
	}
	return out
}

func writtenBy(old, now []byte) cluster.RewrittenRange {
	return cluster.RewrittenRange{KeyRange: cluster.KeyRange{Start: now, End: archive.After(now)}, Old: old, New: now}
}
