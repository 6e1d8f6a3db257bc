package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
	"github.com/sluicedb/sluice/importcore/fault"
)

func handleOf(i int64) kv.Handle { return kv.IntHandle(i) }

// pairsOf reads all of a table.
func pairsOf(ctx context.Context, a *archive.Archive, t *archive.Table) (pairs []rawPair, err error) {
	for _, p := range t.Parts {
		it, err := a.Pairs(ctx, p)
		if err != nil {
			return pairs, err
		}
		for it.Next() {
			pairs = append(pairs, rawPair{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
		}
		if err := it.Err(); err != nil {
			return pairs, err
		}
		if err := it.Close(); err != nil {
			return pairs, err
		}
	}
	return pairs, nil
}

func standard(b *builder) *builder {
	b.table(tableInfo(101, "t"), 200)
	b.table(tableInfo(110, "p", 111, 112), 20)
	b.table(tableInfo(120, "empty"), 0)
	return b
}

func TestArchives(t *testing.T) {
	t.Parallel()
	for _, how := range []backuppb.CompressionType{backuppb.CompressionType_LZ4, backuppb.CompressionType_SNAPPY, backuppb.CompressionType_ZSTD} {
		for _, method := range []string{"plaintext", "aes128-ctr", "aes192-ctr", "aes256-ctr"} {
			for _, v1 := range []bool{false, true} {
				t.Run(fmt.Sprint(how, method, v1), func(t *testing.T) {
					t.Parallel()
					b := newBuilder(t, how)
					if n := map[string]int{"aes128-ctr": 16, "aes192-ctr": 24, "aes256-ctr": 32}[method]; n > 0 {
						b.encrypt(method, n)
					}
					b.v1 = v1
					a, err := archive.Open(t.Context(), standard(b).finish(), b.cipher())
					require.NoError(t, err)
					require.Equal(t, "8.5.4", a.ClusterVersion)
					require.Equal(t, uint64(backupTS), a.EndTS)
					require.False(t, a.Incremental())
					require.Len(t, a.Databases, 1)
					require.Equal(t, "db", a.Databases[0].Name)
					require.Len(t, a.Databases[0].Tables, 3)
					for _, table := range a.Databases[0].Tables {
						got, err := pairsOf(t.Context(), a, table)
						require.NoError(t, err)
						require.Equal(t, b.pairs[table.Info.Name.O], got)
						require.Equal(t, table.Sum, table.FileSum)
						require.Equal(t, len(got) > 0, table.HasSum)
					}
				})
			}
		}
	}
}

// TestDamagedArchives: whatever file is damaged or missing, the error names it.
func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	for _, key := range []int{0, 16} {
		b := newBuilder(t, backuppb.CompressionType_ZSTD)
		if key > 0 {
			b.encrypt("aes128-ctr", key)
		}
		standard(b).finish()
		var files []string
		require.NoError(t, filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "backup.lock" {
				files = append(files, path)
			}
			return err
		}))
		require.Greater(t, len(files), 7)
		all := func() error {
			a, err := archive.Open(t.Context(), b.folder(), b.cipher())
			if err != nil {
				return err
			}
			for _, table := range a.Databases[0].Tables {
				if _, err := pairsOf(t.Context(), a, table); err != nil {
					return err
				}
			}
			return nil
		}
		require.NoError(t, all())
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, path := range files {
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			for range 20 {
				damaged := bytes.Clone(whole)
				damaged[rnd.IntN(len(damaged))] ^= 0x41
				if strings.HasSuffix(path, "backupmeta") { // has no sum of itself
					break
				}
				require.NoError(t, os.WriteFile(path, damaged, 0o600))
				err := all()
				require.ErrorContains(t, err, filepath.Base(path))
				require.Equal(t, fault.Source, fault.As(err).Whose)
			}
			require.NoError(t, os.WriteFile(path, whole[:len(whole)-3], 0o600))
			require.ErrorContains(t, all(), filepath.Base(path))
			require.NoError(t, os.Remove(path))
			require.ErrorContains(t, all(), filepath.Base(path))
			require.NoError(t, os.WriteFile(path, whole, 0o600))
		}
		require.NoError(t, all())
	}
}

