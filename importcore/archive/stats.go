package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gogo/protobuf/proto"
	backuppb "github.com/pingcap/kvproto/pkg/brpb"
)

// globalStats is what LOAD STATS calls the statistics of a partitioned table as a whole, among those of its partitions.
const globalStats = "global"

// statsBatch is how many bytes of statistics of partitions are told at a time, which the server holds several times over.
const statsBatch = 4 << 20

// ErrNoStats says that an archive has no statistics of a table, or none that was ever collected.
var ErrNoStats = errors.New("the archive has no statistics of the table")

// Stats gives load the statistics that the archive has of a table, each time as a text for TiDB's LOAD STATS (JSON) that is load's to keep. They
// say that they belong to the given table. A table with many partitions takes several texts.
// Their form is that of JSONTable in TiDB's statistics. The error is load's, ErrNoStats if there is nothing to load, or one that names a damaged file.
func (a *Archive) Stats(ctx context.Context, t *Table, db, table string, load func(text []byte) error) error {
	names, err := statsNames(t)
	if err != nil {
		return err
	}
	w := &statsWriter{names: names, db: db, table: table, load: load}
	if len(t.statsIndex) == 0 {
		if len(t.stats) > 0 {
			if err := w.whole(t.stats); err != nil {
				return err
			}
		}
		return w.end()
	}
	for _, x := range t.statsIndex {
		data := x.InlineData
		if len(data) == 0 {
			if data, err = a.readPart(ctx, part{x.Name, x.Sha256, x.SizeOri, x.CipherIv}); err != nil {
				return err
			}
		}
		file := &backuppb.StatsFile{}
		if err := proto.Unmarshal(data, file); err != nil {
			return damaged(x.Name, err)
		}
		for _, b := range file.Blocks {
			if err := w.block(b.PhysicalId, b.JsonTable); err != nil {
				return err
			}
		}
	}
	return w.end()
}

// CheckStats returns an error that names a file with statistics of a table that is missing.
func (a *Archive) CheckStats(t *Table) error {
	for _, x := range t.statsIndex {
		if _, ok := a.files[x.Name]; !ok && len(x.InlineData) == 0 {
			return a.missing(x.Name)
		}
	}
	return nil
}

// statsNames are the names of partitions, as LOAD STATS has them, by their ids in the archive; nil for a table without.
func statsNames(t *Table) (map[int64]string, error) {
	p := t.Info.GetPartitionInfo()
	if p == nil {
		return nil, nil
	}
	names := map[int64]string{t.Info.ID: globalStats}
	for _, d := range p.Definitions {
		if d.Name.L == globalStats {
			return nil, fmt.Errorf("statistics of a partition %s can't be told from those of the whole table", d.Name.O)
		}
		names[d.ID] = d.Name.L
	}
	return names, nil
}

// statsWriter makes the texts of one table.
type statsWriter struct {
	names     map[int64]string
	db, table string
	load      func([]byte) error

	partitions map[string]json.RawMessage // that wait for a text
	size       int
	collected  bool
}

// statsOf is what of statistics tells whether they were ever collected.
type statsOf struct {
	Columns, Indices map[string]struct {
		StatsVer  int64 `json:"stats_ver"`
		NullCount int64 `json:"null_count"`
		Histogram struct {
			NDV int64 `json:"ndv"`
		} `json:"histogram"`
	}
	Partitions map[string]*statsOf
}

// collected tells whether an ANALYZE has made some of the statistics. A table that was never analysed has a number of rows alone.
func (s *statsOf) collected() bool {
	if s == nil {
		return false
	}
	for _, c := range s.Columns {
		if c.StatsVer > 0 || c.NullCount > 0 || c.Histogram.NDV > 0 {
			return true
		}
	}
	for _, c := range s.Indices {
		if c.StatsVer > 0 || c.NullCount > 0 || c.Histogram.NDV > 0 {
			return true
		}
	}
	for _, p := range s.Partitions {
		if p.collected() {
			return true
		}
	}
	return false
}

// whole takes the statistics of a table without partitions, or with all of them as archives of the first versions have them.
func (w *statsWriter) whole(text []byte) error {
	var stats statsOf
	fields := map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal(text, &stats), json.Unmarshal(text, &fields)); err != nil {
		return damagedStats(err)
	}
	if !stats.collected() {
		return nil
	}
	w.collected = true
	return w.tell(fields)
}

// block takes the statistics of a physical table.
func (w *statsWriter) block(id int64, text []byte) error {
	if w.names == nil {
		return w.whole(text)
	}
	name, ok := w.names[id]
	if !ok {
		return damagedStats(fmt.Errorf("they belong to no partition of the table (id %d)", id))
	}
	var stats statsOf
	if err := json.Unmarshal(text, &stats); err != nil {
		return damagedStats(err)
	}
	w.collected = w.collected || stats.collected()
	if w.partitions == nil {
		w.partitions = map[string]json.RawMessage{}
	}
	w.partitions[name] = text
	if w.size += len(text); w.size < statsBatch {
		return nil
	}
	return w.flush()
}

// flush tells the partitions that wait.
func (w *statsWriter) flush() error {
	if len(w.partitions) == 0 {
		return nil
	}
	text, err := json.Marshal(w.partitions)
	if err != nil {
		return damagedStats(err)
	}
	w.partitions, w.size = nil, 0
	return w.tell(map[string]json.RawMessage{"partitions": text})
}

func (w *statsWriter) tell(fields map[string]json.RawMessage) error {
	for name, value := range map[string]string{"database_name": w.db, "table_name": w.table} {
		text, err := json.Marshal(value)
		if err != nil {
			return damagedStats(err)
		}
		fields[name] = text
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return damagedStats(err)
	}
	return w.load(text)
}

// end tells what is left.
func (w *statsWriter) end() error {
	if !w.collected {
		return ErrNoStats
	}
	return w.flush()
}

func damagedStats(err error) error { return damaged(MetaName+" (statistics)", err) }
