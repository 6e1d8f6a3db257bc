package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/archiverows"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// # Archives by SQL
//
// The archive's files are read and decoded here, and not by the stores: what the rows go into may be any server, and may hold rows. Ids don't
// matter, so tables are taken too that could not be made with the ids they had.

// optionsBySQL refuses options that rows of an archive by SQL can't have; refuse names them.
func (p *Plan) optionsBySQL(refuse func(string) error) error {
	o := &p.task.Options
	given := slices.DeleteFunc(slices.Clone(o.ForDumps), func(name string) bool { return name == "ON_DUPLICATE" })
	for _, name := range o.ForArchives {
		if !strings.HasPrefix(name, "ENCRYPTION_") {
			return fault.New(fault.User, codePrecheckFailed, "%s can't be used where rows go in by SQL (BACKEND = 'tidb', or a server that isn't TiDB)", name)
		}
	}
	switch {
	case len(given) > 0:
		return refuse(strings.Join(given, ", "))
	case o.SkipSchemaFiles:
		return refuse("skip_schema_files")
	case o.OnDuplicate == importcore.DuplicateCapture:
		return refuse("on_duplicate = capture")
	}
	return nil
}

// decodedRows are the rows of a table of the archive, with the values that it holds, whatever a session would make of them.
func (p *Plan) decodedRows(ctx context.Context, t *table) (*rowSource, error) {
	folder, err := p.sql.source(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := archiverows.New(p.archived.archive.Through(folder), p.archived.objects[lower(t.from[0])])
	if err != nil {
		return nil, err
	}
	from := &rowSource{Source: rows, basis: fmt.Sprintf("%s %d", rows.Basis(), p.task.Options.OnDuplicate)}
	from.settings = rowSettings{timeZone: time.UTC, exact: true}
	from.expected, from.counted = rows.Expected()
	return from, nil
}

// compareSource compares the rows that were read with what the source says that there are.
func (s *rowSource) compareSource(in *logical.Counts) error {
	if read := in.Rows + in.Rejected; s.counted && read != s.expected {
		return fault.New(fault.Source, 0, "the archive has %d rows of the table, and %d were read", s.expected, read)
	}
	return nil
}

// readable finds tables whose rows can't be decoded, before anything is made.
func (p *Plan) readableBySQL() {
	if p.archived == nil || p.sql == nil {
		return
	}
	for _, t := range p.tables {
		of := p.archived.objects[lower(t.from[0])]
		if _, err := archiverows.New(p.archived.archive, of); err != nil {
			p.finding(precheck.Schema, "%v", err)
		}
	}
}

// dataParts are the parts of a table of the archive whose files are read.
func (a *archived) dataParts(t *archive.Table) []*archive.Part {
	if a.bySQL {
		return t.RowParts()
	}
	return t.Parts
}
