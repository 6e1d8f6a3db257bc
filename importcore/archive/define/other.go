package define

import (
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// Database returns the CREATE DATABASE of a database, under the given name.
func Database(d *model.DBInfo, name string) string {
	text := "CREATE DATABASE " + sqlconn.QuoteName(name)
	charset := d.Charset
	if charset == "" {
		charset = mysql.DefaultCharset
	}
	text += " DEFAULT CHARACTER SET " + charset
	if d.Collate != "" {
		text += " COLLATE " + d.Collate
	}
	return text + placement(d.PlacementPolicyRef)
}

// View returns the CREATE VIEW of a view, under its own name.
func View(t *model.TableInfo) string {
	v := t.View
	user, host := v.Definer.AuthUsername, v.Definer.AuthHostname
	if user == "" || host == "" {
		user, host = v.Definer.Username, v.Definer.Hostname
	}
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = sqlconn.QuoteName(c.Name.O)
	}
	return fmt.Sprintf("CREATE ALGORITHM=%s DEFINER=%s@%s SQL SECURITY %s VIEW %s (%s) AS %s", v.Algorithm.String(),
		sqlconn.QuoteName(user), sqlconn.QuoteName(host), v.Security.String(), sqlconn.QuoteName(t.Name.O), strings.Join(columns, ", "), v.SelectStmt)
}

// Sequence returns the statements that make a sequence under a name, which is quoted: CREATE SEQUENCE and, if some of its values
// were given out, what makes it go on behind these, in TiDB or in MariaDB.
func Sequence(t *model.TableInfo, name string, mariaDB bool) []string {
	s := t.Sequence
	cache, cycle := "NOCACHE", "NOCYCLE"
	if s.Cache {
		cache = fmt.Sprintf("CACHE %d", s.CacheValue)
	}
	if s.Cycle {
		cycle = "CYCLE"
	}
	out := []string{fmt.Sprintf("CREATE SEQUENCE %s START WITH %d MINVALUE %d MAXVALUE %d INCREMENT BY %d %s %s ENGINE=InnoDB%s",
		name, s.Start, s.MinValue, s.MaxValue, s.Increment, cache, cycle, comment(" COMMENT=", s.Comment))}
	if t.AutoIncID == s.Start { // none was given
		return out
	}
	set := func(value int64) string { return fmt.Sprintf("DO SETVAL(%s, %d)", name, value) }
	switch {
	case s.Cycle && mariaDB: // it counts rounds, and takes no value of an earlier one: https://mariadb.com/kb/en/setval/
		return append(out, fmt.Sprintf("DO SETVAL(%s, %d, 1, 1)", name, t.AutoIncID))
	case s.Cycle:
		// A sequence in its second round or later gives values in front of Start.
		limit := s.MaxValue
		if s.Increment < 0 {
			limit = s.MinValue
		}
		out = append(out, set(limit), fmt.Sprintf("DO NEXTVAL(%s)", name))
	}
	return append(out, set(t.AutoIncID))
}

// Policy returns the CREATE PLACEMENT POLICY of a policy; what is there already stays.
func Policy(p *model.PolicyInfo) string {
	return "CREATE PLACEMENT POLICY IF NOT EXISTS " + sqlconn.QuoteName(p.Name.O) + " " + p.PlacementSettings.String()
}
