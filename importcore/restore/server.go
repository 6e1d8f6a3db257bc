package restore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/logical"
)

// server is what a restore asks of its target by SQL, and changes there, whichever way the rows take. *cluster.Cluster is one.
type server interface {
	// Objects and TableID are those of cluster.Cluster. The ids are 0 where a server has none.
	Objects(ctx context.Context, databases []string) (existing []string, objects []cluster.Object, err error)
	TableID(ctx context.Context, db, table string) (id int64, ok bool, err error)
	// MadeWith is cluster.Cluster's; of a server without a history nothing is known.
	MadeWith(ctx context.Context, mark string) (*cluster.Made, error)
	// Define and Query are cluster.Cluster's.
	Define(ctx context.Context, setup []string, f func(exec cluster.Exec) error) error
	Query(ctx context.Context, sql string, args ...any) (*mysql.Result, error)
}

// server is the target of the Restorer's tasks; target is nil unless rows go in by SQL.
func (r *Restorer) server(target *logical.Target) server {
	if r.core != nil {
		return r.core.Cluster()
	}
	return &plainServer{target}
}

// clock returns the target's clock, and the timestamp of PD that this is, 0 for a server without one.
func (p *Plan) clock(ctx context.Context) (now time.Time, ts uint64, err error) {
	if p.r.core != nil {
		ts, err = p.r.core.Cluster().TSO(ctx)
		return time.UnixMilli(int64(ts >> physicalShift)), ts, err
	}
	err = p.sql.target.Use(ctx, func(s *sqlconn.Session) error {
		res, err := s.Exec("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")
		if err != nil {
			return err
		}
		ms, err := res.GetInt(0, 0)
		now = time.UnixMilli(ms)
		return err
	})
	return now, 0, err
}

// plainServer is a server that isn't TiDB: it has no ids for objects, and no history of its schema.
type plainServer struct{ target *logical.Target }

// Objects implements server.
func (p *plainServer) Objects(ctx context.Context, databases []string) (existing []string, objects []cluster.Object, err error) {
	if len(databases) == 0 {
		return nil, nil, nil
	}
	names := make([]any, len(databases))
	for i, db := range databases {
		names[i] = strings.ToLower(db)
	}
	in := "(?" + strings.Repeat(", ?", len(names)-1) + ")"
	err = p.target.Use(ctx, func(s *sqlconn.Session) error {
		existing, objects = nil, nil
		res, err := s.Exec("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) IN "+in, names...)
		if err != nil {
			return err
		}
		for i := range res.RowNumber() {
			name, err := res.GetString(i, 0)
			if err != nil {
				return err
			}
			existing = append(existing, strings.Clone(name))
		}
		res, err = s.Exec("SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE LOWER(TABLE_SCHEMA) IN "+in, names...)
		if err != nil {
			return err
		}
		for i := range res.RowNumber() {
			db, err1 := res.GetString(i, 0)
			name, err2 := res.GetString(i, 1)
			kind, err3 := res.GetString(i, 2)
			if err := errors.Join(err1, err2, err3); err != nil {
				return err
			}
			o := cluster.Object{DB: strings.Clone(db), Name: strings.Clone(name)}
			switch {
			case strings.Contains(kind, "VIEW"):
				o.Kind = cluster.KindView
			case strings.Contains(kind, "SEQUENCE"):
				o.Kind = cluster.KindSequence
			}
			objects = append(objects, o)
		}
		return nil
	})
	return existing, objects, asked(err, "list what the server has")
}

// TableID implements server: there is none.
func (p *plainServer) TableID(ctx context.Context, db, table string) (id int64, ok bool, err error) {
	err = p.target.Use(ctx, func(s *sqlconn.Session) error {
		res, err := s.Exec("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", db, table)
		if err == nil {
			ok = res.RowNumber() > 0
		}
		return err
	})
	return 0, ok, asked(err, "look for a table")
}

// MadeWith implements server.
func (p *plainServer) MadeWith(context.Context, string) (*cluster.Made, error) {
	return &cluster.Made{}, nil
}

// Define implements server. The target's sessions are made for definitions.
func (p *plainServer) Define(ctx context.Context, setup []string, f func(exec cluster.Exec) error) error {
	return p.target.Use(ctx, func(s *sqlconn.Session) error {
		s.Discard() // f may change its settings
		for _, sql := range setup {
			s.Discard() // it is another one than the target's now
			if _, err := s.Exec(sql); err != nil {
				return err
			}
		}
		return f(cluster.Remarking(s))
	})
}

// Query implements server.
func (p *plainServer) Query(ctx context.Context, sql string, args ...any) (res *mysql.Result, err error) {
	err = p.target.Use(ctx, func(s *sqlconn.Session) (err error) {
		res, err = s.Exec(sql, args...)
		return err
	})
	return res, err
}

// asked explains an error that a server has answered.
func asked(err error, what string) error {
	if sqlconn.Code(err) == 0 || fault.IsRetryable(err) || fault.As(err) != nil {
		return err
	}
	return fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "%s", what)
}
