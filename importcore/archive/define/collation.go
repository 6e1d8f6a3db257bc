package define

import (
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
)

// Collation returns the collation_connection that a session for the CREATE of a table or a view needs, "" if any will do. A view keeps that of the session that
// made it. The type of an indexed expression over values that are no strings, such as LOWER(7), has it too, and its values are encoded by that.
func Collation(t *model.TableInfo) (collation string) {
	if t.IsView() && strings.HasPrefix(t.Collate, mysql.UTF8Charset) {
		return t.Collate
	}
	of := map[string]bool{}
	for _, c := range t.Columns {
		if !c.Hidden {
			of[c.GetCollate()] = true
		}
	}
	for _, c := range t.Columns {
		// A statement's texts can be had in Unicode's collations only. Where there are several, the columns' own come with these.
		if collate := c.GetCollate(); c.Hidden && strings.HasPrefix(collate, mysql.UTF8Charset) && (collation == "" || !of[collate]) {
			collation = collate
		}
	}
	return collation
}
