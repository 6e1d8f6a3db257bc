package restore

import (
	"context"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/archive/define"
	"github.com/sluicedb/sluice/importcore/dump"
	"github.com/sluicedb/sluice/importcore/dump/schema"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/precheck"
	"github.com/sluicedb/sluice/importcore/restore/systables"
	"github.com/sluicedb/sluice/importcore/source"
)

// archived is a BR archive in the place of a dump: it is listed like one, with a file for each object that is in nobody's folder,
// whose text is made of the archive's schemas.
type archived struct {
	archive *archive.Archive
	// objects are tables, views and sequences by their names in lower case.
	objects   map[Name]*archive.Table
	databases map[string]*archive.Database
	// bySQL says that rows are decoded, and no ids matter.
	bySQL bool
	// accounts says that accounts and bindings are taken from the schema mysql.
	accounts bool
	// changes are those of schemas since the archive that this one continues.
	changes *changes
	// texts make the definitions by the paths of the files that stand for them.
	texts map[string]func() (string, error)
}

// openArchive reads what the archive says of itself and puts it in the place of the dump's listing.
func (p *Plan) openArchive(ctx context.Context) error {
	a, err := archive.Open(ctx, p.folder, p.task.Options.Cipher)
	if err != nil {
		return err
	}
	if err := p.checkChain(a); err != nil {
		return err
	}
	p.archived = &archived{archive: a, bySQL: p.sql != nil, accounts: p.task.Options.SystemTables, objects: map[Name]*archive.Table{}, databases: map[string]*archive.Database{}, texts: map[string]func() (string, error){}}
	p.backupTS = a.EndTS
	p.listing = p.archived.list()
	if p.sql != nil {
		return nil
	}
	return p.checkOrigin(ctx)
}

// checkOptions refuses what can't be done with the source's kind.
func (p *Plan) checkOptions() error {
	o := &p.task.Options
	refuse := func(what string) error {
		return fault.New(fault.User, codePrecheckFailed, "%s can't be used with %s", what, map[bool]string{true: "an archive of BR", false: "a dump"}[p.archived != nil])
	}
	if err := p.checkSystem(refuse); err != nil {
		return err
	}
	if err := p.checkCompact(); err != nil {
		return err
	}
	switch {
	case p.archived == nil && len(o.ForArchives) > 0:
		return refuse(strings.Join(o.ForArchives, ", "))
	case p.archived == nil && o.Cipher.On():
		return refuse("a key")
	case p.archived == nil:
		return nil
	case p.sql != nil:
		if err := p.optionsBySQL(refuse); err != nil {
			return err
		}
	case len(o.ForDumps) > 0:
		return refuse(strings.Join(o.ForDumps, ", "))
	case o.SkipSchemaFiles:
		return refuse("skip_schema_files")
	case o.OnDuplicate != importcore.DuplicateError:
		return refuse("on_duplicate")
	}
	for _, t := range p.tables {
		if len(t.from) > 1 {
			return fault.New(fault.User, codePrecheckFailed, "%s and %s of an archive can't become one table %s", t.from[0], t.from[1], t.to)
		}
	}
	return nil
}

// list returns the archive's objects in the form of a dump's.
func (a *archived) list() *dump.Listing {
	out := &dump.Listing{}
	for _, db := range a.archive.Databases {
		if db.System {
			reason := "databases of the system are not restored"
			if a.accounts && db.Name == systables.Schema {
				reason = "of the system's tables only those of accounts, privileges and bindings are restored"
			}
			out.Skipped = append(out.Skipped, dump.Skipped{Path: "database " + Name{DB: db.Name}.String(), Reason: reason})
			continue
		}
		a.databases[strings.ToLower(db.Name)] = db
		out.Databases = append(out.Databases, dump.Database{
			Name: db.Name, Schema: a.stand(Name{DB: db.Name}, func() (string, error) { return define.Database(db.Info, db.Name), nil }),
		})
		for _, t := range db.Tables {
			a.add(out, db, t)
		}
	}
	return out
}

