package cluster

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
)

// # Statistics of many tables
//
// LOAD STATS takes one table, in some twenty transactions: one for each column and index, each with a dozen statements, and then the server reads
// again what it knows of every table that has changed within the last seconds. For a table of ten rows that is most of the work of
// restoring it. SaveStatistics writes what LOAD STATS writes for many tables at once, by a handful of statements in one transaction. The
// servers read it as they read what other servers have collected: within seconds (--lease of the statistics).
//
// It writes only where it knows what it does: the tables in mysql have exactly the columns that this file knows, and the tables have no statistics yet. What
// is otherwise is left to LOAD STATS.

// Statistics are those of a table, or of a partition, as the tables of mysql hold them.
type Statistics struct {
	// ID is the table's or the partition's.
	ID int64
	// Rows it has, and Modified of them since they were counted.
	Rows, Modified int64
	Histograms     []Histogram
	Used           []ColumnUse
}

// Histogram is that of a column or of an index.
type Histogram struct {
	Index bool
	// ID is the column's or the index's.
	ID int64
	// Distinct values, Nulls, and Size bytes in all.
	Distinct, Nulls, Size int64
	// Version is that of the way in which it was collected: 2, or 0 for a column that was added later and not analysed.
	Version     int64
	Correlation float64
	Buckets     []Bucket
	Top         []TopValue
}

// Bucket is a range of values, bounds included.
type Bucket struct {
	// Count of rows in this one alone, Repeats of them with the upper bound.
	Count, Repeats, Distinct int64
	Lower, Upper             []byte
}

// TopValue is a value that many rows have, encoded as in a key.
type TopValue struct {
	Value []byte
	Count uint64
}

// ColumnUse says when a column was last used in a condition, and when it was last analysed; the zero time is never.
type ColumnUse struct {
	Column         int64
	Used, Analysed time.Time
}

// ErrStatisticsKept says that SaveStatistics has written nothing: only LOAD STATS can bring these statistics in.
var ErrStatisticsKept = errors.New("the statistics can't be written to the system's tables")

// statisticsColumns are the columns of mysql's tables with statistics. Older servers don't have the optional one.
var statisticsColumns = map[string]string{
	"stats_meta":         "count,modify_count,snapshot,table_id,version",
	"stats_histograms":   "cm_sketch,correlation,distinct_count,flag,hist_id,is_index,last_analyze_pos,modify_count,null_count,stats_ver,table_id,tot_col_size,version",
	"stats_buckets":      "bucket_id,count,hist_id,is_index,lower_bound,ndv,repeats,table_id,upper_bound",
	"stats_top_n":        "count,hist_id,is_index,table_id,value",
	"column_stats_usage": "column_id,last_analyzed_at,last_used_at,table_id",
}

const histogramsVersion = "last_stats_histograms_version"

// SaveStatistics writes the statistics of tables and partitions that have none, all or none of them. ErrStatisticsKept, or an error that TiDB
// has answered, leaves them to LoadStats.
func (c *Cluster) SaveStatistics(ctx context.Context, list []Statistics) error {
	if len(list) == 0 {
		return nil
	}
	err := c.sql.Transact(ctx, func(s *sqlconn.Session) error {
		w := &statisticsWriter{c: c, s: s, list: list}
		return w.write(ctx)
	})
	if errors.Is(err, ErrStatisticsKept) {
		return err
	}
	return failed(err, "save statistics")
}

type statisticsWriter struct {
	c    *Cluster
	s    *sqlconn.Session
	list []Statistics
}

// write locks the tables' rows in stats_meta first, as ANALYZE does, so that one that runs at the same time comes before and is seen, or after.
func (w *statisticsWriter) write(ctx context.Context) error {
	noted, err := w.layout()
	if err != nil {
		return err
	}
	ids := make([]string, len(w.list))
	for i := range w.list {
		ids[i] = strconv.FormatInt(w.list[i].ID, 10)
	}
	in := "table_id IN (" + strings.Join(ids, ", ") + ")"
	if _, err := w.s.Exec("SELECT table_id FROM mysql.stats_meta WHERE " + in + " FOR UPDATE"); err != nil {
		return err
	}
	res, err := w.s.Exec("SELECT table_id FROM mysql.stats_histograms WHERE " + in + " AND stats_ver > 0 LIMIT 1 FOR UPDATE")
	if err != nil {
		return err
	}
	if res.RowNumber() > 0 {
		return ErrStatisticsKept
	}
	version, err := w.c.TSO(ctx)
	if err != nil {
		return err
	}
	if err := w.histograms(version); err != nil {
		return err
	}
	// The servers look for versions that are not much older than what they have, so this is the latest.
	if version, err = w.c.TSO(ctx); err != nil {
		return err
	}
	return w.meta(version, noted)
}

