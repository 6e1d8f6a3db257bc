// Package table describes the table that an import writes: its columns and
// indexes, how fields of the source map to columns, what columns without a
// field get, and whether the encoder can write such a table at all.
//
// A Target is built once per job from the schema that the cluster reports and
// is immutable afterwards; every worker shares it. It knows nothing of bytes:
// package encode compiles a Target and a Mapping into an encoder.
//
// # What is refused
//
// Whatever the encoder can't write byte for byte as TiDB would is refused by
// CheckEncodable before anything reaches the cluster, with the name of the
// part: a table is imported whole and right, or not at all. Tables with a
// schema change in progress are refused too, because rows written beside TiDB
// would miss the elements that are being added.
//
// # Collations
//
// TiDB's libraries hold "are the new collations in use?" as a switch of the
// process, decided when a cluster is bootstrapped. One process serves one
// cluster, so the switch is set by the first Target and a later Target that
// disagrees is refused (see collation.go).
package table

import (
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/fault"
)

// Target is a table to import into. It is immutable after NewTarget.
type Target struct {
	// DB is the schema's name as the user wrote it.
	DB string
	// Info is the table as the cluster's status port gives it
	// (/schema/{db}/{table}, the JSON of model.TableInfo). Not to be changed.
	Info *model.TableInfo
	// NewCollation tells whether the cluster uses the new collations
	// (mysql.tidb, row new_collation_enabled).
	NewCollation bool

	columns []*model.ColumnInfo // public, in table order
	byName  map[string]*model.ColumnInfo
	indexes []*model.IndexInfo // that have entries of their own, in schema order
	auto    *model.ColumnInfo  // auto-increment column, may be nil
}

// NewTarget checks that info is complete enough to work with and derives the
// public columns and the indexes that have entries. It doesn't say that the
// table can be encoded: that is CheckEncodable. info is kept, not copied.
func NewTarget(db string, info *model.TableInfo, newCollation bool) (*Target, error) {
	if info == nil || info.ID == 0 {
		return nil, fault.New(fault.Sluice, 0, "the schema of a table in %q is missing", db)
	}
	if err := useCollation(newCollation); err != nil {
		return nil, err
	}
	t := &Target{DB: db, Info: info, NewCollation: newCollation, byName: make(map[string]*model.ColumnInfo)}
	for i, col := range info.Columns {
		if col.Offset != i {
			return nil, fault.New(fault.Sluice, 0, "column %s of table %s has offset %d in the schema, found at %d",
				col.Name.O, info.Name.O, col.Offset, i)
		}
		if col.State != model.StatePublic {
			continue
		}
		t.columns = append(t.columns, col)
		t.byName[col.Name.L] = col
		if mysql.HasAutoIncrementFlag(col.GetFlag()) {
			t.auto = col
		}
	}
	for _, idx := range info.Indices {
		if hasEntries(info, idx) {
			t.indexes = append(t.indexes, idx)
		}
	}
	return t, nil
}

// hasEntries reports whether rows have key-value pairs for the index beside
// their record: not for TiFlash's own indexes, nor for a clustered primary key.
func hasEntries(info *model.TableInfo, idx *model.IndexInfo) bool {
	if idx.State != model.StatePublic || idx.IsTiFlashLocalIndex() {
		return false
	}
	return !(idx.Primary && (info.IsCommonHandle || info.PKIsHandle))
}

// Columns returns the public columns in table order; not to be changed.
func (t *Target) Columns() []*model.ColumnInfo { return t.columns }

// Indexes returns the indexes that have key-value pairs of their own, in
// schema order; not to be changed.
func (t *Target) Indexes() []*model.IndexInfo { return t.indexes }

// AutoIncrement returns the AUTO_INCREMENT column, or nil.
func (t *Target) AutoIncrement() *model.ColumnInfo { return t.auto }

// AutoRandom returns the AUTO_RANDOM column, or nil. It is the first column of
// a clustered primary key.
func (t *Target) AutoRandom() *model.ColumnInfo {
	if !t.Info.ContainsAutoRandomBits() {
		return nil
	}
	if pk := t.PrimaryIndex(); t.Info.IsCommonHandle && pk != nil {
		return t.Info.Columns[pk.Columns[0].Offset]
	}
	return t.HandleColumn()
}

// HandleColumn returns the integer column that is the row's handle, or nil
// when the handle is _tidb_rowid or a common (composite or string) handle.
func (t *Target) HandleColumn() *model.ColumnInfo {
	if !t.Info.PKIsHandle {
		return nil
	}
	for _, col := range t.columns {
		if mysql.HasPriKeyFlag(col.GetFlag()) {
			return col
		}
	}
	return nil
}

// PrimaryIndex returns the index of the primary key, or nil: tables whose
// handle is an integer column have none.
func (t *Target) PrimaryIndex() *model.IndexInfo {
	for _, idx := range t.Info.Indices {
		if idx.Primary {
			return idx
		}
	}
	return nil
}

// HasRowID reports whether rows are stored under the hidden _tidb_rowid.
func (t *Target) HasRowID() bool { return !t.Info.PKIsHandle && !t.Info.IsCommonHandle }

// String returns `db`.`table`.
func (t *Target) String() string { return "`" + t.DB + "`.`" + t.Info.Name.O + "`" }
