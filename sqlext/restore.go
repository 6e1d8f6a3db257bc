package sqlext

import (
	"strings"
)

// Restore is RESTORE {DATABASE | SCHEMA} ... or RESTORE TABLE ... FROM 'location', validated as far
// as the text alone allows. Exactly one of All, Databases and Tables says what is asked for.
type Restore struct {
	// All is RESTORE DATABASE *.
	All bool
	// Databases are those named, in order. No two have one name, or one target, in any case.
	Databases []RestoreDatabase
	// Tables are those named, in order; the same holds for them.
	Tables []RestoreTable
	// Location is the folder that holds the dump or the backup.
	Location Location
	// Options with the defaults filled in.
	Options RestoreOptions
	// Explain says that the statement is EXPLAIN RESTORE, see DryRun.
	Explain bool

	redacted string
}

// RestoreDatabase is a database of the source, with all that is in it.
type RestoreDatabase struct {
	// Name is its name in the source, as written.
	Name string
	// As is the name that it gets, as written; "" means its own.
	As string
}

// RestoreTable is one table, view or sequence of the source.
type RestoreTable struct {
	// DB and Table are its names in the source, as written. DB is "" for the session's current database.
	DB, Table string
	// AsDB and AsTable are the names that it gets. AsTable is "" for its own names; AsDB alone is "" for
	// the database that the table has in the source.
	AsDB, AsTable string
}

// ShowRestores is SHOW RESTORES [LIKE ... | WHERE ...].
type ShowRestores struct {
	// Where is as in ShowImportJobs; LIKE p arrives as "`Id` LIKE p".
	Where string
}

// DryRun says that nothing is to be restored: the statement asks what would be.
func (s *Restore) DryRun() bool { return s.Explain || s.Options.Job.DryRun }

// Redacted implements Statement.
func (s *Restore) Redacted() string {
	if s.Explain {
		return "EXPLAIN " + s.redacted
	}
	return s.redacted
}

// Redacted implements Statement.
func (s *ShowRestores) Redacted() string {
	if s.Where == "" {
		return "SHOW RESTORES"
	}
	return "SHOW RESTORES WHERE " + s.Where
}

func (*Restore) statement()      {}
func (*ShowRestores) statement() {}

// Targets writes what is to be restored as SQL, without the word DATABASE or TABLE: "*", "`a` AS `b`, `c`".
func (s *Restore) Targets() string {
	if s.All {
		return "*"
	}
	var list []string
	for _, d := range s.Databases {
		text := quoteName(d.Name)
		if d.As != "" {
			text += " AS " + quoteName(d.As)
		}
		list = append(list, text)
	}
	for _, t := range s.Tables {
		text := quoteTable(t.DB, t.Table)
		if t.AsTable != "" {
			text += " AS " + quoteTable(t.AsDB, t.AsTable)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// text is the statement without EXPLAIN and without credentials.
func (s *Restore) text(options string) string {
	kind := "DATABASE "
	if len(s.Tables) > 0 {
		kind = "TABLE "
	}
	return "RESTORE " + kind + s.Targets() + " FROM " + quoteText(s.Location.Redacted()) + options
}

func quoteTable(db, table string) string {
	if db == "" {
		return quoteName(table)
	}
	return quoteName(db) + "." + quoteName(table)
}
