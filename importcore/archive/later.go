package archive

import (
	"bytes"
	"slices"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/tablecodec"

	"github.com/sluicedb/sluice/importcore/fault"
)

// NewRulesWithout are NewRules for a table some of whose indexes, by their names in lower case, get no entries from the archive: those are made when its rows
// are there, so that the target may have them or not.
func NewRulesWithout(from, to *model.TableInfo, later map[string]bool) (Rules, error) {
	if len(later) == 0 {
		return NewRules(from, to)
	}
	return NewRules(without(from, later), without(to, later))
}

// without returns a table without indexes, and without the columns of their expressions.
func without(t *model.TableInfo, later map[string]bool) *model.TableInfo {
	bare := *t
	bare.Columns, bare.Indices = slices.Clone(t.Columns), nil
	for _, x := range t.Indices {
		if !later[x.Name.L] {
			bare.Indices = append(bare.Indices, x)
			continue
		}
		for _, c := range x.Columns {
			if of := t.Columns[c.Offset]; of.Hidden {
				unused := *of
				unused.State = model.StateNone
				bare.Columns[c.Offset] = &unused
			}
		}
	}
	return &bare
}

// LaterPart tells whether a part holds entries of such an index, and nothing else. One that holds others too is an error.
func LaterPart(part *Part, later map[string]bool) (bool, error) {
	for _, x := range part.Table.Info.Indices {
		prefix := tablecodec.EncodeTableIndexPrefix(part.PhysicalID, x.ID)
		if !later[x.Name.L] || bytes.Compare(part.End, prefix) <= 0 || bytes.Compare(part.Start, After(prefix)) >= 0 {
			continue
		}
		if bytes.Compare(part.Start, prefix) >= 0 && bytes.Compare(part.End, After(prefix)) <= 0 {
			return true, nil
		}
		return false, fault.New(fault.User, 0, "the file %s of the archive has entries of index %s of table %s, which was made since the archive before, among others: that can't be restored",
			part.Write.Path, x.Name.O, part.Table.Info.Name.O)
	}
	return false, nil
}
