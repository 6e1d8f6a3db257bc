package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicedb/sluice/tests/sqlrows"
)

// warmUps are the rows of jobs that run before, as parts of the watched ones': from them Sluice learns what the
// steps take in this cluster.
var warmUps = []float64{0.1, 0.4, 1}

// scenario is a way of a job.
type scenario struct {
	name string
	// disturb is called once the job has come to a percentage.
	at      int64
	disturb func(ctx context.Context, b *bench, w *watched) error
}

var scenarios = []scenario{
	{name: "run through"},
	{name: "paused for 10 s and resumed", at: 35, disturb: pauseAndResume},
	{name: "kill -9 of its Sluice, taken over", at: 35, disturb: killAndLeave},
}

// look is how often a job is looked at.
const look = 500 * time.Millisecond

// sample is what SHOW IMPORT JOB said at a moment.
type sample struct {
	at      time.Duration // since the job began
	percent int64
	left    time.Duration // 0 if it said nothing
	step    string
	status  string
	term    int64 // counts the owners
}

// watched is a job with all that it said.
type watched struct {
	scenario
	job     string
	began   time.Time
	samples []sample
	end     time.Duration
	// idle is when the job stood still, for which no expectation accounts.
	idle [2]time.Duration
	// term is that of the owner until then, killed tells what became of it.
	term   int64
	killed bool
}

// warmUp runs a job that nobody watches.
func (b *bench) warmUp(ctx context.Context, i int) error {
	path, err := b.source(int(warmUps[i] * float64(b.opts.rows)))
	if err != nil {
		return err
	}
	return b.withTable(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, fmt.Sprintf(fill, path))
		return err
	})
}

// withTable calls f with connections through the second Sluice and an empty table.
func (b *bench) withTable(ctx context.Context, f func(db *sql.DB) error) (err error) {
	db, err := b.sluices[1].Open("root", "", "test")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, stmt := range []string{"DROP TABLE IF EXISTS watched", schema} {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return f(db)
}

// watch runs a job by the first Sluice and looks at it through the second one.
func (b *bench) watch(ctx context.Context, s scenario) (*watched, error) {
	path, err := b.source(b.opts.rows)
	if err != nil {
		return nil, err
	}
	w := &watched{scenario: s}
	owner, err := b.sluices[0].Open("root", "", "test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = owner.Close() }() // its Sluice may be dead
	err = b.withTable(ctx, func(db *sql.DB) error {
		b.hold()
		row, err := show(ctx, owner, fmt.Sprintf(fill+", detached, max_write_speed='%s'", path, b.opts.speed))
		if err != nil {
			return err
		}
		w.job, w.began = row["Job_ID"], time.Now()
		return w.follow(ctx, b, db)
	})
	return w, err
}

// follow looks at the job until it has ended.
func (w *watched) follow(ctx context.Context, b *bench, db *sql.DB) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		row, err := show(ctx, db, "SHOW IMPORT JOB "+w.job)
		if err != nil {
			return err
		}
		s, err := w.sampleOf(row)
		if err == nil {
			err = db.QueryRowContext(ctx, "SELECT term FROM sluice.jobs WHERE id = "+w.job).Scan(&s.term)
		}
		if err != nil {
			return err
		}
		w.samples = append(w.samples, s)
		switch {
		case s.status == "finished":
			w.end = s.at
			return nil
		case s.status == "failed" || s.status == "cancelled":
			return fmt.Errorf("job %s has %s: %s", w.job, s.status, row["Result_Message"])
		case w.disturb != nil && w.idle[0] == 0 && s.percent >= w.at:
			w.term = s.term
			if err := w.disturb(ctx, b, w); err != nil {
				return err
			}
		case w.idle[0] > 0 && w.idle[1] == 0 && s.status == "running" && s.term > w.term:
			w.idle[1] = s.at
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *watched) sampleOf(row map[string]string) (s sample, err error) {
	s = sample{at: time.Since(w.began), step: row["Cur_Step"], status: row["Status"]}
	if s.percent, err = strconv.ParseInt(row["Progress_Pct"], 10, 64); err != nil {
		return s, err
	}
	if eta := row["ETA"]; eta != "" {
		var h, m, sec int
		if _, err := fmt.Sscanf(eta, "%d:%d:%d", &h, &m, &sec); err != nil {
			return s, fmt.Errorf("ETA %q: %w", eta, err)
		}
		s.left = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second
	}
	return s, nil
}

// pauseAndResume leaves the job alone for a while.
func pauseAndResume(ctx context.Context, b *bench, w *watched) error {
	db, err := b.sluices[1].Open("root", "", "test")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	w.idle[0] = time.Since(w.began)
	if _, err := db.ExecContext(ctx, "PAUSE IMPORT JOB "+w.job); err != nil {
		return err
	}
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err = db.ExecContext(ctx, "RESUME IMPORT JOB "+w.job)
	return err
}

// killAndLeave kills the owner for good; the other Sluice is on the same machine and sees that.
func killAndLeave(_ context.Context, b *bench, w *watched) error {
	w.idle[0], w.killed = time.Since(w.began), true
	b.killed = true
	b.sluices[0].Kill()
	return nil
}

// show returns the only row of a result by column name; NULL is "".
func show(ctx context.Context, db *sql.DB, stmt string) (map[string]string, error) {
	columns, cells, err := sqlrows.Cells(ctx, db, stmt)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", strings.Fields(stmt)[0], err)
	case len(cells) != 1:
		return nil, fmt.Errorf("%s: %d rows, not one", stmt, len(cells))
	}
	row := map[string]string{}
	for i, c := range columns {
		row[c] = cells[0][i].String
	}
	return row, nil
}
