package restore

import (
	"context"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/restore/systables"
)

// # Accounts, privileges and bindings
//
// They come last, by one transaction (package systables). Nothing can fail behind it, so that a job that fails has not changed them.

// systemState is what a job has that restores them.
type systemState struct {
	// Sent tells that the transaction may have been committed; Done that it was.
	Sent bool `json:"sent,omitempty"`
	Done bool `json:"done,omitempty"`
	// Added is what it adds beside accounts.
	Added systables.Added `json:"added,omitzero"`
}

// reservedUsers are accounts that no restore touches, as with br.
var reservedUsers = []string{"root", "cloud_admin"}

// System counts accounts and bindings that are restored.
type System struct{ Accounts, Bindings int }

// checkSystem refuses to restore system tables where that makes no sense.
func (p *Plan) checkSystem(refuse func(string) error) error {
	const name = "WITH_SYS_TABLE = TRUE"
	switch {
	case !p.task.Options.SystemTables:
		return nil
	case p.archived == nil:
		return refuse(name)
	case p.sql != nil:
		return fault.New(fault.User, codePrecheckFailed, "%s can't be used where rows go in by SQL (BACKEND = 'tidb', or a server that isn't TiDB)", name)
	case p.incremental():
		return fault.New(fault.User, codePrecheckFailed, "%s can't be used with an archive that continues another one", name)
	case !p.task.Selection.Everything:
		return fault.New(fault.User, codePrecheckFailed, "%s can be used with RESTORE DATABASE * only", name)
	}
	return nil
}

// chooseSystem reads the system tables, and looks whether the cluster can take them.
func (p *Plan) chooseSystem(ctx context.Context) error {
	if !p.task.Options.SystemTables {
		return nil
	}
	c, err := newChooser(&p.task.Selection)
	if err != nil {
		return err
	}
	chosen := func(table string) bool { return c.filter == nil || c.filter.MatchTable(systables.Schema, table) }
	if p.system, err = systables.Read(ctx, p.archived.archive, chosen, p.keepsUser()); err != nil {
		return err
	}
	if p.system == nil {
		p.finding(precheck.SourceFile, "the archive holds no system tables that are to be restored (one of all databases has them); WITH_SYS_TABLE = FALSE does without")
		return nil
	}
	if kept := p.system.Kept; len(kept) > 0 {
		p.skipped = append(p.skipped, Skipped{"accounts " + enumerate(accountNames(kept)), "root, cloud_admin, Sluice's own account and the one that restores stay as they are"})
	}
	for _, table := range p.system.Tables() {
		if err := p.checkSystemTable(ctx, table); err != nil {
			return err
		}
	}
	if p.saved != nil {
		return nil // they may be the job's own
	}
	existing, err := p.system.Existing(p.ask(ctx))
	if err != nil {
		return fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "list the cluster's accounts")
	}
	if len(existing) > 0 {
		p.finding(precheck.TargetEmpty, "accounts of the archive exist already in the cluster: %s", enumerate(accountNames(existing)))
	}
	return nil
}

func accountNames(list []systables.Account) (names []string) {
	for _, account := range list {
		names = append(names, account.String())
	}
	return names
}

// keepsUser tells which users stay as they are.
func (p *Plan) keepsUser() func(user string) bool {
	keep := append(slices.Clone(reservedUsers), p.r.account.User)
	if at := strings.LastIndex(p.task.Session.User, "@"); at >= 0 {
		keep = append(keep, p.task.Session.User[:at])
	}
	return func(user string) bool { return slices.Contains(keep, user) }
}

func (p *Plan) ask(ctx context.Context) systables.Ask {
	return func(sql string, args ...any) (*mysql.Result, error) {
		return p.r.core.Cluster().Query(ctx, sql, args...)
	}
}

