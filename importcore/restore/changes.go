package restore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"

	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/precheck"
)

// # Changes of schemas between two archives
//
// An incremental archive has the schemas as they are in the end, the changes that led there, and the rows that differ. Of the changes only what
// became of the objects of before counts: which of them are gone, which have other names, which have other columns, indexes or options. That is
// made true (alter.go), and not every step in between: what came and went in the meantime is never made, tables that were truncated are made
// anew, and no row is written for it. So what is left of it after an interruption is what the target still differs in.

// changes are what became of the objects that were there before.
type changes struct {
	// created are the ids of tables, views and sequences that were made since, and databases the names, in lower case, of such databases.
	created   map[int64]bool
	databases map[string]bool
	// names are the first names of objects that were there before and were touched, by their ids.
	names map[int64]Name
	// gone are those of them that are no more, by id, with their kind's statement; first is the first change of a table's columns, indexes or options.
	gone  map[int64]string
	first map[int64]*model.Job
	// replaced are the names of views that took the place of others.
	replaced []Name
	altered  map[string]bool // databases, in lower case, with other character sets
	refused  []refusal
	at       map[Name]int64 // objects made since by their names
}

// refusal is a change that can't be made.
type refusal struct {
	name Name
	what string
}

// newChanges follows the archive's changes, in their order. name says what one was made to, by the name that it had afterwards.
func newChanges(jobs []*model.Job, name func(*model.Job) Name) *changes {
	c := &changes{
		created: map[int64]bool{}, databases: map[string]bool{}, names: map[int64]Name{}, gone: map[int64]string{}, first: map[int64]*model.Job{},
		altered: map[string]bool{}, at: map[Name]int64{},
	}
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b *model.Job) int { return cmp.Compare(a.BinlogInfo.SchemaVersion, b.BinlogInfo.SchemaVersion) })
	for _, j := range jobs {
		c.follow(j, name(j))
	}
	return c
}

// follow takes up one change.
func (c *changes) follow(j *model.Job, name Name) {
	switch j.Type {
	case model.ActionCreateSchema:
		c.databases[strings.ToLower(name.DB)] = true
	case model.ActionDropSchema:
		if !c.databases[strings.ToLower(name.DB)] {
			c.refuse(j, Name{DB: name.DB})
		}
	case model.ActionModifySchemaCharsetAndCollate:
		c.altered[strings.ToLower(name.DB)] = true
	case model.ActionCreateTable, model.ActionCreateSequence:
		c.make(j.TableID, name)
	case model.ActionCreateView:
		if _, new := c.at[lower(name)]; !new && replaces(j.Query) {
			c.replaced = append(c.replaced, name)
		}
		c.make(j.TableID, name)
	case model.ActionCreateTables:
		for _, t := range j.BinlogInfo.MultipleTableInfos {
			c.make(t.ID, Name{name.DB, t.Name.O})
		}
	case model.ActionDropTable:
		c.end(j.TableID, name, "DROP TABLE")
	case model.ActionDropView:
		c.end(j.TableID, name, "DROP VIEW")
	case model.ActionDropSequence:
		c.end(j.TableID, name, "DROP SEQUENCE")
	case model.ActionAlterSequence: // the archive's one is made in its place
		if !c.created[j.TableID] {
			c.end(j.TableID, name, "DROP SEQUENCE")
			c.created[j.TableID] = true
		}
	case model.ActionTruncateTable:
		c.end(j.TableID, name, "DROP TABLE")
		c.make(j.BinlogInfo.TableInfo.ID, name)
	case model.ActionRenameTable, model.ActionRenameTables:
		c.rename(j)
	default:
		c.alter(j, name)
	}
}

// make notes an object that was made since.
func (c *changes) make(id int64, name Name) { c.created[id], c.at[lower(name)] = true, id }

// touch notes what an object of before is called, and tells whether it is one.
func (c *changes) touch(id int64, name Name) bool {
	if c.created[id] {
		return false
	}
	if _, known := c.names[id]; !known {
		c.names[id] = name
	}
	return true
}

// end notes that an object is no more.
func (c *changes) end(id int64, name Name, how string) {
	if c.touch(id, name) {
		c.gone[id] = how
	}
	delete(c.created, id)
	delete(c.at, lower(name))
}

