package sqlext

import (
	"path/filepath"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/parser/ast"
)

// convertRestore makes the typed statement of what TiDB's parser has read and what was cut out before.
func convertRestore(n *ast.BRIEStmt, cut *restoreCut) (*Restore, *Error) {
	if cut.analyze {
		return nil, notSupportedYet("EXPLAIN ANALYZE RESTORE")
	}
	if f := cut.format; f != "" && !strings.EqualFold(f, "row") && !strings.EqualFold(f, "brief") {
		return nil, notSupportedYet("EXPLAIN FORMAT = '" + f + "' RESTORE")
	}
	st := &Restore{All: len(n.Schemas) == 0 && len(n.Tables) == 0, Options: defaultRestoreOptions(), Explain: cut.explain}
	loc, err := parseLocation(n.Storage)
	if err != nil {
		return nil, err
	}
	st.Location = loc
	if err = st.setTargets(n, cut); err != nil {
		return nil, err
	}
	ours, err := st.Options.setCut(cut)
	if err != nil {
		return nil, err
	}
	theirs, err := st.Options.setBRIE(n.Options)
	if err != nil {
		return nil, err
	}
	st.redacted = st.text(theirs + ours)
	return st, st.Location.checkFolder()
}

func (s *Restore) setTargets(n *ast.BRIEStmt, cut *restoreCut) *Error {
	from, to := map[string]bool{}, map[string]bool{}
	for i, name := range n.Schemas {
		d := RestoreDatabase{Name: name, As: cut.as[i].AsTable}
		s.Databases = append(s.Databases, d)
		target := d.As
		if target == "" {
			target = d.Name
		}
		if addName(from, d.Name) || addName(to, target) {
			return plainError("RESTORE DATABASE: two databases are called %s, or are to be", quoteName(target))
		}
	}
	for i, name := range n.Tables {
		t := RestoreTable{DB: name.Schema.O, Table: name.Name.O, AsDB: cut.as[i].AsDB, AsTable: cut.as[i].AsTable}
		s.Tables = append(s.Tables, t)
		db, table := t.DB, t.Table
		if t.AsTable != "" {
			table = t.AsTable
			if t.AsDB != "" {
				db = t.AsDB
			}
		}
		if addName(from, quoteTable(t.DB, t.Table)) || addName(to, quoteTable(db, table)) {
			return newError(errno.ErrNonuniqTable, table)
		}
	}
	return nil
}

// addName tells whether a name was there already. TiDB compares names without case.
func addName(names map[string]bool, name string) (there bool) {
	key := strings.ToLower(name)
	there = names[key]
	names[key] = true
	return there
}

// checkFolder applies the rules for the location of a dump or a backup that need no look at it.
func (l Location) checkFolder() *Error {
	if l.Raw == "" {
		return plainError("the location of RESTORE must not be empty")
	}
	u, err := parseURL(l.Raw)
	if err != nil {
		return invalidURI(err.Error())
	}
	switch {
	case l.Scheme == "noop":
		return invalidURI("storage noop holds nothing")
	case l.IsLocal() && !filepath.IsAbs(u.Path):
		return invalidURI("file location should be absolute path when restore from server disk")
	}
	return checkScheme(u)
}
