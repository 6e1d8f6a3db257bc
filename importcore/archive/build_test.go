package archive_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/tablecodec"
	"github.com/pingcap/tidb/pkg/types"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/source"
	"github.com/sluicedb/sluice/tests/playground/sst"
)

const backupTS = 470664099629629441

// builder makes an archive by hand, so that tests can make it wrong.
type builder struct {
	t       testing.TB
	dir     string
	method  string
	key     []byte
	meta    *backuppb.BackupMeta
	files   *backuppb.MetaFile
	schemas *backuppb.MetaFile
	pairs   map[string][]rawPair // by table
	v1      bool
	how     backuppb.CompressionType
}

type rawPair struct{ key, value []byte }

// newBuilder begins an archive of one database, db, whose table t has 200 rows with one index, the rows of even numbers
// with long values, and whose table p has two partitions.
func newBuilder(t testing.TB, how backuppb.CompressionType) *builder {
	b := &builder{t: t, dir: t.TempDir(), how: how, pairs: map[string][]rawPair{}, files: &backuppb.MetaFile{}, schemas: &backuppb.MetaFile{}}
	b.meta = &backuppb.BackupMeta{
		ClusterId: 7, ClusterVersion: "\"8.5.4\"\n", BrVersion: "test", Version: 1, EndVersion: backupTS, NewCollationsEnabled: "True",
	}
	return b
}

// encrypt makes the archive an encrypted one.
func (b *builder) encrypt(method string, length int) *builder {
	b.method, b.key = method, bytes.Repeat([]byte{0x5a}, length)
	return b
}

func (b *builder) cipher() *archive.Cipher {
	c, err := archive.ParseCipher(b.method, hex.EncodeToString(b.key), "")
	require.NoError(b.t, err)
	return c
}

// crypt encrypts in place, with the archive's key if it has one.
func (b *builder) crypt(data, iv []byte) {
	if b.key == nil {
		return
	}
	block, err := aes.NewCipher(b.key)
	require.NoError(b.t, err)
	cipher.NewCTR(block, iv).XORKeyStream(data, data)
}

func (b *builder) iv(name string) []byte {
	if b.key == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(name))
	iv := sum[:16]
	iv[15], iv[14] = 0xfe, 0xff // whose counter soon carries
	return iv
}