// rename takes up new names of tables. The job has the old and the new ones in pairs, in lower case.
func (c *changes) rename(j *model.Job) {
	ids := []int64{j.TableID}
	if j.Type == model.ActionRenameTables {
		ids = ids[:0]
		for _, t := range j.BinlogInfo.MultipleTableInfos {
			ids = append(ids, t.ID)
		}
	}
	if len(j.InvolvingSchemaInfo) != 2*len(ids) {
		c.refuse(j, Name{j.SchemaName, j.TableName})
		return
	}
	for i, id := range ids {
		from, to := j.InvolvingSchemaInfo[2*i], j.InvolvingSchemaInfo[2*i+1]
		if !c.touch(id, Name{from.Database, from.Table}) {
			delete(c.at, lower(Name{from.Database, from.Table}))
			c.at[lower(Name{to.Database, to.Table})] = id
		}
	}
}

// alter takes up a change of a table, or refuses it.
func (c *changes) alter(j *model.Job, name Name) {
	kind, known := alterations[j.Type]
	switch {
	case known && kind == ignored:
	case j.Type == model.ActionExchangeTablePartition || j.Type == model.ActionRecoverTable || j.Type == model.ActionRecoverSchema || j.Type == model.ActionFlashbackCluster:
		c.refuse(j, name)
	case !c.touch(j.TableID, name):
		if b := j.BinlogInfo; b != nil && b.TableInfo != nil {
			c.created[b.TableInfo.ID] = true // some of them give the table another id
		}
	case !known:
		c.refuse(j, name)
	case c.first[j.TableID] == nil:
		c.first[j.TableID] = j
	}
}

func (c *changes) refuse(j *model.Job, name Name) {
	c.refused = append(c.refused, refusal{name, fmt.Sprintf("%s (%s)", name, j.Type)})
}

// What is done about a change of a table that was there before.
const (
	compared = iota // the table is compared with what it is in the end
	ignored         // it isn't part of an archive, or of no consequence for rows
)

// alterations are the changes that can be followed.
var alterations = map[model.ActionType]int{
	model.ActionAddColumn: compared, model.ActionDropColumn: compared, model.ActionAddColumns: compared, model.ActionDropColumns: compared, model.ActionModifyColumn: compared,
	model.ActionSetDefaultValue: compared, model.ActionAddIndex: compared, model.ActionDropIndex: compared, model.ActionRenameIndex: compared, model.ActionAlterIndexVisibility: compared,
	model.ActionAddPrimaryKey: compared, model.ActionDropPrimaryKey: compared, model.ActionAddForeignKey: compared, model.ActionDropForeignKey: compared,
	model.ActionAddCheckConstraint: compared, model.ActionDropCheckConstraint: compared, model.ActionAlterCheckConstraint: compared, model.ActionMultiSchemaChange: compared,
	model.ActionModifyTableComment: compared, model.ActionModifyTableCharsetAndCollate: compared, model.ActionShardRowID: compared, model.ActionModifyTableAutoIDCache: compared,
	model.ActionAlterTTLInfo: compared, model.ActionAlterTTLRemove: compared,
	model.ActionRebaseAutoID: ignored, model.ActionRebaseAutoRandomBase: ignored, // ids follow from the schema
	model.ActionSetTiFlashReplica: ignored, model.ActionUpdateTiFlashReplicaStatus: ignored, model.ActionLockTable: ignored, model.ActionUnlockTable: ignored,
	model.ActionAlterCacheTable: ignored, model.ActionAlterNoCacheTable: ignored, model.ActionAlterTableAttributes: ignored, model.ActionAlterTablePartitionAttributes: ignored,
	model.ActionCreatePlacementPolicy: ignored, model.ActionAlterPlacementPolicy: ignored, model.ActionDropPlacementPolicy: ignored, model.ActionModifySchemaDefaultPlacement: ignored,
	model.ActionAlterTablePlacement: ignored, model.ActionAlterTablePartitionPlacement: ignored, model.ActionAlterTableStatsOptions: ignored,
	model.ActionCreateResourceGroup: ignored, model.ActionAlterResourceGroup: ignored, model.ActionDropResourceGroup: ignored,
}

// replaces tells whether a statement is CREATE OR REPLACE VIEW.
func replaces(query string) bool {
	list, _, err := parser.New().ParseSQL(query)
	if err != nil || len(list) != 1 {
		return false
	}
	view, ok := list[0].(*ast.CreateViewStmt)
	return ok && view.OrReplace
}

// oldIndexes are the ids of a table's indexes that were there before, as far as that is certain: the others are made anew. nil means all.
func (c *changes) oldIndexes(id int64) map[int64]bool {
	j := c.first[id]
	if j == nil || j.BinlogInfo.TableInfo == nil {
		return nil
	}
	t, old := j.BinlogInfo.TableInfo, map[int64]bool{}
	for _, x := range t.Indices {
		switch j.Type {
		case model.ActionMultiSchemaChange, model.ActionModifyColumn:
			continue
		case model.ActionAddIndex, model.ActionAddPrimaryKey:
			if x.ID == t.MaxIndexID {
				continue
			}
		}
		old[x.ID] = true
	}
	return old
}

