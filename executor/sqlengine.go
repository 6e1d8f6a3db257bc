package executor

import (
	"context"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/logical"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/sqlext"
)

// sqlEngine is the Engine in front of a server that isn't TiDB: it restores by SQL, and has no stores to import into.
type sqlEngine struct {
	restoring
	server string // what VERSION() says
}

// openEngine asks the server what it is, and opens the Engine for it.
func openEngine(ctx context.Context, cfg Config, ledger cluster.Ledger) (Engine, error) {
	server, err := askServer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if server.TiDB {
		return openCore(ctx, cfg, ledger)
	}
	restorer := restore.NewBySQL(restore.SQLConfig{
		Server: logical.Params{Addrs: cfg.Backends, User: cfg.ServiceAccount.User, Password: cfg.ServiceAccount.Password},
		Source: source.Config{S3: cfg.S3, Patience: cfg.SourcePatience}, Logger: cfg.Logger,
	})
	return &sqlEngine{restoring: restoring{restorer}, server: server.Version}, nil
}

// askServer asks the server behind what it is.
func askServer(ctx context.Context, cfg Config) (server sqlconn.Server, err error) {
	pool := sqlconn.New(sqlconn.Config{Addrs: cfg.Backends, User: cfg.ServiceAccount.User, Password: cfg.ServiceAccount.Password})
	defer func() { _ = pool.Close() }()
	err = pool.Use(ctx, func(s *sqlconn.Session) (err error) {
		server, err = sqlconn.Identify(s)
		return err
	})
	return server, err
}

// Readable implements Engine.
func (e *sqlEngine) Readable(ctx context.Context, s *Spec) error {
	if s.Restore == nil {
		return e.needsTiDB()
	}
	return e.restoreReadable(ctx, s)
}

// Inspect implements Engine.
func (e *sqlEngine) Inspect(ctx context.Context, t Task, full bool) (Inspection, error) {
	if t.Restore == nil {
		return Inspection{}, e.needsTiDB()
	}
	return e.inspectRestore(ctx, &t, full)
}

// Plan implements Engine.
func (e *sqlEngine) Plan(ctx context.Context, t Task) (Plan, error) {
	if t.Restore == nil {
		return nil, e.needsTiDB()
	}
	return e.planRestore(ctx, &t)
}

// Abandon implements Engine.
func (e *sqlEngine) Abandon(ctx context.Context, t Task) (fate string, err error) {
	if t.Restore == nil {
		return "", e.needsTiDB()
	}
	return e.restorer.Abandon(ctx, restoreTask(&t))
}

// Sweep implements Engine: nothing is sorted here.
func (e *sqlEngine) Sweep(func(jobID int64) bool) {}

// Named implements Engine: nothing but SQL statements changes the server.
func (e *sqlEngine) Named(context.Context) ([]cluster.Change, error) { return nil, nil }

// Undo implements Engine.
func (e *sqlEngine) Undo(context.Context, cluster.Change) error { return e.needsTiDB() }

// Close implements Engine.
func (e *sqlEngine) Close() error { return nil }

// needsTiDB is the error of what only TiDB can have.
func (e *sqlEngine) needsTiDB() error { return needsTiDB("IMPORT INTO", e.server) }

// needsTiDB is the error of something that the server behind this Sluice can't have.
func needsTiDB(what, server string) error {
	return &sqlext.Error{Code: errno.ErrNotSupportedYet, Message: what + " needs TiDB, and the server behind this Sluice is " + server +
		"; what it can take are dumps and backups of BR, by RESTORE"}
}
