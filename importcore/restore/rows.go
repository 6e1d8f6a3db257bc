package restore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/logical/tablefiles"
	"github.com/sluicedb/sluice/importcore/source"
)

// rowSource is the rows of one table of the plan as what goes into a server by SQL. If the Source is an io.Closer, it is closed
// when the table is done.
type rowSource struct {
	logical.Source
	// basis is logical.Task.Basis: another text where the rows, or their order, would be others.
	basis string
	// settings is what a session has to be for the literals of the rows.
	settings rowSettings
	// expected is how many rows there are, if the source has counted them.
	expected int64
	counted  bool
}

// rowSettings are what rows ask of the session that brings them in. Tables whose rows ask for the same share their sessions.
type rowSettings struct {
	// timeZone is what TIMESTAMP values are written in; nil is that of the task's session.
	timeZone *time.Location
	// exact says that the values were in a table of the same kind: they arrive as they are, whatever the SQL mode of the task says of zero dates.
	exact bool
}

// key tells settings apart.
func (s *rowSettings) key() string { return fmt.Sprint(s.timeZone, s.exact) }

// session completes the task's session for rows. A zero in an AUTO_INCREMENT column was a zero where it comes from.
func (s *rowSettings) session(own logical.Session) logical.Session {
	if s.timeZone != nil {
		own.TimeZone = s.timeZone
	}
	if s.exact {
		own.SQLMode = mysql.ModeStrictTransTables | mysql.ModeStrictAllTables | mysql.ModeAllowInvalidDates
	}
	own.SQLMode |= mysql.ModeNoAutoValueOnZero
	return own
}

// rowsOf opens the rows of a table for a target that takes them by SQL. into is the table there.
func (p *Plan) rowsOf(ctx context.Context, t *table, into *logical.Table) (*rowSource, error) {
	if p.archived != nil {
		return p.decodedRows(ctx, t)
	}
	return p.dumpedRows(ctx, t, into)
}

// dumpedRows are the rows of a table's data files.
func (p *Plan) dumpedRows(ctx context.Context, t *table, into *logical.Table) (*rowSource, error) {
	texts, err := p.sql.store(ctx)
	if err != nil {
		return nil, err
	}
	store := source.Store(texts)
	if t.part() {
		store = p.shared
	}
	o, mode := &p.task.Options, p.task.Session.SQLMode
	cfg := tablefiles.Config{
		Store: store, Files: tableFiles(t.data), CSV: o.CSV, Header: o.CSVHeader, Layout: layoutOf(t, into),
		SQL: sqldump.Config{NoBackslashEscapes: mode.HasNoBackslashEscapesMode(), ANSIQuotes: mode.HasANSIQuotesMode(), Recover: o.MaxErrors > 0},
	}
	cfg.CSV.Recover = o.MaxErrors > 0
	files, err := tablefiles.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	rows := &rowSource{Source: files, basis: fmt.Sprintf("%s%d %t %+v", files.Basis(), o.OnDuplicate, o.CSVHeader, o.CSV)}
	if set := files.Settings().TimeZone; set.Given {
		if rows.settings.timeZone, err = zoneOf(set.Text); err != nil {
			return nil, fault.Wrap(err, fault.Source, 0, "the dump's time zone %q isn't known", set.Text)
		}
	}
	return rows, nil
}

// layoutOf says where fields go that no list assigns: by the order of the dump's columns, which needn't be that of a table that was there.
// As in logical.Table's Layout, generated columns have fields too.
func layoutOf(t *table, into *logical.Table) *logical.Layout {
	if t.made == nil {
		return into.Layout()
	}
	has := map[string]bool{}
	for _, c := range into.Types() {
		has[strings.ToLower(c.Name)] = true
	}
	l := &logical.Layout{}
	for _, c := range t.made.Columns {
		name := c.Name.Name.O
		if !has[c.Name.Name.L] { // then it is generated
			name = ""
		}
		l.Columns = append(l.Columns, name)
		if l.Optional++; !schema.Generated(c) {
			l.Optional = 0
		}
	}
	return l
}

func tableFiles(data []dump.Data) []tablefiles.File {
	out := make([]tablefiles.File, len(data))
	for i, d := range data {
		out[i] = tablefiles.File{File: d.File, SQL: d.Format == dump.FormatSQL, Section: d.Section}
	}
	return out
}

// zoneOf is a dump's time zone: an offset or a name.
func zoneOf(text string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", text); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(text, offset), nil
	}
	return time.LoadLocation(text)
}
