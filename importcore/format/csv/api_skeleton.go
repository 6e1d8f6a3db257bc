package csv

import (
	"context"
	"errors"

	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/source"
)

// NewSplitter starts reading file (number fileIndex of the job) into blocks of pool.
func NewSplitter(ctx context.Context, store source.Store, file *source.File, fileIndex int, cfg Config, pool *format.BlockPool) (format.Splitter, error) {
	return nil, errors.New("under construction")
}

// NewReader returns a reader of blocks that a splitter of the same configuration cut.
func NewReader(cfg Config) format.RowReader { return nil }
