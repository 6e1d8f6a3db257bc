// Package tablestats reads the statistics of a table from the text that TiDB's LOAD STATS takes (JSONTable in its statistics, which archives of BR
// hold) into the form in which TiDB keeps them, for cluster.SaveStatistics.
//
// Only what every release since 6.5 keeps in the same way is read: statistics of version 2, without sketches and without
// extended statistics. For all else there is LOAD STATS itself.
package tablestats

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/meta/model"

	"github.com/sluicedb/sluice/importcore/cluster"
)

// ErrForm says that a text has what only LOAD STATS can bring in.
var ErrForm = errors.New("the statistics are of another form")

// global is what the statistics of a partitioned table as a whole are called among those of its partitions.
const global = "global"

// analysed is the version of statistics that are read.
const analysed = 2

// table is what of a JSONTable is used.
type table struct {
	Columns    map[string]*column `json:"columns"`
	Indices    map[string]*column `json:"indices"`
	Partitions map[string]*table  `json:"partitions"`
	Extended   []json.RawMessage  `json:"ext_stats"`
	Used       []*use             `json:"predicate_columns"`
	Count      int64              `json:"count"`
	Modified   int64              `json:"modify_count"`
}

type column struct {
	Histogram struct {
		NDV     int64     `json:"ndv"`
		Buckets []*bucket `json:"buckets"`
	} `json:"histogram"`
	Sketch *struct {
		Rows []json.RawMessage `json:"rows"`
		Top  []*top            `json:"top_n"`
	} `json:"cm_sketch"`
	Version     *int64  `json:"stats_ver"`
	Nulls       int64   `json:"null_count"`
	Size        int64   `json:"tot_col_size"`
	Correlation float64 `json:"correlation"`
}

type bucket struct {
	Count   int64  `json:"count"` // with those of all buckets before
	Lower   []byte `json:"lower_bound"`
	Upper   []byte `json:"upper_bound"`
	Repeats int64  `json:"repeats"`
	NDV     int64  `json:"ndv"`
}

type top struct {
	Data  []byte `json:"data"`
	Count uint64 `json:"count"`
}

type use struct {
	ID       int64   `json:"id"`
	Used     *string `json:"last_used_at"`
	Analysed *string `json:"last_analyzed_at"`
}

// Read returns the statistics in a text, of the table and of its partitions, with the ids that these, their columns and
// their indexes have now. They share no memory with the text. ErrForm, or an error of the text's syntax, leaves it to LOAD STATS.
func Read(text []byte, info *model.TableInfo) ([]cluster.Statistics, error) {
	t := &table{}
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("statistics of table %s: %w", info.Name.O, err)
	}
	partitions := info.GetPartitionInfo()
	if partitions == nil || t.Partitions == nil {
		if t.Partitions != nil {
			return nil, ErrForm
		}
		one, err := t.of(info, info.ID)
		return []cluster.Statistics{one}, err
	}
	ids := map[string]int64{global: info.ID}
	for _, d := range partitions.Definitions {
		ids[d.Name.L] = d.ID
	}
	var list []cluster.Statistics
	for name, part := range t.Partitions {
		id, ok := ids[name]
		if !ok || part == nil || part.Partitions != nil {
			return nil, ErrForm
		}
		one, err := part.of(info, id)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b cluster.Statistics) int { return int(a.ID - b.ID) })
	return list, nil
}

// of returns the statistics as those of a table or a partition with an id.
func (t *table) of(info *model.TableInfo, id int64) (cluster.Statistics, error) {
	s := cluster.Statistics{ID: id, Rows: t.Count, Modified: t.Modified}
	if len(t.Extended) > 0 {
		return s, ErrForm
	}
	for _, c := range info.Columns {
		if err := t.Columns[c.Name.L].add(&s, false, c.ID); err != nil {
			return s, err
		}
	}
	for _, x := range info.Indices {
		if err := t.Indices[x.Name.L].add(&s, true, x.ID); err != nil {
			return s, err
		}
	}
	for _, u := range t.Used {
		if u == nil || !slices.ContainsFunc(info.Columns, func(c *model.ColumnInfo) bool { return c.ID == u.ID }) {
			continue
		}
		used, err1 := moment(u.Used)
		last, err2 := moment(u.Analysed)
		if err := errors.Join(err1, err2); err != nil {
			return s, err
		}
		s.Used = append(s.Used, cluster.ColumnUse{Column: u.ID, Used: used, Analysed: last})
	}
	return s, nil
}

// add adds a column's or an index's histogram. What was never collected isn't one.
func (c *column) add(s *cluster.Statistics, index bool, id int64) error {
	if c == nil {
		return nil
	}
	version := int64(0)
	if c.Version != nil {
		version = *c.Version
	}
	some := c.Nulls > 0 || c.Histogram.NDV > 0 || len(c.Histogram.Buckets) > 0 || c.Sketch != nil
	switch {
	case version == 0 && !some:
		return nil
	case version != analysed || c.Sketch != nil && len(c.Sketch.Rows) > 0:
		return ErrForm
	}
	h := cluster.Histogram{Index: index, ID: id, Distinct: c.Histogram.NDV, Nulls: c.Nulls, Size: c.Size, Version: version, Correlation: c.Correlation}
	before := int64(0)
	for _, b := range c.Histogram.Buckets {
		if b == nil {
			return ErrForm
		}
		h.Buckets = append(h.Buckets, cluster.Bucket{Count: b.Count - before, Repeats: b.Repeats, Distinct: b.NDV, Lower: b.Lower, Upper: b.Upper})
		before = b.Count
	}
	if c.Sketch != nil {
		for _, v := range c.Sketch.Top {
			if v == nil {
				return ErrForm
			}
			h.Top = append(h.Top, cluster.TopValue{Value: v.Data, Count: v.Count})
		}
	}
	s.Histograms = append(s.Histograms, h)
	return nil
}

// moment reads a time as TiDB writes it, in UTC; nil is the zero time.
func moment(text *string) (time.Time, error) {
	if text == nil {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateTime, strings.TrimSpace(*text)) // takes parts of seconds too
	if err != nil {
		return time.Time{}, ErrForm
	}
	return t, nil
}
