package restore

import (
	"context"
	"errors"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/source"
)

// checkHeaders compares the header of each table's first CSV file with the table's columns, before anything is made. Further files
// of a table, which seldom have other headers, are read when its rows are brought in.
func (p *Plan) checkHeaders(ctx context.Context) error {
	if p.archived != nil || !p.task.Options.CSVHeader || p.saved != nil {
		return nil
	}
	wrong := make([]error, len(p.tables))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(schemaReaders)
	for i, t := range p.tables {
		file := t.firstCSV()
		columns := t.columnNames()
		if file == nil || columns == nil {
			continue
		}
		group.Go(fault.Contain(func() error {
			h, err := csv.ReadHeader(groupCtx, p.unpacked, &file.File, p.task.Options.CSV)
			if errors.Is(err, source.ErrAway) || groupCtx.Err() != nil {
				return err
			}
			if err == nil && h != nil {
				err = unknownName(h, columns)
			}
			wrong[i] = err
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, err := range wrong {
		if err != nil {
			f := precheck.FailWith(err)
			f.Check = precheck.CSVHeader
			p.findings = append(p.findings, f)
		}
	}
	return nil
}

// unknownName is the error for a header that names something else than columns, or one twice.
func unknownName(h *csv.Header, columns map[string]bool) error {
	named := map[string]bool{}
	for _, name := range h.Names {
		l := strings.ToLower(name)
		switch {
		case !columns[l]:
			return fault.New(fault.User, errno.ErrBadField, "Unknown column '%s' in 'field list': the columns are those that the file's header names", name).Place(h.At)
		case named[l]:
			return fault.New(fault.User, errno.ErrFieldSpecifiedTwice, "Column '%s' specified twice: the columns are those that the file's header names", name).Place(h.At)
		}
		named[l] = true
	}
	return nil
}

// firstCSV is nil for a table without files of that format.
func (t *table) firstCSV() *dump.Data {
	for i := range t.data {
		if t.data[i].Format == dump.FormatCSV {
			return &t.data[i]
		}
	}
	return nil
}

// columnNames are those that a header may name, in lower case: of the table that is there, or as the dump makes it. nil: that isn't known.
func (t *table) columnNames() map[string]bool {
	names := t.columns
	if !t.exists && t.made != nil {
		for _, c := range t.made.Columns {
			names = append(names, c.Name.Name.L)
		}
	}
	if len(names) == 0 {
		return nil
	}
	set := map[string]bool{}
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}
