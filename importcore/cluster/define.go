package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// ObjectKind is what a name stands for.
type ObjectKind uint8

// The kinds of objects.
const (
	KindTable ObjectKind = iota
	KindView
	KindSequence
)

// String returns the kind as statements have it.
func (k ObjectKind) String() string { return [...]string{"TABLE", "VIEW", "SEQUENCE"}[k] }

// Object is a table, a view or a sequence of the cluster.
type Object struct {
	DB, Name string
	Kind     ObjectKind
	// ID is what TableID returns for it.
	ID int64
}

// Objects returns which of the databases exist, by their names as the cluster has them, and all objects that
// are in them. Case makes no difference.
func (c *Cluster) Objects(ctx context.Context, databases []string) (existing []string, objects []Object, err error) {
	if len(databases) == 0 {
		return nil, nil, nil
	}
	args := make([]any, len(databases))
	for i, db := range databases {
		args[i] = strings.ToLower(db)
	}
	in := "(?" + strings.Repeat(", ?", len(databases)-1) + ")"
	if existing, err = c.queryStrings(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) IN "+in, args...); err != nil {
		return nil, nil, failed(err, "list databases")
	}
	res, err := c.Query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TIDB_TABLE_ID FROM information_schema.TABLES WHERE LOWER(TABLE_SCHEMA) IN "+in, args...)
	if err != nil {
		return nil, nil, failed(err, "list tables")
	}
	defer res.Close()
	for i := range res.RowNumber() {
		var text [3]string
		for col := range text {
			value, err := res.GetString(i, col)
			if err != nil {
				return nil, nil, failed(err, "list tables")
			}
			text[col] = strings.Clone(value) // the driver reuses its buffers
		}
		o := Object{DB: text[0], Name: text[1]}
		if o.ID, err = res.GetInt(i, len(text)); err != nil {
			return nil, nil, failed(err, "list tables")
		}
		switch {
		case strings.Contains(text[2], "VIEW"):
			o.Kind = KindView
		case strings.Contains(text[2], "SEQUENCE"):
			o.Kind = KindSequence
		}
		objects = append(objects, o)
	}
	return existing, objects, nil
}

// Exec runs a statement that defines something. remarks are the warnings that the server gave about it, but for notes, and for those that only
// say that a way of writing is out of date.
type Exec func(sql string) (remarks []string, err error)

// Define lends f a session in which setup has been run, for statements that define objects. Errors are the
// session's, see sqlconn.Session.Exec.
func (c *Cluster) Define(ctx context.Context, setup []string, f func(exec Exec) error) error {
	return c.sql.Use(ctx, func(s *sqlconn.Session) error {
		s.Discard() // has settings of its own
		for _, sql := range setup {
			if _, err := s.Exec(sql); err != nil {
				return err
			}
		}
		return f(Remarking(s))
	})
}

// Remarking is the Exec of a session, for as long as that is lent.
func Remarking(s *sqlconn.Session) Exec {
	return func(sql string) (remarks []string, err error) {
		res, err := s.Exec(sql)
		if err != nil || res.Warnings == 0 {
			return nil, err
		}
		if res, err = s.Exec("SHOW WARNINGS"); err != nil {
			return nil, err
		}
		for i := range res.RowNumber() {
			level, err1 := res.GetString(i, 0)
			code, err2 := res.GetInt(i, 1)
			text, err3 := res.GetString(i, 2)
			if err := errors.Join(err1, err2, err3); err != nil {
				return nil, err
			}
			if strings.EqualFold(level, "Note") || code == errno.ErrWarnDeprecatedSyntax || code == errno.ErrWarnDeprecatedSyntaxNoReplacement {
				continue
			}
			if !slices.Contains(remarks, text) {
				remarks = append(remarks, strings.Clone(text)) // the driver reuses its buffers
			}
		}
		return remarks, nil
	}
}
