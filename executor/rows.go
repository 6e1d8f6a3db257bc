package executor

import (
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
// see them on the wire.
var jobColumns = []Column{
	intColumn("Job_ID"), textColumn("Data_Source"), textColumn("Target_Table"), intColumn("Table_ID"),
	textColumn("Phase"), textColumn("Status"), textColumn("Source_File_Size"), intColumn("Imported_Rows"),
	textColumn("Result_Message"), timeColumn("Create_Time"), timeColumn("Start_Time"), timeColumn("End_Time"),
	textColumn("Created_By"),
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
	return []Value{
		intValue(j.ID), Value(j.DataSource), Value(privilege.QuoteTable(j.DB, j.Table)), intValue(j.TableID),
		Value(j.Phase), Value(j.Status), Value(units.BytesSize(float64(j.SourceBytes))), nullableInt(j.Rows),
		Value(j.Message), timeValue(j.CreateTime, zone), timeValue(j.StartTime, zone), timeValue(j.EndTime, zone),
		Value(j.CreatedBy),
	}
}

// jobResult is the result set of all statements that show jobs.
func jobResult(jobs []job.Job, zone *time.Location) *Result {
	r := &Result{Columns: jobColumns}
	for i := range jobs {
		r.Rows = append(r.Rows, jobRow(&jobs[i], zone))
	}
	return r
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
