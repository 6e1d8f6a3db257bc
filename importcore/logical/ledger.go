package logical

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Schema is where the ledger's tables are, on the server that the rows go to.
const Schema = "sluice"

// ledgerDDL makes the ledger's tables. The engine is named because the server's default may have no transactions.
var ledgerDDL = []string{
	"CREATE DATABASE IF NOT EXISTS `" + Schema + "`",
	"CREATE TABLE IF NOT EXISTS " + laneTable + ` (
  job varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_schema varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  table_name varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  lane int NOT NULL,
  term bigint NOT NULL,
  seq bigint NOT NULL,
  state longtext CHARACTER SET utf8mb4 NOT NULL,
  create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (job, table_schema, table_name, lane)
) ENGINE = InnoDB`,
	"CREATE TABLE IF NOT EXISTS " + rejectTable + ` (
  job varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_schema varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  table_name varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  file int NOT NULL,
  row_number_in_file bigint NOT NULL,
  record longtext CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (job, table_schema, table_name, file, row_number_in_file)
) ENGINE = InnoDB`,
}

const (
	laneTable   = "`" + Schema + "`.logical_ledger"
	rejectTable = "`" + Schema + "`.logical_rejects"
)

// ledger is the rows of one job and table.
type ledger struct {
	pool  *sqlconn.Pool
	where string // WHERE clause of the job's and table's rows
	key   string // their values: job, table_schema, table_name
	basis string
	term  int64
}

func newLedger(pool *sqlconn.Pool, task *Task) *ledger {
	job, db, table := quote(task.Job), quote(task.Table.DB), quote(task.Table.Name)
	return &ledger{
		pool: pool, basis: task.Basis,
		where: " WHERE job = " + job + " AND table_schema = " + db + " AND table_name = " + table,
		key:   job + ", " + db + ", " + table,
	}
}

// laneRow is one row of the ledger.
type laneRow struct {
	lane      int
	term, seq int64
	state     laneState
}

// prepare makes the tables where they aren't.
func (l *ledger) prepare(ctx context.Context) error {
	return l.pool.Use(ctx, func(s *sqlconn.Session) error {
		// The account may have no right to make what is there already.
		if _, err := s.Exec("SELECT 1 FROM " + laneTable + ", " + rejectTable + " LIMIT 0"); err == nil || isPassing(err) {
			return err
		}
		for _, sql := range ledgerDDL {
			if _, err := s.Exec(sql); err != nil {
				if isPassing(err) && sqlconn.Code(err) != codeReadOnly {
					return err
				}
				return fault.Wrap(err, fault.User, sqlconn.Code(err), "make the ledger's tables in the schema %s of the server that the rows go to", Schema)
			}
		}
		return nil
	})
}

