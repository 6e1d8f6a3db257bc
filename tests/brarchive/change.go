package brarchive

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/meta/model"
)

// Change changes the schemas of tables in an archive that isn't encrypted, each with its database, and adds placement policies: for what no embedded
// cluster can have, and for what br's full backups have and TiDB's don't.
func (a *Archive) Change(t testing.TB, change func(db *model.DBInfo, table *model.TableInfo), policies ...*model.PolicyInfo) {
	t.Helper()
	meta := &backuppb.BackupMeta{}
	a.load(t, "backupmeta", meta)
	for _, p := range policies {
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		meta.Policies = append(meta.Policies, &backuppb.PlacementPolicy{Info: data})
	}
	for _, f := range meta.SchemaIndex.MetaFiles {
		schemas := &backuppb.MetaFile{}
		a.load(t, f.Name, schemas)
		for _, s := range schemas.Schemas {
			if len(s.Table) == 0 {
				continue
			}
			db, table := &model.DBInfo{}, &model.TableInfo{}
			err := errors.Join(json.Unmarshal(s.Db, db), json.Unmarshal(s.Table, table))
			change(db, table)
			var err1, err2 error
			s.Db, err1 = json.Marshal(db)
			s.Table, err2 = json.Marshal(table)
			if err := errors.Join(err, err1, err2); err != nil {
				t.Fatal(err)
			}
		}
		data := a.save(t, f.Name, schemas)
		sum := sha256.Sum256(data)
		f.Sha256, f.Size_ = sum[:], uint64(len(data))
	}
	a.save(t, "backupmeta", meta)
}

func (a *Archive) load(t testing.TB, name string, into proto.Message) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.Dir, name))
	if err == nil {
		err = proto.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (a *Archive) save(t testing.TB, name string, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(a.Dir, name), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}
