package importcore

import (
	"context"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/compress"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/format/sqldump"
	"github.com/sluicedb/sluice/importcore/source"
)

// Format is that of a source file.
type Format uint8

// The formats of source files.
const (
	FormatCSV Format = iota
	FormatSQL        // INSERT statements, see package sqldump
)

// String returns the name as the option FORMAT has it.
func (f Format) String() string {
	if f == FormatSQL {
		return "sql"
	}
	return "csv"
}

// DataFile is one of ImportTask.Files.
type DataFile struct {
	source.File
	Format Format
	// Section is the part of a file of FormatSQL that holds the table's rows; nil for all of it. A file may be there with several.
	Section *sqldump.Section
}

// identity is source.File.Identity of a file, with what else decides about its rows.
func (d *DataFile) identity() []any {
	id := d.Identity()
	if d.Format != FormatCSV {
		id = append(id, d.Format.String())
	}
	if d.Section != nil {
		id = append(id, *d.Section)
	}
	return id
}

// openSource finds the files. The plan's store is the caller's to close, also after an error, if it is set.
func (p *Plan) openSource(ctx context.Context, cfg source.Config) error {
	if err := p.openFiles(ctx, cfg); err != nil {
		return err
	}
	for i := range p.data {
		f := &p.data[i]
		p.Files = append(p.Files, f.File)
		size := f.Size
		if f.Section != nil && f.Compression == source.Plain {
			size = f.Section.End - f.Section.Start
		}
		p.SourceBytes += size
	}
	p.progress.sourceTotal.Store(p.SourceBytes)
	p.progress.files.Store(int64(len(p.Files)))
	return nil
}

// openFiles sets store and data.
func (p *Plan) openFiles(ctx context.Context, cfg source.Config) error {
	if len(p.Task.Files) > 0 {
		folder, err := source.OpenFolder(ctx, p.Task.Location, cfg)
		if err != nil {
			return err
		}
		p.store, p.data = folder, p.Task.Files
		return nil
	}
	store, err := source.Open(ctx, p.Task.Location, cfg)
	if err != nil {
		return err
	}
	p.store = store
	files, err := store.List(ctx)
	for _, f := range files {
		p.data = append(p.data, DataFile{File: f, Format: p.Task.Format})
	}
	return err
}

// has tells whether a task may have files of a format.
func (t *ImportTask) has(f Format) bool {
	if len(t.Files) == 0 {
		return t.Format == f
	}
	for i := range t.Files {
		if t.Files[i].Format == f {
			return true
		}
	}
	return false
}

// readsHeads tells whether the files have to be looked at to know where fields go.
func (t *ImportTask) readsHeads() bool { return t.HeaderNames && t.has(FormatCSV) || t.has(FormatSQL) }

// dumps says how files of FormatSQL are read.
func (t *ImportTask) dumps() sqldump.Config {
	return sqldump.Config{
		NoBackslashEscapes: t.SQLMode.HasNoBackslashEscapesMode(), ANSIQuotes: t.SQLMode.HasANSIQuotesMode(), Recover: t.MaxErrors > 0,
	}
}

// isSQL tells whether a file is of FormatSQL.
func (p *Plan) isSQL(file int) bool { return file < len(p.data) && p.data[file].Format == FormatSQL }

// section is the part of a file that is read; nil for all of it.
func (p *Plan) section(file int) *sqldump.Section { return p.data[file].Section }

// estimatesBytes tells whether what blocks count of their files isn't all of these, but depends on where blocks begin: of compressed
// files what was read for them, of SQL files what is between them.
func (p *Plan) estimatesBytes() bool { return p.Task.has(FormatSQL) || p.unpackMemory(0) > 0 }

// unpackShare is the part of a budget that unpacking zstd may take, if there are such files.
const unpackShare = 4

// unpackMemory is what unpacking a file takes of a budget, in bytes; 0 if no file is compressed.
func (p *Plan) unpackMemory(budget int64) int64 {
	need := int64(0)
	for i := range p.Files {
		switch p.Files[i].Compression {
		case source.Plain:
		case source.Zstd:
			return max(compress.MinMemory, budget/unpackShare)
		default:
			need = 1 << 20
		}
	}
	return need
}

// texts returns a store of the files' texts over the plan's store, or one that reads its files ahead.
func (p *Plan) texts(store source.Store) source.Store {
	if p.Task.Texts != nil {
		return p.Task.Texts
	}
	return compress.NewStore(store, p.unpackMemory(p.Task.MemoryBudget))
}

// rowReaders are a worker's own, one for each format.
type rowReaders struct{ csv, sql format.RowReader }

func (p *Plan) newReaders() rowReaders {
	var r rowReaders
	if p.Task.has(FormatCSV) {
		r.csv = csv.NewReader(p.Task.CSV)
	}
	if p.Task.has(FormatSQL) {
		r.sql = sqldump.NewReader(p.Task.dumps())
	}
	return r
}

// of returns the reader for a block.
func (r *rowReaders) of(b *format.Block) format.RowReader {
	if b.Heading != nil {
		return r.sql
	}
	return r.csv
}

// trim gives up what a long block has left behind.
func (r *rowReaders) trim(file *source.File) {
	for _, reader := range []format.RowReader{r.csv, r.sql} {
		if reader != nil {
			reader.Reset(&format.Block{File: file})
		}
	}
}

// checkFiles refuses what can't be in ImportTask.Files.
func (t *ImportTask) checkFiles() error {
	for i := range t.Files {
		if f := &t.Files[i]; f.Section != nil && f.Format != FormatSQL {
			return fault.New(fault.Sluice, 0, "a section of %s is given, which is no SQL file", f.Path)
		}
	}
	return nil
}
