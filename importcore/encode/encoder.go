package encode

import (
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/util/collate"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/table"
)

// Encoder encodes rows by a Plan. It belongs to one goroutine at a time; a row
// leaves nothing behind in it but the counters.
type Encoder struct {
	plan *Plan
	conv *converter
	zone zone
	// collators are clones of the plan's: some keep state while they make a key.
	collators []collate.Collator

	cells     []cell // by column offset; columns without field keep their preset
	parts     []cell // of the index being written
	restored  []cell // of the index being written
	scratch   []byte // what cells point to when the field itself doesn't do
	common    []byte // the row's common handle
	intHandle int64  // the row's integer handle
	json      jsonReader

	computed *computed           // nil: nothing of a row is computed
	members  [][]cell            // per multi-valued index: the members of the row's array
	hashes   map[string]struct{} // of one array's members
	broken   error               // why expressions could not be built

	// The plan's, or with key prefixes of the encoder's own: see partition.go.
	record  []byte
	indexes []index
	part    *partitionState // nil: the table has no partitions

	ids MaxIDs
}

// MaxIDs are the highest ids that an encoder has met or given; 0 means none.
// After the job the cluster's allocators have to be moved past them.
type MaxIDs struct {
	// RowID is the highest _tidb_rowid, without shard bits.
	RowID int64
	// AutoIncrement is the highest value in the AUTO_INCREMENT column, given or found.
	AutoIncrement uint64
	// AutoRandom is the highest value in the AUTO_RANDOM column, without shard bits.
	AutoRandom int64
}

// Merge raises m to the ids of another encoder.
func (m *MaxIDs) Merge(o MaxIDs) {
	m.RowID = max(m.RowID, o.RowID)
	m.AutoIncrement = max(m.AutoIncrement, o.AutoIncrement)
	m.AutoRandom = max(m.AutoRandom, o.AutoRandom)
}

// NewEncoder returns an encoder of its own for one worker.
func (p *Plan) NewEncoder() *Encoder {
	e := &Encoder{
		plan:  p,
		conv:  newConverter(&p.cfg),
		zone:  zone{loc: p.cfg.Location}, // start = end: loaded by the first timestamp
		cells: make([]cell, len(p.columns)),
	}
	for _, c := range p.collators {
		e.collators = append(e.collators, c.Clone())
	}
	for i := range p.columns {
		e.cells[i] = p.columns[i].preset
	}
	e.record, e.indexes = p.record, p.indexes
	// Compile has built the same expressions.
	e.computed, e.broken = p.newComputed(e.conv)
	e.members = make([][]cell, p.multi)
	if p.partitions != nil {
		e.ownPrefixes()
	}
	return e
}

// EncodeRow appends all pairs of one row to a: the record, then the index
// entries in schema order. rowID numbers the rows of the job from 1, without
// one used twice; it becomes the _tidb_rowid of tables that have one, and the
// value of an AUTO_INCREMENT or AUTO_RANDOM column when the row has none.
//
// On error nothing of the row stays in a, and the error is a *fault.Error with
// code, column and value; the caller knows and adds file and line. Codes are
// those of INSERT (1048, 1264, 1265, 1292, 1366, 1406, 3819, ...), and 1261 or
// 1262 for too few or too many fields.
func (e *Encoder) EncodeRow(fields []format.Field, rowID int64, a *kv.Arena) error {
	if len(fields) != len(e.plan.fields) && !e.plan.mayMiss(len(fields)) {
		return e.fieldCount(len(fields))
	}
	e.scratch = e.scratch[:0]
	for i := range fields {
		to, field := &e.plan.fields[i], &fields[i]
		if to.offset == table.Dropped {
			if to.variable > 0 {
				if err := e.setVariable(to.variable-1, field); err != nil {
					return err
				}
			}
			continue
		}
		c := &e.cells[to.offset]
		if !field.Null && field.Kind == format.Text && to.parse != nil && to.parse(e, to.column, field.Bytes, c) {
			c.null = false
			continue
		}
		if err := e.setCell(to.offset, field); err != nil {
			return e.firstFault(fields, i, err)
		}
	}
	if e.plan.compute != nil {
		if err := e.computeValues(rowID); err != nil {
			return err
		}
	}
	if e.plan.auto.kind != autoNone {
		if err := e.fillAuto(rowID); err != nil {
			return err
		}
	}
	if e.plan.compute != nil {
		if err := e.computeGenerated(); err != nil {
			return err
		}
	}
	if err := e.setHandle(rowID); err != nil {
		return err
	}
	if e.part != nil {
		if err := e.enterPartition(fields); err != nil {
			return err
		}
	}
	// From here on nothing can fail, so there is nothing to roll back.
	e.appendRecord(a)
	for i := range e.indexes {
		if idx := &e.indexes[i]; idx.multi == nil {
			e.appendEntry(idx, a)
		} else {
			e.appendMembers(idx, a)
		}
	}
	return nil
}

