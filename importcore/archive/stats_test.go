package archive_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive"
)

// statsFile saves a file with the statistics of physical tables, or has them in the meta data, and returns what refers to it.
func (b *builder) statsFile(name string, inline bool, blocks ...*backuppb.StatsBlock) *backuppb.StatsFileIndex {
	data, err := proto.Marshal(&backuppb.StatsFile{Blocks: blocks})
	require.NoError(b.t, err)
	if inline {
		return &backuppb.StatsFileIndex{InlineData: data}
	}
	sum := sha256.Sum256(data)
	x := &backuppb.StatsFileIndex{Name: name, Sha256: sum[:], SizeOri: uint64(len(data)), CipherIv: b.iv(name)}
	b.crypt(data, x.CipherIv)
	x.SizeEnc = uint64(len(data))
	b.save(name, data)
	return x
}

// analysed are statistics of one column, as long as said.
func analysed(id int64, version, length int) *backuppb.StatsBlock {
	return &backuppb.StatsBlock{PhysicalId: id, JsonTable: fmt.Appendf(nil,
		`{"database_name":"db","table_name":"old","columns":{"id":{"stats_ver":%d,"histogram":{"ndv":0}}},"count":%d,"text":"%s"}`, version, id, strings.Repeat("x", length))}
}

// stats returns what LOAD STATS gets for the first table of an archive, decoded.
func stats(t *testing.T, a *archive.Archive) (texts []map[string]any, err error) {
	err = a.Stats(t.Context(), a.Databases[0].Tables[0], "new`db", "new", func(text []byte) error {
		fields := map[string]any{}
		require.NoError(t, json.Unmarshal(text, &fields))
		require.Equal(t, "new`db", fields["database_name"])
		require.Equal(t, "new", fields["table_name"])
		texts = append(texts, fields)
		return nil
	})
	return texts, err
}

// TestStats: statistics of every form in which archives have them get the target's names and are otherwise as they were.
func TestStats(t *testing.T) {
	t.Parallel()
	// A table without partitions, in one file, encrypted.
	b := newBuilder(t, backuppb.CompressionType_ZSTD).encrypt("aes256-ctr", 32)
	s := b.table(tableInfo(101, "t"), 1)
	s.StatsIndex = []*backuppb.StatsFileIndex{b.statsFile("backupmeta.schema.stats.000000101", false, analysed(101, 2, 9))}
	a, err := archive.Open(t.Context(), b.finish(), b.cipher())
	require.NoError(t, err)
	require.NoError(t, a.CheckStats(a.Databases[0].Tables[0]))
	texts, err := stats(t, a)
	require.NoError(t, err)
	require.Len(t, texts, 1)
	require.InDelta(t, 101, texts[0]["count"], 0)
	require.Contains(t, texts[0], "columns")

	// Partitions in two files, more than one text takes; the table as a whole is one of them.
	b = newBuilder(t, backuppb.CompressionType_ZSTD)
	s = b.table(tableInfo(110, "p", 111, 112), 1)
	s.StatsIndex = []*backuppb.StatsFileIndex{
		b.statsFile("stats.1", false, analysed(111, 0, 5<<20)), b.statsFile("", true, analysed(112, 1, 1), analysed(110, 1, 1)),
	}
	a, err = archive.Open(t.Context(), b.finish(), nil)
	require.NoError(t, err)
	texts, err = stats(t, a)
	require.NoError(t, err)
	require.Len(t, texts, 2)
	require.Contains(t, texts[0]["partitions"], "p0")
	require.Contains(t, texts[1]["partitions"], "p1")
	require.Contains(t, texts[1]["partitions"], "global")
	require.Equal(t, errNo, a.Stats(t.Context(), a.Databases[0].Tables[0], "a", "b", func([]byte) error { return errNo }), "the error of whoever loads them")

	// The first version of the meta data, with the partitions by their names.
	b = newBuilder(t, backuppb.CompressionType_ZSTD)
	b.v1 = true
	b.table(tableInfo(110, "p", 111, 112), 1).Stats = []byte(`{"partitions":{"p0":{"indices":{"k":{"null_count":4,"histogram":null}}}},"version":7}`)
	a, err = archive.Open(t.Context(), b.finish(), nil)
	require.NoError(t, err)
	texts, err = stats(t, a)
	require.NoError(t, err)
	require.Len(t, texts, 1)
	require.Contains(t, texts[0]["partitions"], "p0")
}

var errNo = errors.New("no")

// TestNoStats: tables without statistics, and those that are damaged, are told apart.
func TestNoStats(t *testing.T) {
	t.Parallel()
	plain := func(change func(b *builder, s *backuppb.Schema)) *archive.Archive {
		b := newBuilder(t, backuppb.CompressionType_ZSTD)
		change(b, b.table(tableInfo(101, "t"), 1))
		a, err := archive.Open(t.Context(), b.finish(), nil)
		require.NoError(t, err)
		return a
	}
	_, err := stats(t, plain(func(*builder, *backuppb.Schema) {}))
	require.ErrorIs(t, err, archive.ErrNoStats)
	_, err = stats(t, plain(func(b *builder, s *backuppb.Schema) {
		s.StatsIndex = []*backuppb.StatsFileIndex{b.statsFile("", true, analysed(101, 0, 1))}
	}))
	require.ErrorIs(t, err, archive.ErrNoStats, "a table that was never analysed has a number of rows only")
	_, err = stats(t, plain(func(_ *builder, s *backuppb.Schema) { s.Stats = []byte("[") }))
	require.ErrorContains(t, err, "can't be used")
	a := plain(func(b *builder, s *backuppb.Schema) {
		s.StatsIndex = []*backuppb.StatsFileIndex{b.statsFile("stats.1", false, analysed(101, 2, 1))}
		s.StatsIndex[0].Sha256[3]++
	})
	_, err = stats(t, a)
	require.ErrorContains(t, err, "stats.1")
	require.ErrorContains(t, err, "sha256")
	a = plain(func(_ *builder, s *backuppb.Schema) { s.StatsIndex = []*backuppb.StatsFileIndex{{Name: "stats.2"}} })
	require.ErrorContains(t, a.CheckStats(a.Databases[0].Tables[0]), "stats.2")

	b := newBuilder(t, backuppb.CompressionType_ZSTD)
	info := tableInfo(110, "p", 111, 112)
	info.Partition.Definitions[1].Name = pmodel.NewCIStr("Global")
	b.table(info, 1).Stats = []byte("{}")
	a, err = archive.Open(t.Context(), b.finish(), nil)
	require.NoError(t, err)
	_, err = stats(t, a)
	require.ErrorContains(t, err, "partition Global")
}