// checkSystemTable finds what keeps the cluster's table from taking the archive's rows.
func (p *Plan) checkSystemTable(ctx context.Context, name string) error {
	info, _, err := p.r.core.Cluster().LoadTable(ctx, systables.Schema, name)
	if err == nil {
		_, err = p.ask(ctx)(systables.Probe(name))
	}
	switch code := sqlconn.Code(err); {
	case code == errno.ErrNoSuchTable || code == errno.ErrTableaccessDenied || code == errno.ErrDBaccessDenied:
		p.finding(precheck.Schema, "system table %s of the cluster: %v", name, err)
		return nil
	case err != nil:
		return err
	}
	if misfits := p.system.Misfits(name, info); len(misfits) > 0 {
		p.finding(precheck.Schema, "system tables of the cluster can't take those of the archive: %s", enumerate(misfits))
	}
	return nil
}

// bringInSystem adds accounts, privileges and bindings.
func (p *Plan) bringInSystem(ctx context.Context) error {
	if p.saved.System.Done {
		return nil
	}
	there, err := p.systemCommitted(ctx)
	if err != nil {
		return err
	}
	if !there {
		if err := p.insertSystem(ctx); err != nil {
			return err
		}
	}
	// Servers load the rows by themselves only when they start.
	if _, err := p.ask(ctx)("FLUSH PRIVILEGES"); err != nil {
		if p.ends(ctx, err) {
			return err
		}
		p.warn("accounts are restored, but FLUSH PRIVILEGES failed, so they can be used only after it: %v", err)
	}
	p.keeper.change(func() { p.saved.System.Done = true })
	p.tellSystem()
	return nil
}

// insertSystem runs the transaction. That it may be committed is saved right before it is.
func (p *Plan) insertSystem(ctx context.Context) error {
	return p.r.core.Cluster().Transact(ctx, func(s *sqlconn.Session) error {
		added, err := p.system.Insert(s)
		if err != nil {
			return err
		}
		p.keeper.change(func() { p.saved.System.Sent, p.saved.System.Added = true, added })
		return p.keeper.save(ctx)
	})
}

// tellSystem says what was added.
func (p *Plan) tellSystem() {
	added := p.saved.System.Added
	p.warn("restored with system tables: %s, %s", precheck.Counted(int64(len(p.system.Accounts)), "account"), precheck.Counted(int64(added.Bindings), "binding"))
	if kept := p.system.Bindings - added.Bindings; kept > 0 {
		p.warn("left out, because the cluster has bindings for their statements: %s", precheck.Counted(int64(kept), "binding"))
	}
	if added.Listed > 0 {
		p.warn("added to the optimizer's lists: %s, which each TiDB heeds after ADMIN RELOAD expr_pushdown_blacklist and ADMIN RELOAD opt_rule_blacklist, or when it starts",
			precheck.Counted(int64(added.Listed), "row"))
	}
	if p.system.Orphans > 0 {
		p.warn("left out of system tables, because they name accounts that the archive doesn't have: %s", precheck.Counted(int64(p.system.Orphans), "row"))
	}
}

// systemCommitted tells whether an earlier run of the job has committed the transaction, of which it has no more than that it may have.
// Without accounts there is no telling, and no need: bindings that are there stay.
func (p *Plan) systemCommitted(ctx context.Context) (bool, error) {
	if !p.saved.System.Sent {
		return false, nil
	}
	existing, err := p.system.Existing(p.ask(ctx))
	if err != nil {
		return false, err
	}
	switch len(existing) {
	case 0:
		return false, nil
	case len(p.system.Accounts):
		return true, nil
	}
	return false, fault.New(fault.User, errno.ErrCannotUser, "some accounts of the archive were made or dropped by others while the restore went on: %s exist",
		enumerate(accountNames(existing)))
}

// system says what a job that doesn't end well leaves of accounts and bindings.
func (a *abandoning) system() {
	if s := a.state.System; s != nil && s.Sent {
		may := "may have been"
		if s.Done {
			may = "were"
		}
		a.left = append(a.left, "the archive's accounts, privileges and bindings, which "+may+" added, all or none of them")
	}
}
