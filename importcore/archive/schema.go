package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
)

// temporary is what BR puts before the name of a system database.
const temporary = "__TiDB_BR_Temporary_"

// newestTable is the last version of a table's schema that is known, see TableInfoVersion of TiDB.
const newestTable = model.TableInfoVersion5

// Database is a database of the archive.
type Database struct {
	// Name is the database's, without what BR adds to those of the system.
	Name   string
	Info   *model.DBInfo
	System bool // mysql or sys
	// Tables are tables, views and sequences in the archive's order.
	Tables []*Table
}

// Table is a table, a view (Info.IsView) or a sequence (Info.IsSequence) of the archive.
type Table struct {
	Database *Database
	Info     *model.TableInfo
	// Sum is what the backup has counted in the table, if it was asked to (HasSum).
	Sum    kv.Checksum
	HasSum bool
	// FileSum is the sum over Parts.
	FileSum         kv.Checksum
	TiFlashReplicas uint32
	// Parts are the table's key ranges with their files, in key order.
	Parts []*Part

	stats      []byte
	statsIndex []*backuppb.StatsFileIndex
}

// build turns the archive's messages into what they mean.
func (a *Archive) build(m *backuppb.BackupMeta, r *metaReader, file source.File) (err error) {
	if a.Jobs, err = r.jobs(m); err != nil {
		return err
	}
	for _, p := range m.Policies {
		info := &model.PolicyInfo{}
		if err := json.Unmarshal(p.Info, info); err != nil {
			return damaged(file.Path, fmt.Errorf("a placement policy can't be decoded: %w", err))
		}
		a.Policies = append(a.Policies, info)
	}
	byName := map[string]*Database{}
	for _, s := range r.schemas {
		if err := a.addSchema(s, byName); err != nil {
			return damaged(file.Path, err)
		}
	}
	return a.assign(r.files)
}

// addSchema adds a table, and its database if that is new.
func (a *Archive) addSchema(s *backuppb.Schema, byName map[string]*Database) error {
	info := &model.DBInfo{}
	if err := json.Unmarshal(s.Db, info); err != nil {
		return fmt.Errorf("a database can't be decoded: %w", err)
	}
	if info.Name.O == "" {
		return errors.New("a database has no name")
	}
	db := byName[info.Name.L]
	if db == nil {
		name, system := strings.CutPrefix(info.Name.O, temporary)
		db = &Database{Name: name, Info: info, System: system}
		byName[info.Name.L] = db
		a.Databases = append(a.Databases, db)
	}
	if len(s.Table) == 0 {
		return nil
	}
	t := &Table{
		Database: db, Info: &model.TableInfo{}, Sum: kv.Checksum{Sum: s.Crc64Xor, Pairs: s.TotalKvs, Bytes: s.TotalBytes},
		TiFlashReplicas: s.TiflashReplicas, stats: s.Stats, statsIndex: s.StatsIndex,
	}
	t.HasSum = t.Sum != kv.Checksum{}
	if err := json.Unmarshal(s.Table, t.Info); err != nil {
		return fmt.Errorf("a table of database %s can't be decoded: %w", db.Name, err)
	}
	if err := checkInfo(t.Info); err != nil {
		return fmt.Errorf("table %s.%s: %w", db.Name, t.Info.Name.O, err)
	}
	db.Tables = append(db.Tables, t)
	return nil
}

// checkInfo makes sure that a table's schema can be worked with.
func checkInfo(t *model.TableInfo) error {
	switch {
	case t.Name.O == "" || t.ID <= 0:
		return errors.New("it has no name or no id")
	case t.Version > newestTable:
		return fmt.Errorf("its schema has version %d, and versions up to %d are known", t.Version, newestTable)
	}
	for i, c := range t.Columns {
		if c == nil || c.Offset != i {
			return errors.New("its columns are not in order")
		}
	}
	for _, index := range t.Indices {
		for _, c := range index.Columns {
			if c.Offset < 0 || c.Offset >= len(t.Columns) {
				return fmt.Errorf("its index %s is over a column that it doesn't have", index.Name.O)
			}
		}
	}
	return nil
}

// PhysicalIDs returns the ids that the table's rows lie under: those of its partitions, or its own.
func (t *Table) PhysicalIDs() []int64 {
	p := t.Info.GetPartitionInfo()
	if p == nil {
		return []int64{t.Info.ID}
	}
	ids := make([]int64, 0, len(p.Definitions))
	for _, d := range p.Definitions {
		ids = append(ids, d.ID)
	}
	return ids
}