func (b *builder) save(name string, data []byte) {
	path := filepath.Join(b.dir, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(b.t, os.WriteFile(path, data, 0o600))
}

func column(id int64, name string, kind byte) *model.ColumnInfo {
	return &model.ColumnInfo{ID: id, Name: pmodel.NewCIStr(name), State: model.StatePublic, FieldType: *types.NewFieldType(kind)}
}

// tableInfo returns CREATE TABLE name (id BIGINT PRIMARY KEY CLUSTERED, v LONGTEXT, KEY k (id)).
func tableInfo(id int64, name string, partitions ...int64) *model.TableInfo {
	info := &model.TableInfo{ID: id, Name: pmodel.NewCIStr(name), State: model.StatePublic, PKIsHandle: true, Version: 5}
	info.Columns = []*model.ColumnInfo{column(1, "id", mysql.TypeLonglong), column(2, "v", mysql.TypeLongBlob)}
	info.Columns[1].Offset = 1
	info.Indices = []*model.IndexInfo{{ID: 1, Name: pmodel.NewCIStr("k"), State: model.StatePublic,
		Columns: []*model.IndexColumn{{Name: info.Columns[0].Name, Offset: 0, Length: types.UnspecifiedLength}}}}
	if len(partitions) > 0 {
		info.Partition = &model.PartitionInfo{Type: pmodel.PartitionTypeHash, Expr: "`id`", Enable: true, Num: uint64(len(partitions))}
		for i, p := range partitions {
			info.Partition.Definitions = append(info.Partition.Definitions, model.PartitionDefinition{ID: p, Name: pmodel.NewCIStr(fmt.Sprintf("p%d", i))})
		}
	}
	return info
}

// table adds a table with files for each of its physical ids.
func (b *builder) table(info *model.TableInfo, rows int) *backuppb.Schema {
	db, err := json.Marshal(&model.DBInfo{ID: 3, Name: pmodel.NewCIStr("db")})
	require.NoError(b.t, err)
	table, err := json.Marshal(info)
	require.NoError(b.t, err)
	ids := []int64{info.ID}
	if info.Partition != nil {
		ids = nil
		for _, d := range info.Partition.Definitions {
			ids = append(ids, d.ID)
		}
	}
	var sum kv.Checksum
	for _, id := range ids {
		var records, entries []rawPair
		for i := range rows {
			value := fmt.Appendf(nil, "value %d", i)
			if i%2 == 0 {
				value = bytes.Repeat([]byte{byte(i)}, 300+i)
			}
			key := tablecodec.EncodeRecordKey(tablecodec.GenTableRecordPrefix(id), handleOf(int64(i)))
			records = append(records, rawPair{key, value})
			entry := append(tablecodec.EncodeTableIndexPrefix(id, 1), fmt.Appendf(nil, "%08d", i)...)
			entries = append(entries, rawPair{entry, []byte("0")})
		}
		for _, pairs := range [][]rawPair{entries, records} {
			if len(pairs) > 0 {
				b.part(pairs, pairs[0].key, append(bytes.Clone(pairs[len(pairs)-1].key), 0), &sum)
			}
		}
		b.pairs[info.Name.O] = append(append(b.pairs[info.Name.O], entries...), records...)
	}
	s := &backuppb.Schema{Db: db, Table: table, Crc64Xor: sum.Sum, TotalKvs: sum.Pairs, TotalBytes: sum.Bytes}
	b.schemas.Schemas = append(b.schemas.Schemas, s)
	return s
}

// part adds the files of a range and adds to a sum.
func (b *builder) part(pairs []rawPair, start, end []byte, total *kv.Checksum) {
	write, err := sst.NewWriter(sst.Write, b.how)
	require.NoError(b.t, err)
	long, err := sst.NewWriter(sst.Default, b.how)
	require.NoError(b.t, err)
	var sums [2]kv.Checksum
	for i, p := range pairs {
		startTS := uint64(backupTS - 1000 - i)
		r := sst.NewPut(startTS, p.value)
		require.NoError(b.t, write.Add(sst.DataKey(p.key, startTS+5), r.Append(nil)))
		sum := &sums[0]
		if r.Long() {
			sum = &sums[1]
			require.NoError(b.t, long.Add(sst.DataKey(p.key, startTS), p.value))
		}
		sum.Add(p.key, p.value)
	}
	for i, w := range []*sst.Writer{write, long} {
		if w.Entries() == 0 {
			w.Discard()
			continue
		}
		data, err := w.Finish()
		require.NoError(b.t, err)
		cf := []string{sst.Write, sst.Default}[i]
		f := &backuppb.File{
			Name: fmt.Sprintf("1/%x_%s.sst", sha256.Sum256(start), cf), StartKey: start, EndKey: end, EndVersion: backupTS,
			Crc64Xor: sums[i].Sum, TotalKvs: sums[i].Pairs, TotalBytes: sums[i].Bytes, Cf: cf, Size_: uint64(len(data)),
		}
		f.CipherIv = b.iv(f.Name)
		b.crypt(data, f.CipherIv)
		sum := sha256.Sum256(data)
		f.Sha256 = sum[:]
		b.save(f.Name, data)
		b.files.DataFiles = append(b.files.DataFiles, f)
		total.Merge(sums[i])
	}
}

// index saves a meta file and returns what refers to it.
func (b *builder) index(name string, m *backuppb.MetaFile) *backuppb.MetaFile {
	data, err := proto.Marshal(m)
	require.NoError(b.t, err)
	sum := sha256.Sum256(data)
	f := &backuppb.File{Name: name, Sha256: sum[:], Size_: uint64(len(data)), CipherIv: b.iv(name)}
	b.crypt(data, f.CipherIv)
	b.save(name, data)
	return &backuppb.MetaFile{MetaFiles: []*backuppb.File{f}}
}

// finish saves the meta data and returns the folder.
func (b *builder) finish() source.Folder {
	if b.v1 {
		b.meta.Version, b.meta.Files, b.meta.Schemas = 0, b.files.DataFiles, b.schemas.Schemas
	} else {
		b.meta.FileIndex = b.index("backupmeta.datafile.000000001", b.files)
		b.meta.SchemaIndex = b.index("backupmeta.schema.000000002", b.schemas)
	}
	data, err := proto.Marshal(b.meta)
	require.NoError(b.t, err)
	if b.key != nil {
		iv := b.iv("backupmeta")
		b.crypt(data, iv)
		data = append(bytes.Clone(iv), data...)
	}
	b.save("backupmeta", data)
	b.save("backup.lock", []byte("DO NOT DELETE"))
	return b.folder()
}

func (b *builder) folder() source.Folder {
	folder, err := source.OpenFolder(b.t.Context(), b.dir, source.Config{})
	require.NoError(b.t, err)
	return folder
}
