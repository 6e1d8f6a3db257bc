package executor

import (
	"fmt"
	"strconv"
	"time"

	"github.com/docker/go-units"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/privilege"
)

// Collation ids of result columns.
const (
	collationUTF8MB4Bin = 46
	collationBinary     = 63
)

// jobColumns are TiDB 8.5.4's 13 columns of SHOW IMPORT JOBS, as its clients
// see them on the wire; behind them those of newer TiDBs, which have Group_Key in
// the second place; and last those of the whole job.
var jobColumns = []Column{
	intColumn("Job_ID"), textColumn("Data_Source"), textColumn("Target_Table"), intColumn("Table_ID"),
	textColumn("Phase"), textColumn("Status"), textColumn("Source_File_Size"), intColumn("Imported_Rows"),
	textColumn("Result_Message"), timeColumn("Create_Time"), timeColumn("Start_Time"), timeColumn("End_Time"),
	textColumn("Created_By"),
	textColumn("Group_Key"), timeColumn("Last_Update_Time"), textColumn("Cur_Step"), textColumn("Cur_Step_Processed_Size"),
	textColumn("Cur_Step_Total_Size"), textColumn("Cur_Step_Progress_Pct"), textColumn("Cur_Step_Speed"), textColumn("Cur_Step_ETA"),
	textColumn("Progress_Pct"), textColumn("Speed"), textColumn("ETA"),
}

func intColumn(name string) Column {
	return Column{Name: name, Type: mysql.MYSQL_TYPE_LONGLONG, Charset: collationBinary, Length: 20}
}

func textColumn(name string) Column {
	return Column{Name: name, Type: mysql.MYSQL_TYPE_STRING, Charset: collationUTF8MB4Bin, Length: 4}
}

func timeColumn(name string) Column {
	return Column{Name: name, Type: mysql.MYSQL_TYPE_TIMESTAMP, Charset: collationBinary, Length: 19}
}

// jobRow writes a job as a row of jobColumns; times appear in zone.
func jobRow(j *job.Job, zone *time.Location) []Value {
	tableID := intValue(j.TableID)
	if j.Kind == job.Restore {
		tableID = nil
	}
	return []Value{
		intValue(j.ID), Value(j.DataSource), Value(targetOf(j)), tableID,
		Value(j.Phase), Value(j.Shown()), Value(units.BytesSize(float64(j.SourceBytes))), nullableInt(j.Rows),
		Value(j.Message), timeValue(j.CreateTime, zone), timeValue(j.StartTime, zone), timeValue(j.EndTime, zone),
		Value(j.CreatedBy),
		textOrNull(j.GroupKey), timeValue(j.UpdateTime, zone), textOrNull(j.Step), sizeValue(j.Current.Done, j.Current.Size),
		sizeValue(j.Current.Size, j.Current.Size), percentOf(&j.Current), speedValue(j.Current.Speed), leftValue(j.Current.Left),
		percentValue(j.Percent), speedValue(j.Total.Speed), leftValue(j.Total.Left),
	}
}

// targetOf names what a job writes to, as SQL.
func targetOf(j *job.Job) string {
	if j.Kind == job.Restore {
		return j.Targets
	}
	return privilege.QuoteTable(j.DB, j.Table)
}

// jobResult is the result set of all statements that show jobs.
func jobResult(jobs []job.Job, zone *time.Location) *Result {
	r := &Result{Columns: jobColumns}
	for i := range jobs {
		r.Rows = append(r.Rows, jobRow(&jobs[i], zone))
	}
	return r
}

func textOrNull(s string) Value {
	if s == "" {
		return nil
	}
	return Value(s)
}

// sizeValue writes bytes as newer TiDBs do. A step without a size has NULL.
func sizeValue(n, size int64) Value {
	if size == 0 {
		return nil
	}
	return Value(units.HumanSize(float64(n)))
}

func percentOf(m *job.Meter) Value {
	if m.Size == 0 && m.Percent == 0 {
		return nil
	}
	return percentValue(m.Percent)
}

// percentValue writes whole percents, rounded down: 100 is the end.
func percentValue(p float64) Value { return intValue(int64(p)) }

func speedValue(perSecond int64) Value {
	if perSecond == 0 {
		return nil
	}
	return Value(units.HumanSize(float64(perSecond)) + "/s")
}

// leftValue writes a duration as hours, minutes and seconds.
func leftValue(left time.Duration) Value {
	if left <= 0 {
		return nil
	}
	s := int64((left + time.Second - 1) / time.Second)
	return fmt.Appendf(nil, "%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

func intValue(n int64) Value { return strconv.AppendInt(nil, n, 10) }

func nullableInt(n *int64) Value {
	if n == nil {
		return nil
	}
	return intValue(*n)
}

func timeValue(t time.Time, zone *time.Location) Value {
	if t.IsZero() {
		return nil
	}
	return t.In(zone).AppendFormat(nil, "2006-01-02 15:04:05.000000")
}