// TestRefusedArchives: kinds that can't be restored, and archives that contradict themselves.
func TestRefusedArchives(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(b *builder){
		"meta data has version 2":        func(b *builder) { b.meta.Version = 2 },
		"raw key-value pairs":            func(b *builder) { b.meta.IsRawKv = true },
		"pairs of transactions":          func(b *builder) { b.meta.IsTxnKv = true },
		"copies of TiKV's own files":     func(b *builder) { b.meta.Mode = backuppb.BackupMode_FILE },
		"belongs to a log backup":        func(b *builder) { b.meta.DbMaps = []*backuppb.PitrDBMap{{Name: "x"}} },
		"API version V2":                 func(b *builder) { b.meta.ApiVersion = kvrpcpb.APIVersion_V2 },
		"not a backup of tables alone":   func(b *builder) { b.files.RawRanges = []*backuppb.RawRange{{}} },
		"of which time":                  func(b *builder) { b.meta.EndVersion = 0 },
		"which the archive doesn't have": func(b *builder) { b.schemas.Schemas = b.schemas.Schemas[1:] },
		"has the same range":             func(b *builder) { b.files.DataFiles = append(b.files.DataFiles, b.files.DataFiles[0]) },
		"overlap": func(b *builder) {
			again := *b.files.DataFiles[1]
			again.StartKey = append(bytes.Clone(again.StartKey), 0)
			b.files.DataFiles = append(b.files.DataFiles, &again)
		},
		"no file of the write column family": func(b *builder) { b.files.DataFiles = append(b.files.DataFiles[:1], b.files.DataFiles[2:]...) },
		"and the table had":                  func(b *builder) { b.schemas.Schemas[0].Crc64Xor++ },
		"have the same id":                   func(b *builder) { b.table(tableInfo(112, "other"), 0) },
		"its column family":                  func(b *builder) { b.files.DataFiles[0].Cf = "lock" },
		"belongs to several tables": func(b *builder) {
			b.files.DataFiles[0].EndKey = b.files.DataFiles[5].StartKey
		},
		"instead of": func(b *builder) { b.files.DataFiles[0].Size_++ },
		"versions up to 5": func(b *builder) {
			info := tableInfo(130, "newer")
			info.Version = 9
			b.table(info, 0)
		},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			b := standard(newBuilder(t, backuppb.CompressionType_ZSTD))
			change(b)
			_, err := archive.Open(t.Context(), b.finish(), nil)
			require.ErrorContains(t, err, text)
			require.NotNil(t, fault.As(err))
		})
	}
	for text, files := range map[string]map[string]string{
		"volume snapshots":          {"backupmeta": `{"volume_snapshots": []}`},
		"log backup":                {"v1/global_checkpoint/1.ts": "x", "backup.lock": "x"},
		"backup that is not":        {"backup.lock": "x", "checkpoints/backup/data/1.cpt": "x"},
		"there is no backupmeta":    {"a.sql": "x"},
		"damaged, or encrypted and": {"backupmeta": "\x0f\xff\xff"},
	} {
		b := newBuilder(t, backuppb.CompressionType_ZSTD)
		for name, data := range files {
			b.save(name, []byte(data))
		}
		_, err := archive.Open(t.Context(), b.folder(), nil)
		require.ErrorContains(t, err, text)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBuilder(t, backuppb.CompressionType_ZSTD).encrypt("aes256-ctr", 32)
	folder := standard(b).finish()
	wrong, err := archive.ParseCipher("aes256-ctr", strings.Repeat("11", 32), "")
	require.NoError(t, err)
	_, err = archive.Open(t.Context(), folder, wrong)
	require.ErrorContains(t, err, "the key or the encryption method is wrong")
	_, err = archive.Open(t.Context(), folder, nil)
	require.ErrorContains(t, err, "no key is given")
	plain := standard(newBuilder(t, backuppb.CompressionType_ZSTD)).finish()
	_, err = archive.Open(t.Context(), plain, wrong)
	require.ErrorContains(t, err, "is not encrypted")

	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("5a", 32)+"\n"), 0o600))
	right, err := archive.ParseCipher("AES256-CTR", "", file)
	require.NoError(t, err)
	_, err = archive.Open(t.Context(), folder, right)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", right, right, right, right), "5a5a")
	require.NotContains(t, fmt.Sprintf("%v %#v", right, right), "90 90")
	for _, tc := range [][4]string{
		{"aes128-ctr", "11", "", "32 hexadecimal digits"}, {"aes128-ctr", "SECRETSECRET", "", "32 hexadecimal digits"},
		{"sm4-ctr", "", "", "unknown"}, {"", "11", "", "without an encryption method"},
		{"aes128-ctr", "11", "/x", "both"}, {"aes128-ctr", "", "/nonexistent/key", "can't be read"},
	} {
		_, err := archive.ParseCipher(tc[0], tc[1], tc[2])
		require.ErrorContains(t, err, tc[3])
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	from := tableInfo(101, "t")
	to := tableInfo(900, "u")
	to.Indices[0].ID = 4
	rules, err := archive.NewRules(from, to)
	require.NoError(t, err)
	require.Len(t, rules, 2)
	b := newBuilder(t, backuppb.CompressionType_ZSTD)
	b.table(from, 10)
	to.Name = from.Name
	want := newBuilder(t, backuppb.CompressionType_ZSTD)
	want.table(to, 10)
	for i, p := range b.pairs["t"] {
		key, ok := rules.Rewrite(p.key)
		require.True(t, ok)
		if i >= 10 { // records; the builder's index has number 1
			require.Equal(t, want.pairs["t"][i].key, key)
		}
		of := rules.Of(p.key, append(bytes.Clone(p.key), 0))
		require.Len(t, of, 1)
		require.True(t, bytes.HasPrefix(p.key, of[0].Old))
		require.True(t, bytes.HasPrefix(key, of[0].New))
	}
	_, ok := rules.Rewrite([]byte("t"))
	require.False(t, ok)

	parts, err := archive.NewRules(tableInfo(110, "p", 111, 112), tableInfo(500, "p", 502, 501))
	require.NoError(t, err)
	require.Len(t, parts, 4)
}

