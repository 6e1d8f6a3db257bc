package restore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// replicaWait is the time between two looks at how far TiFlash is, which looks itself every 2 s.
const replicaWait = time.Second

// restoreReplicas gives tables of an archive their TiFlash replicas again, once their rows are there, and waits for them if it is told to. A cluster
// that can't have them is no error: the rows are whole.
func (p *Plan) restoreReplicas(ctx context.Context) error {
	var wanted []*table
	for _, t := range p.tables {
		replica := p.archived.objects[lower(t.from[0])].Info.TiFlashReplica
		if replica == nil || replica.Count == 0 {
			continue
		}
		_, err := p.r.core.Cluster().Query(ctx, "ALTER TABLE "+t.to.String()+" SET TIFLASH REPLICA "+replicas(replica))
		switch {
		case err == nil:
			wanted = append(wanted, t)
		case sqlconn.Code(err) == 0 || p.ends(ctx, err):
			return inTable(t.to, err, "")
		default:
			p.warnOf(t, []string{fmt.Sprintf("the table is restored without its TiFlash replicas (%d): %v", replica.Count, err)})
		}
	}
	if !p.task.Options.WaitTiFlashReady {
		return nil
	}
	for _, t := range wanted {
		if err := p.awaitReplica(ctx, t); err != nil {
			return inTable(t.to, err, "")
		}
	}
	return nil
}

// replicas is what stands behind SET TIFLASH REPLICA.
func replicas(r *model.TiFlashReplicaInfo) string {
	text := fmt.Sprint(r.Count)
	for i, label := range r.LocationLabels {
		text += map[bool]string{true: " LOCATION LABELS ", false: ", "}[i == 0] + "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(label) + "'"
	}
	return text
}

// awaitReplica returns when all of a table can be read from TiFlash, or it is to have no replicas any more.
func (p *Plan) awaitReplica(ctx context.Context, t *table) error {
	ticker := time.NewTicker(replicaWait)
	defer ticker.Stop()
	for {
		res, err := p.r.core.Cluster().Query(ctx, "SELECT 1 FROM information_schema.TIFLASH_REPLICA WHERE TABLE_ID = ? AND AVAILABLE = 0", t.state.ID)
		if err != nil || res.RowNumber() == 0 {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