// differs tells how a table differs from what the archives before have left, by the first change that was made to it; "" if it doesn't, as far as columns
// go.
func (c *changes) differs(now *model.TableInfo, id int64) string {
	j := c.first[id]
	if j == nil || j.BinlogInfo.TableInfo == nil {
		return ""
	}
	after := j.BinlogInfo.TableInfo
	gone, added, other := 0, 0, 0
	for _, col := range now.Columns {
		is := columnByID(after, col.ID)
		switch {
		case col.Hidden:
		case is == nil:
			gone++
		case is.Name.L != col.Name.L || is.GetType() != col.GetType():
			other++
		}
	}
	for _, col := range after.Columns {
		if !col.Hidden && columnByID(now, col.ID) == nil {
			if added++; col.ID <= now.MaxColumnID {
				return fmt.Sprintf("column %s", col.Name.O)
			}
		}
	}
	var fits bool
	switch j.Type {
	case model.ActionMultiSchemaChange, model.ActionAddColumns, model.ActionDropColumns:
		fits = true
	case model.ActionAddColumn:
		fits = gone+other == 0 && added == 1
	case model.ActionDropColumn:
		fits = gone == 1 && added+other == 0
	case model.ActionModifyColumn:
		fits = gone == added && gone+other <= 1
	default:
		fits = gone+added+other == 0
	}
	if fits {
		return ""
	}
	return fmt.Sprintf("its columns are not those of before the %s", j.Type)
}

func columnByID(t *model.TableInfo, id int64) *model.ColumnInfo {
	for _, c := range t.Columns {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// leaving is an object of the target that is no more in the archive.
type leaving struct {
	from, to Name
	how      string // DROP TABLE, DROP VIEW or DROP SEQUENCE
	soft     bool   // it need not be there
	// id and kind are what it has in the target before the job begins; id 0: it isn't there.
	id   int64
	kind cluster.ObjectKind
}

// checkJobs finds the changes of schemas that the archive has, and refuses what can't be made to what is there. It comes
// after everything else has been chosen.
func (p *Plan) checkJobs(c *chooser) error {
	if !p.incremental() {
		return nil
	}
	made := newChanges(p.archived.archive.Jobs, p.jobName)
	p.archived.changes = made
	var refused []string
	for _, r := range made.refused {
		if r.name.DB == "" || r.name.Table == "" && c.database(r.name.DB) || r.name.Table != "" && c.object(r.name) {
			refused = append(refused, r.what)
		}
	}
	for id, how := range made.gone {
		if err := p.leave(c, leaving{from: made.names[id], how: how}); err != nil {
			return err
		}
	}
	for _, view := range made.replaced {
		if err := p.leave(c, leaving{from: view, how: "DROP VIEW", soft: true}); err != nil {
			return err
		}
	}
	slices.SortFunc(p.leaving, func(a, b leaving) int {
		return cmp.Or(cmp.Compare(a.to.DB, b.to.DB), cmp.Compare(a.to.Table, b.to.Table))
	})
	restored := map[int64]bool{}
	for _, t := range p.tables {
		t.was = t.to
		id := p.archived.objects[lower(t.from[0])].Info.ID
		restored[id] = true
		was, touched := made.names[id]
		if !touched || made.created[id] || lower(was) == lower(t.from[0]) {
			continue
		}
		if !c.object(was) {
			refused = append(refused, fmt.Sprintf("%s (it was %s, which is not restored)", t.from[0], was))
			continue
		}
		var err error
		if t.was, err = c.target(was); err != nil {
			return err
		}
	}
	for id, was := range made.names {
		if made.gone[id] == "" && !restored[id] && c.object(was) {
			refused = append(refused, fmt.Sprintf("%s (it got a name that is not restored)", was))
		}
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		p.finding(precheck.Schema, "between the archive and the one before schemas were changed in ways which can't be restored: %s", enumerate(refused))
	}
	return nil
}

// leave notes an object that is to be dropped, if it is restored at all.
func (p *Plan) leave(c *chooser, l leaving) (err error) {
	if !c.object(l.from) {
		return nil
	}
	if l.to, err = c.target(l.from); err == nil {
		p.leaving = append(p.leaving, l)
	}
	return err
}