// TestRulesRefused: what would make rows unreadable, or mean something else, is refused by name.
func TestRulesRefused(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]func(to *model.TableInfo){
		"has the id 2, that of the target 7":  func(to *model.TableInfo) { to.Columns[1].ID = 7 },
		"column 2 is v, that of the target w": func(to *model.TableInfo) { to.Columns[1].Name = pmodel.NewCIStr("w") },
		"2 columns and the target 1":          func(to *model.TableInfo) { to.Columns = to.Columns[:1] },
		"that of the target int":              func(to *model.TableInfo) { to.Columns[1].SetType(3) },
		"clustered primary key":               func(to *model.TableInfo) { to.PKIsHandle = false },
		"the target has no index k":           func(to *model.TableInfo) { to.Indices = nil },
		"its index k is another one":          func(to *model.TableInfo) { to.Indices[0].Unique = true },
		"it has no index x": func(to *model.TableInfo) {
			x := *to.Indices[0]
			x.Name = pmodel.NewCIStr("x")
			to.Indices = append(to.Indices, &x)
		},
		"not partitioned in the same way":  func(to *model.TableInfo) { to.Partition = nil },
		"the target has no partition p1":   func(to *model.TableInfo) { to.Partition.Definitions[1].Name = pmodel.NewCIStr("q") },
		"partition p0 holds other rows":    func(to *model.TableInfo) { d := to.Partition.Definitions; d[0].Name, d[1].Name = d[1].Name, d[0].Name },
		"is generated in another way":      func(to *model.TableInfo) { to.Columns[1].GeneratedExprString = "id" },
		"rows that lack its column v have": func(to *model.TableInfo) { to.Columns[1].OriginDefaultValue = "x" },
	} {
		to := tableInfo(500, "p", 501, 502)
		change(to)
		_, err := archive.NewRules(tableInfo(110, "p", 111, 112), to)
		require.ErrorContains(t, err, text)
		require.Equal(t, fault.User, fault.As(err).Whose)
	}
	from, to := tableInfo(110, "p", 111, 112), tableInfo(500, "p", 501, 502)
	from.Indices[0].Global, to.Indices[0].Global = true, true
	rules, err := archive.NewRules(from, to)
	require.NoError(t, err)
	require.Len(t, rules, 3)
}

// FuzzMeta: no backupmeta makes Open panic, nor what has the statistics of its tables.
func FuzzMeta(f *testing.F) {
	for _, v1 := range []bool{false, true} {
		b := newBuilder(f, backuppb.CompressionType_ZSTD)
		b.v1 = v1
		s := b.table(tableInfo(110, "p", 111, 112), 3)
		if s.Stats = []byte(`{"partitions":{"p0":{"count":3}}}`); !v1 {
			s.Stats, s.StatsIndex = nil, []*backuppb.StatsFileIndex{b.statsFile("", true, analysed(111, 2, 1))}
		}
		b.finish()
		data, err := os.ReadFile(filepath.Join(b.dir, "backupmeta"))
		require.NoError(f, err)
		f.Add(data)
	}
	b := newBuilder(f, backuppb.CompressionType_ZSTD)
	f.Fuzz(func(t *testing.T, data []byte) {
		b.t = t
		b.save("backupmeta", data)
		a, err := archive.Open(t.Context(), b.folder(), nil)
		if err != nil {
			return
		}
		for _, db := range a.Databases {
			for _, table := range db.Tables {
				_ = a.Stats(t.Context(), table, "db", "t", func([]byte) error { return nil })
			}
		}
	})
}

// FuzzTableInfo: no schema of the archive makes what works with schemas panic.
func FuzzTableInfo(f *testing.F) {
	for _, info := range []*model.TableInfo{tableInfo(1, "t"), tableInfo(1, "t", 2, 3)} {
		data, err := json.Marshal(info)
		require.NoError(f, err)
		f.Add(data)
	}
	b := newBuilder(f, backuppb.CompressionType_ZSTD)
	b.v1 = true
	schema := b.table(tableInfo(1, "t"), 0)
	f.Fuzz(func(t *testing.T, data []byte) {
		b.t = t
		schema.Table = data
		a, err := archive.Open(t.Context(), b.finish(), nil)
		if err != nil || len(a.Databases[0].Tables) == 0 {
			return
		}
		info := a.Databases[0].Tables[0].Info
		_, _ = archive.NewRules(info, info)
	})
}
