package importcore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// How much of the source is encoded for a sample: the first rows of some files,
// one block at a time.
const (
	sampleFiles      = 3
	sampleRows       = 1000    // of each file
	sampleBytes      = 1 << 20 // of each file, at least one block
	sampleBlockBytes = 64 << 10
	// sampleRowBytes is the longest row that is looked at, and about what pairs are held of.
	sampleRowBytes = 1 << 20
	// samplesAtATime bounds the memory that statements take whose jobs don't run yet.
	samplesAtATime = 2
)

// sample is what encoding some rows has shown. Nothing of them is kept.
type sample struct {
	precheck.Sample
	good    int64 // rows that were encoded
	read    int64 // bytes of the source that held the rows
	whole   bool  // these are all of the source's bytes
	pairs   int64
	bytes   int64 // of keys and values
	records int64 // of those, in the table's records
	spent   time.Duration
}

// takeSample encodes the first rows of the first, the middle and the last file
// that have rows. Errors of rows are part of the sample; the error is that of a
// file that can't be read.
func (p *Plan) takeSample(ctx context.Context) (*sample, error) {
	var files []int
	for i, l := range p.layouts {
		if l != nil {
			files = append(files, i)
		}
	}
	s := &sample{whole: len(files) <= sampleFiles}
	if n := len(files); n > sampleFiles {
		files = []int{files[0], files[n/2], files[n-1]}
	}
	pool := format.NewBlockPool(sampleBlockBytes, 2, format.LimitedRoom(sampleRowBytes))
	e := &sampler{plan: p, sample: s, readers: p.newReaders(), arena: kv.NewArena(2*sampleBlockBytes, 0)}
	for _, i := range files {
		if err := e.file(ctx, i, pool); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// sampler is takeSample under way.
type sampler struct {
	encoders
	plan    *Plan
	sample  *sample
	readers rowReaders
	reader  format.RowReader // of the present block
	arena   *kv.Arena
}

func (e *sampler) file(ctx context.Context, i int, pool *format.BlockPool) (err error) {
	splitter, err := e.plan.newSplitter(ctx, e.plan.texts(e.plan.store), i, checkpoint.Place{}, pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, splitter.Close()) }()
	e.sample.Files++
	for rows, bytesIn := int64(0), 0; rows < sampleRows && bytesIn < sampleBytes; {
		block, err := splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if long := (*format.NoRoomError)(nil); errors.As(err, &long) {
			break
		}
		if f := fault.As(err); f != nil && f.At.Line > 0 {
			e.sample.Broken = true // it is not certain where the next row begins
			if e.sample.FirstBad == nil {
				e.bad(err) // else its block had it already, maybe
			}
			return nil
		}
		if err != nil {
			return err
		}
		rows += block.Rows
		bytesIn += len(block.Data)
		layout, err := e.plan.layoutOf(block)
		if err == nil {
			e.use(layout)
			e.block(block)
		} else if e.bad(err); fault.As(err) != nil {
			e.sample.Broken = true
		}
		block.Release()
		if err != nil {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	e.sample.whole = false
	return nil
}

// block encodes the rows of a block and counts what they become.
func (e *sampler) block(block *format.Block) {
	began := time.Now()
	s := e.sample
	rowID := 1 + s.Rows
	e.reader = e.readers.of(block)
	e.reader.Reset(block)
	e.encoder.UseSequences(rowID, standIns(e.layout.encoding.Sequences(), block.Rows))
	for ; ; rowID++ {
		fields, err := e.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			err = e.layout.usable(err, e.reader, block.File)
		}
		if err == nil {
			if err = e.encoder.EncodeRow(fields, rowID, e.arena); err == nil {
				s.good++
				if e.arena.Bytes() > sampleRowBytes {
					e.count()
				}
				continue
			}
			if f := fault.As(err); f != nil {
				at := e.reader.Place()
				f.At.File, f.At.Line, f.At.Offset = block.File.Path, at.Line, at.Offset
			}
			e.bad(err)
			continue
		}
		e.bad(err)
		if row := (*format.BadRow)(nil); !errors.As(err, &row) {
			s.Broken = true // where the row ends, and so all behind it, is not certain
			break
		}
	}
	s.spent += time.Since(began)
	s.Rows += block.Rows
	s.read += block.Size()
	e.count()
}

// count counts the pairs in the arena, and empties it.
func (e *sampler) count() {
	s := e.sample
	for _, ref := range e.arena.Refs {
		size := int64(ref.KeyLen + ref.ValLen)
		s.pairs++
		s.bytes += size
		if tablecodec.IsRecordKey(e.arena.Key(ref)) {
			s.records += size
		}
	}
	e.arena.Reset()
}

func (e *sampler) bad(err error) {
	e.sample.Bad++
	if e.sample.FirstBad == nil {
		e.sample.FirstBad = err
	}
}

// standIns are values for sequences of which none is drawn.
func standIns(uses []encode.SequenceUse, rows int64) [][]int64 {
	values := make([][]int64, len(uses))
	for i, use := range uses {
		values[i] = make([]int64, rows*int64(use.PerRow))
		for n := range values[i] {
			values[i][n] = int64(n + 1)
		}
	}
	return values
}
