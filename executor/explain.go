package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/go-units"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/sqlext"
)

// explainColumns are those of EXPLAIN IMPORT INTO: what is looked at, what it is
// like, a number where there is one (of files, bytes, rows, seconds), and the rest in words.
var explainColumns = []Column{textColumn("Item"), textColumn("Status"), intColumn("Value"), textColumn("Detail")}

// Values of the column Status beside those of findings.
const (
	statusExact    = "exact"
	statusEstimate = "estimate"
)

// explainImport is EXPLAIN IMPORT INTO, and IMPORT INTO ... WITH dry_run. Nothing
// is reserved or changed. That something critical is found is no error here.
func (e *Executor) explainImport(ctx context.Context, s Session, st *sqlext.ImportInto) (_ *Result, err error) {
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, err
	}
	spec, err := e.checkedSpec(ctx, s, st, state)
	if err != nil {
		return nil, err
	}
	task := e.task(0, spec)
	store, engine, err := e.services.getWithoutTables(ctx)
	if err != nil {
		return nil, err
	}
	found, err := engine.Inspect(ctx, task, true)
	if err != nil {
		return nil, err
	}
	if found.Plan != nil {
		defer func() { err = errors.Join(err, found.Plan.Close()) }()
	}
	findings, err := accessFindings(ctx, store, found.TableID, spec)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: explainColumns}
	for _, f := range append(findings, found.Findings...) {
		r.Rows = append(r.Rows, findingRow(&f))
	}
	if found.Estimate != nil {
		r.Rows = append(r.Rows, estimateRows(found.Estimate, task.Threads)...)
	}
	return r, nil
}

func findingRow(f *precheck.Finding) []Value {
	return []Value{Value(f.Check), Value(f.Status()), nil, Value(messageText(f.Message))}
}

// estimateRows tell what would be read and made.
func estimateRows(est *importcore.Estimate, threads int) [][]Value {
	var rows [][]Value
	add := func(item, status string, value int64, detail string, args ...any) {
		v := intValue(value)
		if value < 0 {
			v = nil
		}
		rows = append(rows, []Value{Value(item), Value(status), v, Value(messageText(fmt.Sprintf(detail, args...)))})
	}
	seconds := func(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

	names := est.FirstFile
	if est.Files > 1 {
		names += " to " + est.LastFile
	}
	add("source_files", statusExact, int64(est.Files), "%s", names)
	add("source_size", statusExact, est.SourceBytes, "%s", size(est.SourceBytes))
	status, basis := statusEstimate, "extrapolated from "+precheck.Counted(est.SampledRows, "row")
	switch {
	case est.Exact:
		status, basis = statusExact, "all rows were read"
	case est.SampledRows == 0:
		basis = "a rule of thumb, as no row could be encoded"
	}
	if est.SampledRows > 0 {
		add("rows", status, est.Rows, "%s", basis)
		add("sorted_size", status, est.PairBytes, "%s in %s, %s of it in rows and the rest in index entries; %s",
			size(est.PairBytes), precheck.Counted(est.Pairs, "pair"), size(est.RecordBytes), basis)
	} else {
		add("rows", status, -1, "unknown")
		add("sorted_size", status, est.PairBytes, "%s; %s", size(est.PairBytes), basis)
	}
	if est.Rounds > 0 {
		add("sort_disk", statusEstimate, est.Spill, "%s in the sort directory, because of disk_quota: the source is imported in about %d parts", size(est.Spill), est.Rounds)
	} else if est.Spill > 0 {
		add("sort_disk", statusEstimate, est.Spill, "%s in the sort directory, because sorting has %s of memory", size(est.Spill), size(est.SortMemory))
	} else {
		add("sort_disk", statusEstimate, 0, "none: sorting has %s of memory", size(est.SortMemory))
	}
	if est.Regions > 0 {
		add("regions", statusEstimate, est.Regions, "filled to the size at which TiKV splits them")
	} else {
		add("regions", statusEstimate, -1, "unknown: the cluster could not be asked")
	}
	if est.SampledRows > 0 {
		add("encode_time", statusEstimate, seconds(est.Encode), "seconds with %s, at the speed at which the sample was encoded", precheck.Counted(int64(threads), "thread"))
	}
	if est.Regions > 0 {
		add("ingest_time", statusEstimate, seconds(est.Ingest), "seconds, if each store takes %s per second; checksum and statistics come on top", size(est.WriteSpeed))
	}
	return rows
}

func size(n int64) string { return units.BytesSize(float64(n)) }
