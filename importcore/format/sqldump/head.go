package sqldump

import (
	"context"
	"errors"
	"io"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// Head is what a file, or a section, says before its first row.
type Head struct {
	// Heading is that of the first rows; others may list other columns.
	Heading *format.Heading
	// Settings hold for all rows.
	Settings Settings
	// At is the place of the first row.
	At fault.Position
}

// headBlockBytes is how much of a file is read for its head at first.
const headBlockBytes = 16 << 10

// ReadHead reads up to the first row of a file or of a section of it; nil if there is none. Errors are those of NewSplitter's Next.
func ReadHead(ctx context.Context, store source.Store, file *source.File, section *Section, cfg Config) (*Head, error) {
	return readHead(ctx, newSplitter(store, file, 0, section, cfg, nil))
}

// readHead reads what s, which hasn't begun, would read first. s stays as it is.
func readHead(ctx context.Context, s *splitter) (_ *Head, err error) {
	own := *s
	own.pool = format.NewBlockPool(headBlockBytes, 2, format.LimitedRoom(format.MaxRowBytes))
	defer func() { err = errors.Join(err, own.Close()) }()
	b, err := own.Next(ctx)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer b.Release()
	return &Head{Heading: b.Heading, Settings: own.session.Settings, At: fault.Position{File: b.File.Path, Line: b.FirstLine, Offset: b.Offset}}, nil
}

// HeadingAt reads the Heading of rows again: that of a block which starts at an offset of the file's text, Back bytes behind its statement.
func HeadingAt(ctx context.Context, store source.Store, file *source.File, offset, back int64, settings Settings, cfg Config) (*format.Heading, error) {
	p := newParser(cfg)
	p.session.Settings = settings
	p.obey()
	h, err := headAt(ctx, store, file, offset-back, p.lexer)
	if err != nil {
		return nil, err
	}
	return h.heading, nil
}

// headAt reads the INSERT at an offset, up to its first row.
func headAt(ctx context.Context, store source.Store, file *source.File, offset int64, l lexer) (_ *head, err error) {
	in, err := store.Open(ctx, *file, offset)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	p := parser{lexer: l, delimiter: ";"}
	for data := []byte(nil); ; {
		more := make([]byte, headBlockBytes)
		n, err := io.ReadFull(in, more)
		data = append(data, more[:n]...)
		if p.final = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !p.final {
			return nil, err
		}
		it, err := p.next(data, 0)
		switch {
		case errors.Is(err, errMore) && len(data) < format.MaxRowBytes:
			continue
		case err != nil || it.kind != itemRows:
			return nil, fault.New(fault.Sluice, 0, "no INSERT is where it was at offset %d of %s", offset, file.Path)
		}
		return &it.head, nil
	}
}