// add lists a table, a view or a sequence.
func (a *archived) add(out *dump.Listing, db *archive.Database, t *archive.Table) {
	name := Name{db.Name, t.Info.Name.O}
	a.objects[lower(name)] = t
	o := dump.Object{DB: name.DB, Name: name.Table}
	switch {
	case t.Info.IsView():
		o.Schema = a.stand(name, func() (string, error) { return define.View(t.Info), nil })
		out.Views = append(out.Views, o)
	case t.Info.IsSequence():
		o.Schema = a.stand(name, func() (string, error) { return "", nil })
		out.Sequences = append(out.Sequences, o)
	default:
		o.Schema = a.stand(name, func() (string, error) {
			if a.bySQL {
				return define.Table(t.Info)
			}
			made, err := define.Make(t.Info)
			if err != nil {
				return "", err
			}
			return made.Create, nil
		})
		for _, part := range a.dataParts(t) {
			for _, f := range part.Files() {
				o.Data, o.Bytes = append(o.Data, dump.Data{File: f.File}), o.Bytes+f.Size
			}
		}
		out.Tables = append(out.Tables, o)
	}
}

// stand makes a file that stands for a definition.
func (a *archived) stand(name Name, text func() (string, error)) *dump.Schema {
	path := archive.MetaName + ": " + name.String()
	a.texts[path] = text
	return &dump.Schema{File: source.File{Path: path, Key: path}}
}

// file returns the definition that a file stands for.
func (a *archived) file(f *dump.Schema) (*schema.File, error) {
	text, err := a.texts[f.Path]()
	return &schema.File{Path: f.Path, Text: text}, err
}

// complete adds to a table's definition what follows its CREATE TABLE.
func (a *archived) complete(t *table, names schema.Names) error {
	info := a.objects[lower(t.from[0])].Info
	making, err := define.Make(info)
	if err != nil {
		return err
	}
	for _, text := range making.Alter {
		sql, err := schema.ReadAlter(&schema.File{Path: t.schemas[0].Path, Text: text}, schema.Object{DB: t.from[0].DB, Name: t.from[0].Table}, names)
		if err != nil {
			return err
		}
		t.made.Later = append(t.made.Later, sql)
	}
	t.made.TTL, t.made.ForeignKeys, t.made.Checks = info.TTLInfo != nil, len(info.ForeignKeys) > 0, len(info.Constraints) > 0
	return nil
}

// sequence returns the statements that make a sequence.
func (a *archived) sequence(d *defined, mariaDB bool) []string {
	return define.Sequence(a.objects[lower(d.from)].Info, d.to.String(), mariaDB)
}

// database returns the database whose definition a file stands for; nil if there is none.
func (a *archived) database(f *dump.Schema) *model.DBInfo {
	if f == nil {
		return nil
	}
	for _, db := range a.archive.Databases {
		if f.Path == archive.MetaName+": "+(Name{DB: db.Name}).String() {
			return db.Info
		}
	}
	return nil
}

// checkOrigin looks whether the cluster can take what another one had.
func (p *Plan) checkOrigin(ctx context.Context) error {
	a, c := p.archived.archive, p.r.core.Cluster()
	_, newCollation, err := c.LoadTable(ctx, "mysql", "tidb")
	if err != nil {
		return err
	}
	switch want, known := map[string]bool{"True": true, "False": false}[a.NewCollation]; {
	case !known:
		p.finding(precheck.Schema, "the archive doesn't say whether its strings are encoded by the new collations")
	case want != newCollation:
		p.finding(precheck.Schema, "the archive's strings are encoded with new_collation_enabled = %s, those of the cluster with %s",
			a.NewCollation, map[bool]string{true: "True", false: "False"}[newCollation])
	}
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	if from, to := major(a.ClusterVersion), major(server.Release); from > to+1 && to > 0 {
		p.finding(precheck.Schema, "the archive is of a cluster of version %s, too much newer than %s", a.ClusterVersion, server.Release)
	}
	return nil
}

// major is the first number of a release, 0 if there is none.
func major(release string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(release, "v"), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}