// claim takes the ledger over: from now on no transaction of an earlier claim can be committed, and those that were under
// way have ended, because each locks its lane's row. There are rows for at least so many lanes then.
func (l *ledger) claim(ctx context.Context, lanes int, begun bool) ([]laneRow, error) {
	var rows []laneRow
	err := l.pool.Transact(ctx, func(s *sqlconn.Session) (err error) {
		if rows, err = l.read(s, ""); err != nil {
			return err
		}
		if begun && len(rows) == 0 {
			return errGone
		}
		l.term = 1
		for _, r := range rows {
			l.term = max(l.term, r.term+1)
		}
		if len(rows) > 0 {
			if _, err = s.Exec("UPDATE " + laneTable + " SET term = " + strconv.FormatInt(l.term, 10) + l.where); err != nil {
				return err
			}
			if rows[0].state.Complete {
				return nil
			}
		}
		for n := len(rows); n < lanes; n++ {
			r := laneRow{lane: n, state: laneState{Version: stateVersion, Basis: l.basis}}
			if _, err = s.Exec(fmt.Sprintf("INSERT INTO %s (job, table_schema, table_name, lane, term, seq, state) VALUES (%s, %d, %d, 0, %s)",
				laneTable, l.key, n, l.term, quote(r.state.encode()))); err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return nil
	})
	if sqlconn.Code(err) == codeDuplicate { // another process claims for the first time
		err = fault.Retryable(err)
	}
	return rows, err
}

// read returns the rows that the condition selects, in order, and locks them.
func (l *ledger) read(s *sqlconn.Session, condition string) ([]laneRow, error) {
	res, err := s.Exec("SELECT lane, term, seq, state FROM " + laneTable + l.where + condition + " ORDER BY lane FOR UPDATE")
	if err != nil {
		return nil, err
	}
	var rows []laneRow
	for i := range res.RowNumber() {
		lane, err1 := res.GetInt(i, 0)
		term, err2 := res.GetInt(i, 1)
		seq, err3 := res.GetInt(i, 2)
		text, err4 := res.GetString(i, 3)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		state, err := decodeState([]byte(text), l.basis)
		if err != nil {
			return nil, err
		}
		rows = append(rows, laneRow{lane: int(lane), term: term, seq: seq, state: state})
	}
	return rows, nil
}

// advance writes a lane's next state, if its row is still what the lane has left.
func (l *ledger) advance(s *sqlconn.Session, was laneRow, next string) error {
	res, err := s.Exec(fmt.Sprintf("UPDATE %s SET seq = %d, state = %s%s AND lane = %d AND term = %d AND seq = %d",
		laneTable, was.seq+1, quote(next), l.where, was.lane, l.term, was.seq))
	if err != nil {
		return err
	}
	if res.AffectedRows == 1 {
		return nil
	}
	_, err = l.look(s, was)
	if err == nil {
		err = errMoved // it is as it was, and yet wasn't found
	}
	return err
}

// look reads a lane's row under its lock: a transaction that is being committed has ended then. in tells that the one after
// was has been committed; the row is what that has left.
func (l *ledger) look(s *sqlconn.Session, was laneRow) (in *laneRow, err error) {
	rows, err := l.read(s, fmt.Sprintf(" AND lane = %d", was.lane))
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errGone
	case rows[0].term > l.term:
		return nil, ErrFenced
	case rows[0].term < l.term:
		return nil, errMoved
	case rows[0].seq == was.seq:
		return nil, nil
	case rows[0].seq == was.seq+1:
		return &rows[0], nil
	default:
		return nil, errMoved
	}
}

// complete notes that all rows are in, in place of all lanes' states. It may be called again.
func (l *ledger) complete(ctx context.Context, last place) (Counts, error) {
	var done laneState
	err := l.pool.Transact(ctx, func(s *sqlconn.Session) error {
		rows, err := l.read(s, "")
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return errGone
		}
		states := make([]laneState, 0, len(rows))
		for _, r := range rows {
			if r.term != l.term {
				return ErrFenced
			}
			states = append(states, r.state)
		}
		if rows[0].state.Complete {
			done = rows[0].state
			return nil
		}
		done = laneState{Version: stateVersion, Basis: l.basis, Floor: last, Counts: merge(states).counts, Complete: true}
		if _, err := s.Exec("DELETE FROM " + laneTable + l.where + " AND lane > 0"); err != nil {
			return err
		}
		return l.advance(s, rows[0], done.encode())
	})
	return done.Counts, err
}

// addRejects notes rows that the present transaction leaves out.
func (l *ledger) addRejects(s *sqlconn.Session, rejects []reject) error {
	for _, r := range rejects {
		record, err := json.Marshal(r.record)
		if err != nil {
			return err
		}
		if _, err := s.Exec(fmt.Sprintf("INSERT INTO %s (job, table_schema, table_name, file, row_number_in_file, record) VALUES (%s, %d, %d, %s)",
			rejectTable, l.key, r.file, r.row, quote(string(record)))); err != nil {
			return err
		}
	}
	return nil
}
