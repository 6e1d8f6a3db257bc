package restore

import (
	"slices"
	"time"

	"github.com/sluicedb/sluice/importcore/precheck"
)

// Contents is what a plan restores.
type Contents struct {
	// Source is the kind of the source.
	Source string
	// Databases are those of the target.
	Databases []string
	// Tables are in the order of the job.
	Tables           []Table
	Views, Sequences []Object
	// System is nil unless system tables are restored.
	System  *System
	Skipped []Skipped
	// Bytes is the size of all data files.
	Bytes int64
}

// Table is a table that is restored. From are several if shards are merged.
type Table struct {
	From   []Name
	To     Name
	Files  int
	Bytes  int64
	Exists bool // and keeps its schema
}

// Object is a view or a sequence that is restored.
type Object struct {
	From, To Name
	Exists   bool // and stays as it is
}

// Skipped is a file that is not restored.
type Skipped struct{ Path, Reason string }

// Inspection is what Inspect has found.
type Inspection struct {
	Findings []precheck.Finding
	Contents Contents
}

// Facts are what a job's row has to hold.
type Facts struct {
	SourceBytes int64
	// Source is another one when a file's name, size or time of change is.
	Source string
	Now    time.Time
	// Tables are the targets that the job writes, drops or renames: tables, views and sequences.
	Tables []Name
}

// Contents returns what the plan restores.
func (p *Plan) Contents() Contents {
	out := Contents{Source: "dump", Skipped: p.skipped}
	if p.archived != nil {
		out.Source = "br"
	}
	for _, d := range p.databases {
		out.Databases = append(out.Databases, d.name)
	}
	if p.system != nil {
		out.System = &System{len(p.system.Accounts), p.system.Bindings}
	}
	for _, t := range p.tables {
		out.Tables = append(out.Tables, Table{From: t.from, To: t.to, Files: len(t.data), Bytes: t.bytes, Exists: t.exists})
		out.Bytes += t.bytes
	}
	for _, v := range p.views {
		out.Views = append(out.Views, Object{v.from, v.to, v.exists})
	}
	for _, s := range p.sequences {
		out.Sequences = append(out.Sequences, Object{s.from, s.to, s.exists})
	}
	return out
}

// Facts returns what the job's row has to hold.
func (p *Plan) Facts() Facts {
	f := Facts{Source: p.source, Now: p.now.UTC()}
	for _, t := range p.tables {
		f.SourceBytes += t.bytes
		f.Tables = append(f.Tables, t.to)
	}
	for _, d := range append(slices.Clone(p.sequences), p.views...) {
		f.Tables = append(f.Tables, d.to)
	}
	known := map[Name]bool{}
	for _, name := range f.Tables {
		known[lower(name)] = true
	}
	for _, name := range p.vacated() {
		if !known[lower(name)] {
			known[lower(name)], f.Tables = true, append(f.Tables, name)
		}
	}
	return f
}
