package importcore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/pingcap/tidb/pkg/util/codec"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/conflict"
	"github.com/sluicedb/sluice/importcore/fault"
)

// tableRows are the rows that the table has, as of one moment. It implements conflict.Table.
type tableRows struct {
	run      *run
	snapshot *cluster.Snapshot
	ownID    int // see Plan.ownID
}

// openTable returns the rows that the table has, or nil if it was empty when the
// job was planned. done ends the use. From here on others get ids behind those of the import.
func (r *run) openTable(ctx context.Context) (rows *tableRows, done func(), err error) {
	if !r.plan.filled {
		return nil, func() {}, nil
	}
	task := r.plan.Task
	if err := r.core.cluster.RebaseAutoIDs(ctx, task.DB, task.Table, r.ids); err != nil {
		return nil, nil, err
	}
	ts, done, err := r.core.cluster.KeepReadable(ctx, cluster.JobOwner(task.JobID, "conflicts"))
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := r.core.cluster.Snapshot(ctx, ts)
	if err != nil {
		done()
		return nil, nil, err
	}
	return &tableRows{run: r, snapshot: snapshot, ownID: r.plan.ownID()}, done, nil
}

// Lookup implements conflict.Table. A row of the table that has an id which the job has
// given to one of its own is no duplicate: somebody was given the same id while
// the source was read. Neither row may go for the other's sake.
func (t *tableRows) Lookup(ctx context.Context, keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	err := t.snapshot.Each(ctx, keys, func(i int, value []byte) error {
		switch {
		case value == nil:
		case t.holdsOwnID(keys[i]):
			index, entry := t.run.plan.describeKey(keys[i], nil)
			return fault.New(fault.Cluster, mysql.ErrDupEntry, "Duplicate entry '%s' for key '%s.%s': the job gave its id to a row of the source, and by now "+
				"a row of the table has it: others were given ids while the source was read, or the table's next id is too low; import again",
				entry, t.run.plan.target.Info.Name.O, index)
		case tablecodec.IsRecordKey(keys[i]): // which may be long, and nobody looks at it
			values[i] = []byte{}
		default:
			values[i] = bytes.Clone(value)
		}
		return nil
	})
	return values, err
}

// holdsOwnID reports whether a key holds an id that rows of the source have from the job.
func (t *tableRows) holdsOwnID(key []byte) bool {
	target := t.run.plan.target
	own := func(idx *model.IndexInfo) bool {
		return slices.ContainsFunc(idx.Columns, func(c *model.IndexColumn) bool { return c.Offset == t.ownID })
	}
	if tablecodec.IsRecordKey(key) {
		switch col := target.HandleColumn(); {
		case target.HasRowID():
			return true
		case col != nil:
			return col.Offset == t.ownID
		default:
			return own(target.PrimaryIndex())
		}
	}
	_, id, _, err := tablecodec.DecodeKeyHead(key)
	return err == nil && slices.ContainsFunc(target.Indexes(), func(idx *model.IndexInfo) bool { return idx.ID == id && own(idx) })
}

// ownID returns the offset of the AUTO_INCREMENT or AUTO_RANDOM column if the rows
// of some file get its values from the job, else -1.
func (p *Plan) ownID() int {
	for _, l := range p.allLayouts() {
		if l.encoding.OwnIDs() != nil {
			return l.encoding.OwnIDs().Offset
		}
	}
	return -1
}

// RecordKey implements conflict.Table.
func (t *tableRows) RecordKey(key, value []byte) ([]byte, error) {
	if tablecodec.IsRecordKey(key) {
		return key, nil
	}
	if !tablecodec.IndexKVIsUnique(value) {
		return nil, nil
	}
	id := tablecodec.DecodeTableID(key)
	if segs := tablecodec.SplitIndexValue(value); len(segs.PartitionID) > 0 {
		_, partition, err := codec.DecodeInt(segs.PartitionID)
		if err != nil {
			return nil, fmt.Errorf("the partition in the value of key %x: %w", key, err)
		}
		id = partition
	}
	handle, err := tablecodec.DecodeHandleInIndexValue(value)
	if err != nil || handle == nil {
		return nil, fault.Wrap(err, fault.Cluster, 0, "the index entry %x of the table can't be read", key)
	}
	return tablecodec.EncodeRowKey(id, handle.Encoded()), nil
}

// deleteBatch is how many rows are deleted in one transaction.
const deleteBatch = 200

