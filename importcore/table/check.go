package table

import (
	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/types"

	"github.com/sluicedb/sluice/importcore/fault"
)

// CheckEncodable returns a *fault.Error that names the first part of the table
// that rows can't be encoded for yet, or nil. It must be asked before anything
// is written.
func (t *Target) CheckEncodable() error {
	for _, check := range []func() error{t.checkKind, t.checkShape, t.checkPartitions, t.checkColumns, t.checkIndexes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkKind refuses what isn't a base table. The executor refuses these
// earlier, with the code of the statement; here they stop a caller that didn't.
func (t *Target) checkKind() error {
	info := t.Info
	switch {
	case info.IsView(), info.IsSequence():
		return fault.New(fault.User, errno.ErrWrongObject, "'%s.%s' is not BASE TABLE", t.DB, info.Name.O)
	case info.TempTableType != model.TempTableNone:
		return t.refuse("it is a temporary table")
	case info.TableCacheStatusType != model.TableCacheStatusDisable:
		return t.refuse("it is a cached table")
	case info.State != model.StatePublic:
		return t.refuse("it is being created or dropped")
	default:
		return nil
	}
}

func (t *Target) checkShape() error {
	info := t.Info
	switch {
	case info.ExchangePartitionInfo != nil:
		return t.refuse("an exchange of partitions is in progress")
	case info.IsCommonHandle && info.CommonHandleVersion != 1:
		return t.refuse("its clustered primary key was created by a release candidate of 5.0")
	case info.PKIsHandle && t.HandleColumn() == nil, info.IsCommonHandle && t.PrimaryIndex() == nil:
		return t.refuse("its schema names a clustered primary key without column")
	case info.ContainsAutoRandomBits() && (t.AutoRandom() == nil || !mysql.IsIntegerType(t.AutoRandom().GetType())):
		return t.refuse("its schema has AUTO_RANDOM bits without an integer column for them")
	default:
		return nil
	}
}

func (t *Target) checkColumns() error {
	for _, col := range t.Info.Columns {
		switch {
		case col.State != model.StatePublic, col.ChangeStateInfo != nil, col.ChangingFieldType != nil:
			return t.refuse("a change of column %s is in progress", col.Name.O)
		case col.FieldType.IsArray() && !(col.Hidden && col.IsVirtualGenerated()):
			return t.refuse("column %s is an array", col.Name.O)
		case mysql.HasAutoIncrementFlag(col.GetFlag()) && !countable(col.GetType()):
			return t.refuse("the AUTO_INCREMENT column %s is not a number", col.Name.O)
		case !knownType(col.GetType()):
			return t.refuse("column %s has the type %s", col.Name.O, types.TypeStr(col.GetType()))
		}
	}
	return nil
}

func (t *Target) checkIndexes() error {
	for _, idx := range t.Info.Indices {
		if idx.State != model.StatePublic {
			return t.refuse("a change of index %s is in progress", idx.Name.O)
		}
		if idx.IsTiFlashLocalIndex() {
			continue // TiFlash builds these from the records
		}
		if idx.Global && t.Partitioning() == nil {
			return t.refuse("index %s is global, but the table has no partitions", idx.Name.O)
		}
		for _, ic := range idx.Columns {
			if ic.UseChangingType {
				return t.refuse("a change of index %s is in progress", idx.Name.O)
			}
			if ic.Offset < 0 || ic.Offset >= len(t.Info.Columns) {
				return t.refuse("index %s names a column that the schema doesn't have", idx.Name.O)
			}
		}
	}
	return nil
}

// countable reports whether TiDB allows AUTO_INCREMENT for the type.
func countable(tp byte) bool {
	return mysql.IsIntegerType(tp) || tp == mysql.TypeFloat || tp == mysql.TypeDouble
}

// ForeignKeys returns the foreign keys that TiDB checks when a row is
// inserted: not those made while it did not know them yet.
func (t *Target) ForeignKeys() []*model.FKInfo {
	var fks []*model.FKInfo
	for _, fk := range t.Info.ForeignKeys {
		if fk.Version >= model.FKVersion1 && fk.State == model.StatePublic {
			fks = append(fks, fk)
		}
	}
	return fks
}

func (t *Target) refuse(format string, args ...any) error {
	why := fault.New(fault.User, 0, format, args...).Message
	return fault.New(fault.User, errno.ErrNotSupportedYet, "Sluice can't import into %s yet: %s", t, why)
}
