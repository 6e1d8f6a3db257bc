package executor

import (
	"context"
	"strconv"
	"time"

	"github.com/docker/go-units"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/executor/job"
	"github.com/sluicedb/sluice/executor/jobstore"
	"github.com/sluicedb/sluice/executor/privilege"
	"github.com/sluicedb/sluice/importcore/restore"
	"github.com/sluicedb/sluice/sqlext"
)

// showRestoresColumns are TiDB's of SHOW RESTORES; behind them is what else there is to know.
var showRestoresColumns = []Column{
	intColumn("Id"), textColumn("Destination"), textColumn("State"), doubleColumn("Progress"), datetimeColumn("Queue_time"),
	datetimeColumn("Execution_time"), datetimeColumn("Finish_time"), intColumn("Connection"), textColumn("Message"),
	textColumn("Targets"), intColumn("Tables"), intColumn("Tables_Done"), intColumn("Imported_Rows"), textColumn("Source_File_Size"),
	textColumn("Cur_Step"), textColumn("Speed"), textColumn("ETA"), unsignedColumn("Backup_TS"), unsignedColumn("Cluster_TS"), textColumn("Created_By"),
}

func doubleColumn(name string) Column {
	return Column{Name: name, Type: mysql.MYSQL_TYPE_DOUBLE, Charset: collationBinary, Length: 22, Decimals: 31}
}

func unsignedColumn(name string) Column {
	c := intColumn(name)
	c.Flags = mysql.UNSIGNED_FLAG
	return c
}

func datetimeColumn(name string) Column {
	return Column{Name: name, Type: mysql.MYSQL_TYPE_DATETIME, Charset: collationBinary, Length: 19}
}

func unsignedValue(n uint64) Value { return strconv.AppendUint(nil, n, 10) }

// secondsValue writes a time without its fraction.
func secondsValue(t time.Time, zone *time.Location) Value {
	if t.IsZero() {
		return nil
	}
	return t.In(zone).AppendFormat(nil, "2006-01-02 15:04:05")
}

// showRestores is SHOW RESTORES: all restores of the cluster, for whoever may restore.
func (e *Executor) showRestores(ctx context.Context, s Session, st *sqlext.ShowRestores) (*Result, error) {
	state, err := askSession(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := privilege.CheckRestore(ctx, s, state.server == "", false); err != nil {
		return nil, err
	}
	store, err := e.services.getStore(ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := store.List(ctx, "")
	if err != nil {
		return nil, err
	}
	counts, err := store.CountTables(ctx, string(restore.TableDone))
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: showRestoresColumns}
	for i := range jobs {
		if jobs[i].Kind != job.Restore {
			continue
		}
		e.live(&jobs[i])
		row, err := restoreRow(&jobs[i], counts[jobs[i].ID], state.timeZone)
		if err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, row)
	}
	if st.Where == "" {
		return r, nil
	}
	if err := checkCharset(st.Where, state.charset); err != nil {
		return nil, err
	}
	r.Rows, err = filterRows(ctx, s, r, st.Where)
	return r, err
}

// restoreRow writes a job as a row of showRestoresColumns; times appear in zone.
func restoreRow(j *job.Job, n jobstore.TableCount, zone *time.Location) ([]Value, error) {
	done, err := restoredOf(j)
	if err != nil {
		return nil, err
	}
	if j.Status == job.Finished { // views and sequences too, of which nothing is told
		n.Done = n.All
	}
	var backup, cluster, connection Value
	if done.BackupTS != 0 {
		backup = unsignedValue(done.BackupTS)
	}
	if done.ClusterTS != 0 {
		cluster = unsignedValue(done.ClusterTS)
	}
	if j.Connection != 0 {
		connection = intValue(j.Connection)
	}
	return []Value{
		intValue(j.ID), Value(j.DataSource), Value(j.Shown()), strconv.AppendFloat(nil, float64(int64(j.Percent*100))/100, 'f', -1, 64),
		secondsValue(j.CreateTime, zone), secondsValue(j.StartTime, zone), secondsValue(j.EndTime, zone), connection, textOrNull(j.Message),
		Value(j.Targets), intValue(n.All), intValue(n.Done), nullableInt(j.Rows), Value(units.BytesSize(float64(j.SourceBytes))),
		textOrNull(j.Step), speedValue(j.Total.Speed), leftValue(j.Total.Left), backup, cluster, Value(j.CreatedBy),
	}, nil
}

// tablesColumns are those of SHOW IMPORT JOB n TABLES.
var tablesColumns = []Column{
	textColumn("Table_Schema"), textColumn("Table_Name"), textColumn("State"), intColumn("Imported_Rows"), textColumn("Source_File_Size"), textColumn("Message"),
}

// showTables is SHOW IMPORT JOB n TABLES. What this process has not written yet comes a second later.
func (e *Executor) showTables(ctx context.Context, s Session, id int64) (*Result, error) {
	store, j, _, err := e.controlled(ctx, s, id)
	if err != nil {
		return nil, err
	}
	tables, err := store.Tables(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: tablesColumns}
	for _, t := range tables {
		switch {
		case j.Kind == job.Import:
			t.State, t.Bytes, t.Message = string(j.Shown()), j.SourceBytes, j.Message
			if j.Rows != nil {
				t.Rows = *j.Rows
			}
		case j.Status == job.Finished: // views and sequences too, of which nothing is told
			t.State = string(restore.TableDone)
		}
		r.Rows = append(r.Rows, []Value{
			Value(t.DB), Value(t.Name), textOrNull(t.State), intValue(t.Rows), Value(units.BytesSize(float64(t.Bytes))), textOrNull(t.Message),
		})
	}
	return r, nil
}
