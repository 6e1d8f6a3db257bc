package restore

import (
	"context"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// lookForLosses finds what the target will leave out of the definitions, or can't use, though it takes them.
func (p *Plan) lookForLosses(ctx context.Context) error {
	if err := p.lookForChecks(ctx); err != nil {
		return err
	}
	return p.lookForDefiners(ctx)
}

// checkVariable is TiDB's switch for CHECK constraints, and checksOff its warning that it has left one out.
const (
	checkVariable = "tidb_enable_check_constraint"
	checksOff     = checkVariable + " is off"
)

// lookForChecks warns of constraints that TiDB leaves out of what it makes, unless a switch is on that is the cluster's alone to set.
func (p *Plan) lookForChecks(ctx context.Context) error {
	if p.foreign() {
		return nil
	}
	var names []string
	for _, t := range p.tables {
		if t.made != nil && t.made.Checks && !t.exists {
			names = append(names, t.to.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	res, err := p.server.Query(ctx, "SELECT @@GLOBAL."+checkVariable)
	if sqlconn.Code(err) != errno.ErrUnknownSystemVariable { // which is a TiDB that never has them
		if err != nil {
			return asked(err, "ask for "+checkVariable)
		}
		if on, err := res.GetInt(0, 0); err != nil || on != 0 {
			return err
		}
	}
	p.checksTold = true
	p.caution(precheck.Schema, "TiDB leaves out the CHECK constraints of tables that it makes while %s is OFF: %s", checkVariable, enumerate(names))
	return nil
}

// lookForDefiners warns of views that are read with the rights of accounts that the server doesn't have: nobody can read them.
func (p *Plan) lookForDefiners(ctx context.Context) error {
	views, users := map[schema.Account][]string{}, []any(nil)
	var order []schema.Account
	for _, v := range p.views {
		if who := v.runsAs; who != (schema.Account{}) && !v.exists {
			if views[who] == nil {
				order, users = append(order, who), append(users, who.User)
			}
			views[who] = append(views[who], v.to.String())
		}
	}
	if len(order) == 0 {
		return nil
	}
	res, err := p.server.Query(ctx, "SELECT User, Host FROM mysql.user WHERE User IN (?"+strings.Repeat(", ?", len(users)-1)+")", users...)
	if sqlconn.Code(err) != 0 && !fault.IsRetryable(err) { // the service account may do less than it should
		p.caution(precheck.Schema, "whether the accounts exist that views belong to could not be checked: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	have := map[schema.Account]bool{}
	for i := range res.RowNumber() {
		user, err := res.GetString(i, 0)
		if err != nil {
			return err
		}
		host, err := res.GetString(i, 1)
		if err != nil {
			return err
		}
		have[schema.Account{User: strings.Clone(user), Host: strings.ToLower(host)}] = true
	}
	for _, who := range order {
		if !have[schema.Account{User: who.User, Host: strings.ToLower(who.Host)}] {
			p.caution(precheck.Schema, "there is no account %s@%s, so nobody can read views that use its rights until it is made: %s",
				sqlconn.QuoteName(who.User), sqlconn.QuoteName(who.Host), enumerate(views[who]))
		}
	}
	return nil
}
