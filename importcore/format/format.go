// Package format says what every source format gives to the encoder: blocks
// of whole rows, and rows of fields that are byte ranges, not values.
//
// A Splitter walks one file from front to back and does the least work that
// finds row borders; it cuts the file into Blocks. Many workers then take
// blocks and run a RowReader over them. So one file, with quoted line breaks
// or without, is encoded by as many workers as there are, and every row has
// its place (file, offset, line) and its number in the file, whatever worker
// met it. The formats are csv and sqldump; compress unpacks the files of both.
//
// Blocks come from a BlockPool, one for all files of a job: the number of
// blocks in flight is the back pressure between reading and encoding.
package format

import (
	"context"

	"github.com/sluicedb/sluice/importcore/source"
)

// Field is one field of a row. Bytes points into the reader's buffers and is
// valid until the next call of Next.
type Field struct {
	Bytes []byte
	Null  bool
	Kind  Kind
}

// Kind is what a field is written as, which matters where a value is converted: the number 20240101 and the text
// "20240101" are not the same INSERT.
type Kind uint8

// The kinds of fields. All those of CSV are Text.
const (
	Text    Kind = iota // text in the file's character set
	Number              // a number without quotes, as SQL has it, with its sign
	Bits                // a hexadecimal or bit literal; Bytes is what it stands for
	Binary              // text that is said to be binary
	Default             // the word DEFAULT, for which Bytes is nil
)

// Block is a run of whole rows of one file.
type Block struct {
	File      *source.File
	FileIndex int   // position of the file in the job's list
	Offset    int64 // of Data[0] in the file, bytes
	FirstLine int64 // 1-based line number of Data[0]
	FirstRow  int64 // number of the first row in the file, 0-based, header and skipped rows not counted
	Rows      int64 // rows that the block holds
	Data      []byte
	// Stored is how many bytes of a compressed file (Packed) the block has taken.
	Packed bool
	Stored int64
	// Heading is what stands before the rows and says what they mean, Back how many bytes before Offset it starts. A block of
	// csv has neither.
	Heading *Heading
	Back    int64

	pool  *BlockPool
	buf   []byte // whole buffer that Data is a part of
	grown int    // bytes of buf if it is larger than the pool's, else 0
}

// Heading is what a file says of rows besides them. It is immutable.
type Heading struct {
	// Columns are those that the fields go to, as the file spells them; nil: it doesn't say.
	Columns []string
	// NoBackslashEscapes and ANSIQuotes are those of the SQL mode that the rows are written in.
	NoBackslashEscapes, ANSIQuotes bool
}

// Size returns how many bytes of the file, as it is stored, the block stands for.
func (b *Block) Size() int64 {
	if b.Packed {
		return b.Stored
	}
	return int64(len(b.Data))
}

// Release gives the buffer back to its pool; Data must not be used
// afterwards. It is called once, by the last user; calling it again does nothing.
func (b *Block) Release() {
	if b.pool != nil {
		b.pool.put(b)
	}
}

// RowPlace is where a row starts.
type RowPlace struct {
	Offset int64 // bytes from the start of the file
	Line   int64 // 1-based
	Row    int64 // 0-based number in the file
	// Back is how many bytes before Offset the Heading starts that the row needs; 0: none.
	Back int64 `json:",omitempty"`
}

// Packed is a stream of a compressed file's text.
type Packed interface {
	// Stored returns how many bytes of the file have been used for what was read so far.
	Stored() int64
}

// BadRow is the error of a row that can't be read, though it is certain where
// it ends: it counts as one row.
type BadRow struct {
	Cause error // a *fault.Error with its place
	// Value is a field that is no text in the file's character set, as the file
	// has it; nil for a row that isn't one in the file's format.
	Value []byte
}

// Error returns the cause's text.
func (e *BadRow) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *BadRow) Unwrap() error { return e.Cause }

// ForeignText is the error of a row with bytes that are no text in the file's
// character set. Whether that matters depends on where the fields with them go.
type ForeignText struct {
	Charset string
	// Fields are the numbers of the fields with such bytes, ascending, and Texts
	// what the file has there, in UTF-8 but for these bytes.
	Fields []int
	Texts  [][]byte
}

// Error names the character set.
func (e *ForeignText) Error() string {
	return "there are bytes that are no text in the character set " + e.Charset
}

// Splitter cuts one file into blocks. It is used by one goroutine.
type Splitter interface {
	// Next returns the next block, or io.EOF after the last one. The receiver
	// releases it. Errors of the data carry their place (*fault.Error).
	Next(ctx context.Context) (*Block, error)
	// Close ends reading early or late.
	Close() error
}

// RowReader yields the rows of blocks. It is used by one goroutine at a time
// and reused from block to block.
type RowReader interface {
	// Reset starts on a block; the reader does not release it.
	Reset(b *Block)
	// Next returns the fields of the next row, or io.EOF at the end of the
	// block. The slice and its bytes are the reader's until the next call. After
	// a *BadRow the next call goes on behind that row. So it does after a
	// *ForeignText, with which come the fields as well. Other errors last.
	Next() ([]Field, error)
	// Row returns the bytes of the row that Next returned last (or failed on, up
	// to the end of the block if its end is unknown), with its line end, in UTF-8 if
	// they could be decoded. They are valid until the next Reset.
	Row() []byte
	// Place tells where the row that Next returned last (or failed on) starts.
	Place() RowPlace
}
