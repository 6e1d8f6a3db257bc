package restore

import (
	"context"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/errno"
	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// # Placement policies
//
// They belong to the cluster and not to a database. Only full backups have them, and tables that name them. What is in the cluster stays as it is.

// policyUse is a policy that the restore needs, and one of what names it.
type policyUse struct{ policy, by string }

// policiesInUse are the policies that tables and databases which are made name.
func (p *Plan) policiesInUse() (uses []policyUse) {
	add := func(ref *model.PolicyRefInfo, by string) {
		if ref != nil && !slices.ContainsFunc(uses, func(u policyUse) bool { return strings.EqualFold(u.policy, ref.Name.O) }) {
			uses = append(uses, policyUse{ref.Name.O, by})
		}
	}
	for _, d := range p.databases {
		if info := p.archived.database(d.schema); info != nil && !d.exists {
			add(info.PlacementPolicyRef, "database "+Name{DB: d.name}.String())
		}
	}
	for _, t := range p.tables {
		info := p.archived.objects[lower(t.from[0])].Info
		add(info.PlacementPolicyRef, "table "+t.to.String())
		if parts := info.GetPartitionInfo(); parts != nil {
			for _, d := range parts.Definitions {
				add(d.PlacementPolicyRef, "table "+t.to.String())
			}
		}
	}
	return uses
}

// choosePolicies finds the policies that the job makes: those of the archive that are used, or, with everything, all; and what is in the way of them.
func (p *Plan) choosePolicies(ctx context.Context) error {
	if p.archived == nil || p.foreign() {
		return nil
	}
	uses := p.policiesInUse()
	if p.task.Selection.Everything {
		for _, policy := range p.archived.archive.Policies {
			uses = append(uses, policyUse{policy.Name.O, ""})
		}
	}
	seen := map[string]bool{}
	for _, use := range uses {
		if l := strings.ToLower(use.policy); !seen[l] {
			seen[l] = true
			if err := p.choosePolicy(ctx, use); err != nil {
				return err
			}
		}
	}
	return p.checkRegions(ctx)
}

func (p *Plan) choosePolicy(ctx context.Context, use policyUse) error {
	all := p.archived.archive.Policies
	at := slices.IndexFunc(all, func(o *model.PolicyInfo) bool { return strings.EqualFold(o.Name.O, use.policy) })
	settings, exists, err := p.r.core.Cluster().Policy(ctx, use.policy)
	switch {
	case err != nil:
		return err
	case exists && at >= 0 && settings != all[at].PlacementSettings.String() && p.saved == nil:
		p.warn("the placement policy %s exists already and stays as it is: it has %s, and in the archive %s",
			sqlconn.QuoteName(use.policy), settings, all[at].PlacementSettings.String())
	case !exists && at < 0:
		p.finding(precheck.Schema, "%s names the placement policy %s, which neither the archive nor the cluster has", use.by, sqlconn.QuoteName(use.policy))
	case !exists:
		p.policies = append(p.policies, all[at])
	}
	return nil
}

// checkRegions warns of policies that name regions in which no store is: rows stay where they are then.
func (p *Plan) checkRegions(ctx context.Context) error {
	if !slices.ContainsFunc(p.policies, func(o *model.PolicyInfo) bool { return o.Regions != "" || o.PrimaryRegion != "" }) {
		return nil
	}
	have, err := p.r.core.Cluster().PlacementRegions(ctx)
	if err != nil {
		return err
	}
	for _, policy := range p.policies {
		for _, region := range strings.Split(policy.Regions+","+policy.PrimaryRegion, ",") {
			if region = strings.TrimSpace(region); region != "" && !slices.Contains(have, region) {
				p.warn("the placement policy %s names the region %q, which no store has", sqlconn.QuoteName(policy.Name.O), region)
				break
			}
		}
	}
	return nil
}

// definePolicies creates the policies that the job makes.
func (p *Plan) definePolicies(exec cluster.Exec) error {
	for _, policy := range p.policies {
		remarks, err := exec(p.saved.marked(define.Policy(policy)))
		if err != nil {
			return definingError(err, Name{DB: policy.Name.O}, nil)
		}
		p.remark(Name{DB: policy.Name.O}, remarks)
	}
	return nil
}

// policies drops those that the job has made, unless others use them by now.
func (a *abandoning) policies(ctx context.Context) error {
	if len(a.state.Policies) == 0 {
		return nil
	}
	made, err := a.r.core.Cluster().PoliciesMadeWith(ctx, a.state.Mark)
	if err != nil {
		return err
	}
	for _, name := range a.state.Policies {
		quoted := sqlconn.QuoteName(name)
		if !slices.ContainsFunc(made, func(text string) bool { return strings.Contains(text, " "+quoted+" ") }) {
			continue
		}
		err := a.drop(ctx, "DROP PLACEMENT POLICY IF EXISTS "+quoted)
		if sqlconn.Code(err) == errno.ErrPlacementPolicyInUse {
			a.did(func() { a.left = append(a.left, "placement policy "+quoted+", which is in use") })
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