// firstFault returns which of a row's faults an INSERT names, given the first
// one in the order of the fields, that of field i: values are converted in the
// order of the fields, and only then NULLs are looked for, in the order of the table.
func (e *Encoder) firstFault(fields []format.Field, i int, err error) error {
	at := e.plan.fields[i].offset
	for i++; isBadNull(err) && i < len(fields); i++ {
		offset := e.plan.fields[i].offset
		if offset == table.Dropped {
			continue
		}
		next := e.setCell(offset, &fields[i])
		if next != nil && (offset < at || !isBadNull(next)) {
			at, err = offset, next
		}
	}
	return err
}

func isBadNull(err error) bool {
	f := fault.As(err)
	return f != nil && f.Code == errno.ErrBadNull
}

// mayMiss reports whether a row of n fields only lacks fields that are dropped anyway.
func (p *Plan) mayMiss(n int) bool {
	return n < len(p.fields) && len(p.fields)-n <= p.cfg.Mapping.Optional()
}

// setCell sets the cell of a column to a field that its parser didn't take.
func (e *Encoder) setCell(offset int, field *format.Field) error {
	col, c := &e.plan.columns[offset], &e.cells[offset]
	if field.Null {
		return e.setNull(offset, col, c)
	}
	if field.Kind != format.Text {
		return e.setLiteral(offset, field)
	}
	if err := e.conv.convert(col, field.Bytes, c); err != nil {
		return err
	}
	if c.null {
		return e.setNull(offset, col, c)
	}
	return nil
}

func (e *Encoder) setNull(offset int, col *column, c *cell) error {
	auto := e.plan.auto.kind != autoNone && e.plan.auto.column == offset
	if !col.notNull || auto {
		*c = cell{null: true}
		return nil
	}
	at := fault.Position{Column: col.info.Name.O, Value: "NULL"}
	if col.info.FieldType.EvalType().IsVectorKind() {
		// A vector has no zero value, so no mode makes one of NULL; and TiDB has no code for this.
		return fault.New(fault.Source, errno.ErrUnknown, "VECTOR column '%s' cannot be null", col.info.Name.O).Place(at)
	}
	err := fault.New(fault.Source, errno.ErrBadNull, "Column '%s' cannot be null", col.info.Name.O).Place(at)
	if e.plan.cfg.SQLMode.HasStrictMode() {
		return err
	}
	e.conv.warned(col, err.Code, err.Message)
	*c = col.zero
	return nil
}

func (e *Encoder) fieldCount(n int) error {
	want := len(e.plan.fields)
	if n < want {
		return fault.New(fault.Source, errno.ErrWarnTooFewRecords,
			"Row doesn't contain data for all columns: it has %d fields, %d are needed%s", n, want, e.plan.cfg.Mapping.Hint())
	}
	return fault.New(fault.Source, errno.ErrWarnTooManyRecords,
		"Row contains more data than there are columns: it has %d fields, %d are needed", n, want)
}

// Trim gives up what a long row has left behind: buffers, and the fields that cells point to.
func (e *Encoder) Trim() {
	e.scratch, e.parts, e.restored = nil, nil, nil
	for i := range e.plan.columns {
		e.cells[i] = e.plan.columns[i].preset
	}
}

// MaxIDs returns the highest ids so far.
func (e *Encoder) MaxIDs() MaxIDs { return e.ids }

// Warnings returns how many values the SQL mode made to fit so far, with the first of them.
func (e *Encoder) Warnings() Warnings { return e.conv.warnings() }

// keep copies b into scratch with zeros bytes of 0 behind it.
func (e *Encoder) keep(b []byte, zeros int) []byte {
	start := len(e.scratch)
	e.scratch = append(e.scratch, b...)
	for ; zeros > 0; zeros-- {
		e.scratch = append(e.scratch, 0)
	}
	return e.scratch[start:len(e.scratch):len(e.scratch)]
}