// layout compares the columns with those that are known, and tells whether the optional one is there.
func (w *statisticsWriter) layout() (noted bool, err error) {
	names := make([]string, 0, len(statisticsColumns))
	for name := range statisticsColumns {
		names = append(names, "'"+name+"'")
	}
	res, err := w.s.Exec("SELECT LOWER(TABLE_NAME), LOWER(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME IN (" +
		strings.Join(names, ", ") + ")")
	if err != nil {
		return false, err
	}
	columns := map[string][]string{}
	for i := range res.RowNumber() {
		table, err1 := res.GetString(i, 0)
		column, err2 := res.GetString(i, 1)
		switch {
		case errors.Join(err1, err2) != nil:
			return false, errors.Join(err1, err2)
		case table == "stats_meta" && column == histogramsVersion:
			noted = true
		default:
			columns[table] = append(columns[table], column)
		}
	}
	for table, known := range statisticsColumns {
		have := columns[table]
		slices.Sort(have)
		if strings.Join(have, ",") != known {
			return false, ErrStatisticsKept
		}
	}
	return noted, nil
}

// histograms writes histograms, their buckets and frequent values, and what is known of columns' use.
func (w *statisticsWriter) histograms(version uint64) error {
	hists := w.rows("REPLACE INTO mysql.stats_histograms (table_id, is_index, hist_id, distinct_count, version, null_count, tot_col_size, stats_ver, flag, correlation, last_analyze_pos)")
	buckets := w.rows("INSERT INTO mysql.stats_buckets (table_id, is_index, hist_id, bucket_id, count, repeats, lower_bound, upper_bound, ndv)")
	top := w.rows("INSERT INTO mysql.stats_top_n (table_id, is_index, hist_id, value, count)")
	use := w.rows("REPLACE INTO mysql.column_stats_usage (table_id, column_id, last_used_at, last_analyzed_at)")
	for i := range w.list {
		t := &w.list[i]
		id := number(t.ID)
		for j := range t.Histograms {
			h := &t.Histograms[j]
			of := id + ", " + map[bool]string{false: "0", true: "1"}[h.Index] + ", " + number(h.ID)
			last := "NULL"
			if n := len(h.Buckets); n > 0 && len(h.Buckets[n-1].Upper) > 0 {
				last = binary(h.Buckets[n-1].Upper)
			}
			hists.add(of, number(h.Distinct), strconv.FormatUint(version, 10), number(h.Nulls), number(max(h.Size, 0)), number(h.Version), analysedFlag,
				strconv.FormatFloat(h.Correlation, 'e', -1, 64), last)
			for n := range h.Buckets {
				b := &h.Buckets[n]
				buckets.add(of, number(int64(n)), number(b.Count), number(b.Repeats), binary(b.Lower), binary(b.Upper), number(b.Distinct))
			}
			for _, v := range h.Top {
				top.add(of, binary(v.Value), strconv.FormatUint(v.Count, 10))
			}
		}
		for _, u := range t.Used {
			use.add(id, number(u.Column), moment(u.Used), moment(u.Analysed))
		}
	}
	return errors.Join(hists.end(), buckets.end(), top.end(), use.end())
}

// analysedFlag is AnalyzeFlag of TiDB's statistics.
const analysedFlag = "1"

// meta writes how many rows there are, which makes the servers read the rest.
func (w *statisticsWriter) meta(version uint64, noted bool) error {
	columns := "version, table_id, count, modify_count"
	if noted {
		columns += ", " + histogramsVersion
	}
	v := strconv.FormatUint(version, 10)
	rows := w.rows("REPLACE INTO mysql.stats_meta (" + columns + ")")
	for i := range w.list {
		t := &w.list[i]
		values := []string{v, number(t.ID), number(max(t.Rows, 0)), number(t.Modified)}
		if noted {
			values = append(values, v)
		}
		rows.add(values...)
	}
	return rows.end()
}

// statementBytes is about how long a statement gets.
const statementBytes = 256 << 10

// rowsOf are statements that write rows, as many as fit in each. The first error ends them.
type rowsOf struct {
	s    *sqlconn.Session
	head string
	text strings.Builder
	err  error
}

func (w *statisticsWriter) rows(head string) *rowsOf { return &rowsOf{s: w.s, head: head} }

// add adds a row of SQL literals.
func (r *rowsOf) add(literals ...string) {
	if r.text.Len() == 0 {
		r.text.WriteString(r.head + " VALUES ")
	} else {
		r.text.WriteString(", ")
	}
	r.text.WriteString("(" + strings.Join(literals, ", ") + ")")
	if r.text.Len() >= statementBytes {
		r.flush()
	}
}

func (r *rowsOf) flush() {
	if r.err == nil && r.text.Len() > 0 {
		_, r.err = r.s.Exec(r.text.String())
	}
	r.text.Reset()
}

func (r *rowsOf) end() error {
	r.flush()
	return r.err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// binary is a literal of bytes.
func binary(b []byte) string {
	if len(b) == 0 {
		return "''"
	}
	return "x'" + hex.EncodeToString(b) + "'"
}

// moment is a point in time for a column in the session's time zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return "NULL"
	}
	return "CONVERT_TZ('" + t.UTC().Format("2006-01-02 15:04:05.999999") + "', '+00:00', @@time_zone)"
}
