package jobstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicedb/sluice/executor/job"
)

// timeLayout is how DATETIME(6) arrives.
const timeLayout = "2006-01-02 15:04:05.999999"

func (s *Store) selectJobs() string {
	return "SELECT id, kind, targets, result, connection_id, group_key, data_source, table_schema, table_name, table_id, statement, options, format_version, " +
		"status, phase, step, imported_rows, step_done, step_size, step_speed, step_seconds_left, total_done, total_speed, " +
		"total_seconds_left, percent, step_percent, steps, source_bytes, error_code, message, created_by, create_time, start_time, " +
		"end_time, update_time, owner, term, lease_until, cancel_requested, pause_requested, settings, error_rows FROM " + s.schema + ".jobs"
}

// scanJobs reads rows of selectJobs.
func scanJobs(r *mysql.Result) ([]job.Job, error) {
	jobs := make([]job.Job, 0, r.RowNumber())
	for i := range r.RowNumber() {
		sc := rowScanner{r: r, row: i}
		var j job.Job
		var status, phase, kind string
		var code, term, format int64
		sc.int(&j.ID)
		sc.string(&kind)
		sc.string(&j.Targets)
		sc.string(&j.Result)
		sc.int(&j.Connection)
		sc.string(&j.GroupKey)
		sc.string(&j.DataSource)
		sc.string(&j.DB)
		sc.string(&j.Table)
		sc.int(&j.TableID)
		sc.string(&j.Statement)
		sc.string(&j.Options)
		sc.int(&format)
		sc.string(&status)
		sc.string(&phase)
		sc.progress(&j.Progress)
		sc.int(&j.SourceBytes)
		sc.int(&code)
		sc.string(&j.Message)
		sc.string(&j.CreatedBy)
		sc.time(&j.CreateTime)
		sc.time(&j.StartTime)
		sc.time(&j.EndTime)
		sc.time(&j.UpdateTime)
		sc.string(&j.Lease.Owner)
		sc.int(&term)
		sc.time(&j.LeaseUntil)
		sc.control(&j.Control)
		sc.int(&j.ErrorRows)
		if sc.err != nil {
			return nil, fmt.Errorf("job row: %w", sc.err)
		}
		j.Kind, j.Status, j.Phase = job.Kind(kind), job.Status(status), job.Phase(phase)
		if !j.Status.Valid() {
			return nil, fmt.Errorf("job %d: unknown status %q", j.ID, status)
		}
		j.Total.Size = j.SourceBytes
		j.FormatVersion, j.ErrorCode = int(format), uint16(code)
		j.Lease.JobID, j.Lease.Term = j.ID, term
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// rowScanner reads the columns of a row from left to right and keeps the first
// error. It copies what it returns: go-mysql reuses a result's buffers.
type rowScanner struct {
	r        *mysql.Result
	row, col int
	err      error
}

func (s *rowScanner) next() int {
	s.col++
	return s.col - 1
}

func (s *rowScanner) string(to *string) {
	v, err := s.r.GetString(s.row, s.next())
	s.keep(err)
	*to = string([]byte(v))
}

func (s *rowScanner) int(to *int64) {
	v, err := s.r.GetInt(s.row, s.next())
	s.keep(err)
	*to = v
}

func (s *rowScanner) bool(to *bool) {
	var n int64
	s.int(&n)
	*to = n != 0
}

func (s *rowScanner) float(to *float64) {
	v, err := s.r.GetFloat(s.row, s.next())
	s.keep(err)
	*to = v
}

// progress reads from step on; Phase comes before.
func (s *rowScanner) progress(p *job.Progress) {
	s.string(&p.Step)
	s.nullInt(&p.Rows)
	s.int(&p.Current.Done)
	s.int(&p.Current.Size)
	s.int(&p.Current.Speed)
	s.seconds(&p.Current.Left)
	s.int(&p.Total.Done)
	s.int(&p.Total.Speed)
	s.seconds(&p.Total.Left)
	s.float(&p.Percent)
	s.float(&p.Current.Percent)
	s.spent(&p.Spent)
}

// spent reads the steps; a job of an older Sluice has none.
func (s *rowScanner) spent(to *[]job.Spent) {
	var text string
	s.string(&text)
	if text == "" || s.err != nil {
		return
	}
	s.keep(json.Unmarshal([]byte(text), to))
}

func (s *rowScanner) seconds(to *time.Duration) {
	var n int64
	s.int(&n)
	*to = time.Duration(n) * time.Second
}

func (s *rowScanner) control(to *job.Control) {
	s.bool(&to.CancelRequested)
	s.bool(&to.PauseRequested)
	s.int(&to.Settings)
}

func (s *rowScanner) nullInt(to **int64) {
	col := s.next()
	null, err := s.r.IsNull(s.row, col)
	s.keep(err)
	if null || err != nil {
		return
	}
	v, err := s.r.GetInt(s.row, col)
	s.keep(err)
	*to = &v
}

func (s *rowScanner) time(to *time.Time) {
	var text string
	s.string(&text)
	if text == "" || s.err != nil {
		return
	}
	v, err := time.Parse(timeLayout, text)
	s.keep(err)
	*to = v
}

func (s *rowScanner) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

// seconds is what a duration is kept as, rounded up: 0 means that it is not known.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