// deleteStale deletes the rows of the table that rows of the source replace, by
// SQL, so that TiDB removes their index entries.
func (t *tableRows) deleteStale(ctx context.Context, result *conflict.Result) error {
	var records [][]byte
	deleted := int64(0)
	flush := func() error {
		if len(records) == 0 {
			return nil
		}
		where, err := t.where(ctx, records)
		if err != nil {
			return err
		}
		if err := t.run.saveDeleting(ctx); err != nil {
			return err
		}
		task := t.run.plan.Task
		if err := t.run.core.cluster.DeleteRows(t.run.fenced(ctx), task.DB, task.Table, where, len(records)); err != nil {
			return err
		}
		deleted += int64(len(records))
		t.run.left, t.run.summary.DeletedRows = leftNone, deleted
		records = records[:0]
		return nil
	}
	err := result.EachTableRow(ctx, func(record []byte) error {
		records = append(records, bytes.Clone(record))
		if len(records) < deleteBatch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return err
}

// where returns a condition for just the rows with these record keys.
func (t *tableRows) where(ctx context.Context, records [][]byte) (string, error) {
	info := t.run.plan.target.Info
	if info.IsCommonHandle {
		return t.whereCommon(ctx, records)
	}
	name, unsigned := "_tidb_rowid", false
	if col := t.run.plan.target.HandleColumn(); col != nil {
		name, unsigned = sqlconn.QuoteName(col.Name.O), mysql.HasUnsignedFlag(col.GetFlag())
	}
	// A handle is unique within a partition; without naming partitions only the
	// whole table's is, and then all handles of a batch differ.
	var b strings.Builder
	for i, record := range records {
		handle, err := tablecodec.DecodeRowKey(record)
		if err != nil {
			return "", fmt.Errorf("record key %x: %w", record, err)
		}
		b.WriteString(map[bool]string{true: name + " IN (", false: ","}[i == 0])
		if unsigned {
			b.WriteString(strconv.FormatUint(uint64(handle.IntValue()), 10))
		} else {
			b.WriteString(strconv.FormatInt(handle.IntValue(), 10))
		}
	}
	return b.String() + ")", nil
}

// whereCommon reads the rows for what their keys don't show: strings whose
// collation keeps weights in the key, and columns of which only a prefix is there.
func (t *tableRows) whereCommon(ctx context.Context, records [][]byte) (string, error) {
	info, pk := t.run.plan.target.Info, t.run.plan.target.PrimaryIndex()
	columns := make(map[int64]*types.FieldType)
	var ids []int64
	for _, ic := range pk.Columns {
		col := info.Columns[ic.Offset]
		columns[col.ID] = &col.FieldType
		ids = append(ids, col.ID)
	}
	var rows []string
	err := t.snapshot.Each(ctx, records, func(i int, value []byte) error {
		record := records[i]
		if value == nil {
			return fault.New(fault.Cluster, 0, "an index of the table has an entry for the record %x, which is not there", record)
		}
		handle, err := tablecodec.DecodeRowKey(record)
		if err != nil {
			return fmt.Errorf("record key %x: %w", record, err)
		}
		row, err := tablecodec.DecodeRowToDatumMap(value, columns, time.UTC)
		if err == nil {
			row, err = tablecodec.DecodeHandleToDatumMap(handle, ids, columns, time.UTC, row)
		}
		if err != nil {
			return fmt.Errorf("record %x: %w", record, err)
		}
		var parts []string
		for _, ic := range pk.Columns {
			col := info.Columns[ic.Offset]
			d, ok := row[col.ID]
			if !ok {
				return fault.New(fault.Cluster, 0, "the record %x has no value for column %s", record, col.Name.O)
			}
			text, err := literal(&d, &col.FieldType)
			if err != nil {
				return err
			}
			parts = append(parts, sqlconn.QuoteName(col.Name.O)+" = "+text)
		}
		rows = append(rows, "("+strings.Join(parts, " AND ")+")")
		return nil
	})
	return strings.Join(rows, " OR "), err
}

var errLiteral = errors.New("the value has no SQL form")

// literal returns a value as SQL that compares equal with it.
func literal(d *types.Datum, ft *types.FieldType) (string, error) {
	switch d.Kind() {
	case types.KindInt64:
		return strconv.FormatInt(d.GetInt64(), 10), nil
	case types.KindUint64:
		return strconv.FormatUint(d.GetUint64(), 10), nil
	case types.KindFloat32:
		return formatFloat(float64(d.GetFloat32()))
	case types.KindFloat64:
		return formatFloat(d.GetFloat64())
	case types.KindString, types.KindBytes:
		introducer := "_utf8mb4 "
		if ft.GetCharset() == charset.CharsetBin {
			introducer = ""
		}
		return fmt.Sprintf("%sx'%x'", introducer, d.GetBytes()), nil
	case types.KindMysqlDecimal:
		return d.GetMysqlDecimal().String(), nil
	case types.KindMysqlTime:
		return "'" + d.GetMysqlTime().String() + "'", nil
	case types.KindMysqlDuration:
		return "'" + d.GetMysqlDuration().String() + "'", nil
	case types.KindMysqlEnum:
		return strconv.FormatUint(d.GetMysqlEnum().Value, 10), nil
	case types.KindMysqlSet:
		return strconv.FormatUint(d.GetMysqlSet().Value, 10), nil
	case types.KindMysqlBit, types.KindBinaryLiteral:
		n, err := d.GetBinaryLiteral().ToInt(types.DefaultStmtNoWarningContext)
		if err != nil {
			return "", fmt.Errorf("a bit value: %w", err)
		}
		return strconv.FormatUint(n, 10), nil
	default:
		return "", fmt.Errorf("a value of type %s: %w", types.TypeStr(ft.GetType()), errLiteral)
	}
}

func formatFloat(f float64) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("the number %v: %w", f, errLiteral)
	}
	return strconv.FormatFloat(f, 'e', -1, 64), nil
}
