package oracle_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/stretchr/testify/require"
)

// The exceptions: differences in which an INSERT leaves something that TiDB's
// own reads disagree with, and the import doesn't. Each is proven where it is
// met, by what TiDB says about both tables; what isn't proven is a difference.
const (
	exceptionKey     = "PARTITION BY KEY: TiDB's pruned SELECT finds the row of the import, not that of the INSERT"
	exceptionVirtual = "index on a virtual column: the complete ADMIN CHECK TABLE calls the table of the INSERT inconsistent, that of the import not"
)

// errInconsistent is TiDB's code for an index that doesn't fit the rows.
const errInconsistent = 8134

// explain takes proven exceptions out of the differences and gives want the
// pairs that were found in their place. Both tables have to's ids.
func (j *judging) explain(found []difference, want map[string]string, to *model.TableInfo) []difference {
	j.t.Helper()
	if len(found) == 0 {
		return nil
	}
	for _, e := range []struct {
		name  string
		apart func([]difference, *model.TableInfo) (explained, rest []difference)
		holds func(*model.TableInfo, []difference) bool
	}{
		{exceptionKey, movedRows, j.readsFindMoved},
		{exceptionVirtual, virtualEntries, j.insertIsInconsistent},
	} {
		explained, rest := e.apart(found, to)
		if len(explained) == 0 || !e.holds(to, explained) {
			continue
		}
		for _, d := range explained {
			delete(want, d.key)
			if d.found != nil {
				want[d.key] = *d.found
			}
		}
		report.except(j.name, e.name)
		found = rest
	}
	return found
}

// movedRows are the pairs of rows that lie in another partition by KEY than the
// INSERT put them into, and are equal otherwise.
func movedRows(found []difference, info *model.TableInfo) (moved, rest []difference) {
	if info.Partition == nil || info.Partition.Type != pmodel.PartitionTypeKey {
		return nil, found
	}
	const prefix = 1 + 8
	twin := func(d difference) bool {
		return slices.ContainsFunc(found, func(o difference) bool {
			switch {
			case d.key == o.key || d.key[prefix:] != o.key[prefix:]:
				return false
			case d.found == nil:
				return o.inserted == nil && *o.found == *d.inserted
			default:
				return o.found == nil && d.inserted == nil && *o.inserted == *d.found
			}
		})
	}
	for _, d := range found {
		if twin(d) || d.inserted != nil && d.found != nil && withoutPartition(*d.inserted, info) == withoutPartition(*d.found, info) {
			moved = append(moved, d)
		} else {
			rest = append(rest, d)
		}
	}
	return moved, rest
}

// withoutPartition is the value of a global index entry without the id in it.
func withoutPartition(v string, info *model.TableInfo) string {
	for _, id := range ids(info)[1:] {
		v = strings.Replace(v, flagged(id), "", 1)
	}
	return v
}

// readsFindMoved asks TiDB for each row that lies in another partition, by what
// its partition columns hold: it must find the import's and not the INSERT's.
func (j *judging) readsFindMoved(info *model.TableInfo, moved []difference) bool {
	j.t.Helper()
	records := 0
	for _, d := range moved {
		if _, _, isRecord, err := tablecodec.DecodeKeyHead([]byte(d.key)); err == nil && isRecord && d.found != nil {
			records++
		}
	}
	if records == 0 {
		return false
	}
	inserted := j.placesOf(j.inserted, info)
	for row, place := range j.placesOf(j.imported, info) {
		if inserted[row] == place {
			continue
		}
		records--
		at := fmt.Sprintf(" WHERE %s = %s", j.order, literal(row))
		for _, c := range info.Partition.Columns {
			_, held := j.mustQuery(j.t, "SELECT "+quoteName(c.O)+" FROM "+j.imported+at)
			require.Len(j.t, held, 1)
			if held[0][0] != nil {
				at += " AND " + quoteName(c.O) + " = " + literal(*held[0][0])
			} else {
				at += " AND " + quoteName(c.O) + " IS NULL"
			}
		}
		for name, count := range map[string]int{j.inserted: 0, j.imported: 1} {
			if _, rows := j.mustQuery(j.t, "SELECT 1 FROM "+name+at); len(rows) != count {
				j.t.Logf("SELECT 1 FROM %s%s finds %d rows", name, at, len(rows))
				return false
			}
		}
	}
	return records == 0
}

// placesOf names the partition of each row.
func (j *judging) placesOf(name string, info *model.TableInfo) map[string]string {
	j.t.Helper()
	places := make(map[string]string)
	for _, def := range info.Partition.Definitions {
		_, rows := j.mustQuery(j.t, fmt.Sprintf("SELECT %s FROM %s PARTITION (%s)", j.order, name, def.Name.O))
		for _, row := range rows {
			places[*row[0]] = def.Name.O
		}
	}
	return places
}

// virtualEntries are the differences in the entries of indexes on virtual columns.
func virtualEntries(found []difference, info *model.TableInfo) (entries, rest []difference) {
	virtual := make(map[int64]bool)
	for _, idx := range info.Indices {
		virtual[idx.ID] = slices.ContainsFunc(idx.Columns, func(c *model.IndexColumn) bool { return info.Columns[c.Offset].IsVirtualGenerated() })
	}
	for _, d := range found {
		if _, indexID, isRecord, err := tablecodec.DecodeKeyHead([]byte(d.key)); err == nil && !isRecord && virtual[indexID] {
			entries = append(entries, d)
		} else {
			rest = append(rest, d)
		}
	}
	return entries, rest
}

func (j *judging) insertIsInconsistent(*model.TableInfo, []difference) bool {
	return code(j.checkCompletely(j.inserted)) == errInconsistent
}

// checkCompletely is ADMIN CHECK TABLE that compares every entry with its row,
// not only checksums of both.
func (j *judging) checkCompletely(name string) error {
	j.exec(j.t, "SET tidb_enable_fast_table_check = OFF")
	_, err := j.tidb.ExecContext(j.t.Context(), "ADMIN CHECK TABLE "+name)
	j.exec(j.t, "SET tidb_enable_fast_table_check = ON")
	return err
}
