package archiverows

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
)

// splitter is a format.Splitter over a part. The data of its blocks are pairs, each as length and bytes of its key and of its value.
type splitter struct {
	part  *archive.Part
	index int   // of the part
	skip  int64 // rows in front of the place to begin at
	pairs *archive.PairIter
	pool  *format.BlockPool

	held bool   // pairs stands on a row that the next block begins with
	row  int64  // number of the row that comes next
	read uint64 // pairs, also those in front of the place to begin at
	told int64  // bytes of the files that earlier blocks stand for
}

// Next implements format.Splitter.
func (s *splitter) Next(ctx context.Context) (*format.Block, error) {
	b, err := s.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	b.File, b.FileIndex, b.Packed = &s.part.Write.File, s.index, true
	if err := s.fill(ctx, b); err != nil {
		b.Release()
		return nil, err
	}
	now := s.taken()
	b.Stored, s.told = now-s.told, now
	return b, nil
}

// taken is how many bytes of the files were used: in proportion to the pairs, whose own bytes aren't those of a file.
func (s *splitter) taken() int64 {
	return int64(float64(s.part.Size()) * (float64(s.read) / float64(max(s.part.Sum.Pairs, 1))))
}

// fill puts rows into a block until it is full or there are none left; io.EOF if there weren't any.
func (s *splitter) fill(ctx context.Context, b *format.Block) error {
	for {
		if more, err := s.next(); err != nil {
			return err
		} else if !more {
			break
		}
		key, value := s.pairs.Key(), s.pairs.Value()
		size := 2*binary.MaxVarintLen64 + len(key) + len(value)
		if len(b.Data)+size > cap(b.Data) {
			if b.Rows > 0 {
				s.held = true
				return nil
			}
			if err := s.grow(ctx, b, size); err != nil {
				return err
			}
		}
		if b.Rows == 0 {
			b.FirstRow = s.row
		}
		b.Data = appendBytes(appendBytes(b.Data, key), value)
		b.Rows++
		s.row++
	}
	if b.Rows == 0 {
		return io.EOF
	}
	return nil
}

// grow makes room for a row that is longer than a block.
func (s *splitter) grow(ctx context.Context, b *format.Block, size int) error {
	if size > format.MaxRowBytes {
		return fault.New(fault.User, 0, "the row with key %x in the file %s of the archive has %d bytes; rows of up to %d can be brought in by SQL",
			s.pairs.Key(), s.part.Write.Path, size, format.MaxRowBytes)
	}
	return format.GrowFor(ctx, b, size, int64(size), fault.Position{File: s.part.Write.Path})
}

// next moves to the next row that is to be given out; false behind the last one, when the part has proved whole.
func (s *splitter) next() (more bool, err error) {
	if s.held {
		s.held = false
		return true, nil
	}
	for s.pairs.Next() {
		s.read++
		if !tablecodec.IsRecordKey(s.pairs.Key()) {
			continue
		}
		if s.pairs.Deleted() {
			return false, archive.NotDecoded(s.part, s.pairs.Key(), errors.New("it was deleted"))
		}
		if s.row < s.skip {
			s.row++
			s.told = s.taken()
			continue
		}
		return true, nil
	}
	return false, s.pairs.Err()
}

// Close implements format.Splitter.
func (s *splitter) Close() error { return s.pairs.Close() }

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// cutBytes undoes appendBytes.
func cutBytes(data []byte) (b, rest []byte, ok bool) {
	n, size := binary.Uvarint(data)
	if size <= 0 || n > uint64(len(data)-size) {
		return nil, nil, false
	}
	end := size + int(n)
	return data[size:end:end], data[end:], true
}
