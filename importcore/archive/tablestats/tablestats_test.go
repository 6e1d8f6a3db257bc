package tablestats_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"
	pmodel "github.com/pingcap/tidb/pkg/parser/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/archive/tablestats"
	"github.com/sluicedb/sluice/importcore/cluster"
)

// target is a table with the columns id and V, an index and, if they are given, partitions p0, p1, ...
func target(partitions ...int64) *model.TableInfo {
	info := &model.TableInfo{ID: 100, Name: pmodel.NewCIStr("T")}
	for i, name := range []string{"id", "V"} {
		info.Columns = append(info.Columns, &model.ColumnInfo{ID: int64(i + 1), Name: pmodel.NewCIStr(name), Offset: i})
	}
	info.Indices = []*model.IndexInfo{{ID: 7, Name: pmodel.NewCIStr("K")}}
	if len(partitions) > 0 {
		info.Partition = &model.PartitionInfo{Enable: true}
		for i, id := range partitions {
			info.Partition.Definitions = append(info.Partition.Definitions, model.PartitionDefinition{ID: id, Name: pmodel.NewCIStr("P" + string(rune('0'+i)))})
		}
	}
	return info
}

const whole = `{"database_name":"d","table_name":"t","columns":{
	"id":{"histogram":{"ndv":3,"buckets":[{"count":2,"lower_bound":"MQ==","upper_bound":"Mg==","repeats":1,"ndv":0},{"count":3,"lower_bound":"","upper_bound":"Mw==","repeats":1}]},
		"cm_sketch":null,"fm_sketch":null,"stats_ver":2,"null_count":4,"tot_col_size":24,"last_update_version":9,"correlation":-0.5},
	"v":{"histogram":{"ndv":0},"stats_ver":0},
	"gone":{"histogram":{"ndv":1},"stats_ver":2}},
	"indices":{"k":{"histogram":{"ndv":1},"cm_sketch":{"top_n":[{"data":"A4AAAAAAAAAB","count":5}],"default_value":0},"stats_ver":2,"tot_col_size":8}},
	"predicate_columns":[{"id":2,"last_used_at":"2024-02-03 04:05:06.5","last_analyzed_at":null},{"id":9,"last_used_at":null,"last_analyzed_at":null},null],
	"ext_stats":null,"partitions":null,"count":12,"modify_count":1,"version":9}`

// TestRead: statistics get the ids of the target; buckets have their own counts instead of sums; what was never collected and what the target
// doesn't have is left out.
func TestRead(t *testing.T) {
	t.Parallel()
	have, err := tablestats.Read([]byte(whole), target())
	require.NoError(t, err)
	require.Equal(t, []cluster.Statistics{{
		ID: 100, Rows: 12, Modified: 1,
		Histograms: []cluster.Histogram{
			{ID: 1, Distinct: 3, Nulls: 4, Size: 24, Version: 2, Correlation: -0.5, Buckets: []cluster.Bucket{
				{Count: 2, Repeats: 1, Lower: []byte("1"), Upper: []byte("2")}, {Count: 1, Repeats: 1, Lower: []byte{}, Upper: []byte("3")},
			}},
			{Index: true, ID: 7, Distinct: 1, Size: 8, Version: 2, Top: []cluster.TopValue{{Value: []byte{3, 0x80, 0, 0, 0, 0, 0, 0, 1}, Count: 5}}},
		},
		Used: []cluster.ColumnUse{{Column: 2, Used: time.Date(2024, 2, 3, 4, 5, 6, 5e8, time.UTC)}},
	}}, have)
}

// TestReadPartitions: each partition has its statistics, and the table as a whole.
func TestReadPartitions(t *testing.T) {
	t.Parallel()
	part := func(rows string) string { return strings.Replace(whole, `"count":12`, `"count":`+rows, 1) }
	have, err := tablestats.Read([]byte(`{"partitions":{"p1":`+part("1")+`,"p0":`+part("2")+`,"global":`+part("3")+`}}`), target(101, 102))
	require.NoError(t, err)
	require.Len(t, have, 3)
	for i, rows := range []int64{3, 2, 1} {
		require.Equal(t, int64(100+i), have[i].ID)
		require.Equal(t, rows, have[i].Rows)
		require.Len(t, have[i].Histograms, 2)
	}
}

// TestForm: what only LOAD STATS can bring in is left to it.
func TestForm(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"version 1":                   strings.Replace(whole, `"stats_ver":2`, `"stats_ver":1`, 1),
		"no version":                  strings.Replace(whole, `"stats_ver":2,`, ``, 1),
		"a column that was added":     strings.Replace(whole, `{"ndv":0},"stats_ver":0`, `{"ndv":1},"stats_ver":0`, 1),
		"a sketch":                    strings.Replace(whole, `"cm_sketch":null`, `"cm_sketch":{"rows":[{"counters":[1]}]}`, 1),
		"extended statistics":         strings.Replace(whole, `"ext_stats":null`, `"ext_stats":[{}]`, 1),
		"a bucket that is missing":    strings.Replace(whole, `"buckets":[`, `"buckets":[null,`, 1),
		"a value that is missing":     strings.Replace(whole, `"top_n":[`, `"top_n":[null,`, 1),
		"something that isn't a time": strings.Replace(whole, `2024-02-03 04:05:06.5`, `1' OR '1`, 1),
		"partitions":                  `{"partitions":{"p0":` + whole + `}}`,
	} {
		_, err := tablestats.Read([]byte(text), target())
		require.ErrorIs(t, err, tablestats.ErrForm, what)
	}
	_, err := tablestats.Read([]byte(`{"partitions":{"p7":`+whole+`}}`), target(101))
	require.ErrorIs(t, err, tablestats.ErrForm)
	_, err = tablestats.Read([]byte(`{"partitions":{"p0":null}}`), target(101))
	require.ErrorIs(t, err, tablestats.ErrForm)
	_, err = tablestats.Read([]byte(whole[:50]), target())
	require.ErrorContains(t, err, "statistics of table T")
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(whole), false)
	f.Add([]byte(`{"partitions":{"p0":`+whole+`,"global":`+whole+`}}`), true)
	f.Fuzz(func(t *testing.T, text []byte, partitioned bool) {
		info := target()
		if partitioned {
			info = target(101, 102)
		}
		list, err := tablestats.Read(text, info)
		if err != nil {
			return
		}
		require.NotEmpty(t, list)
		for _, s := range list {
			require.Contains(t, []int64{100, 101, 102}, s.ID)
			require.LessOrEqual(t, len(s.Histograms), 3)
		}
	})
}
