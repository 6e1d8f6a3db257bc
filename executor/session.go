package executor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	parsermysql "github.com/pingcap/tidb/pkg/parser/mysql"
)

// SessionSQLMode asks for the mode under which a text of this session has to be
// parsed (see sqlext.Parse).
func SessionSQLMode(ctx context.Context, s Session) (parsermysql.SQLMode, error) {
	r, err := s.Query(ctx, "SELECT @@sql_mode")
	if err != nil {
		return 0, err
	}
	text, err := r.GetString(0, 0)
	if err != nil {
		return 0, fmt.Errorf("read sql_mode: %w", err)
	}
	return sqlMode(text)
}

// sqlMode reads what @@sql_mode gives. Modes that TiDB doesn't have, and MySQL or MariaDB do, say nothing here.
func sqlMode(text string) (mode parsermysql.SQLMode, err error) {
	for _, name := range strings.Split(text, ",") {
		if m, err := parsermysql.GetSQLMode(strings.TrimSpace(name)); err == nil {
			mode |= m
		}
	}
	return mode, nil
}

// sessionState is what a statement needs to know of the user's session. It is
// asked for each statement and never kept.
type sessionState struct {
	db       string // "" = none
	account  string // user@host of the account, not of the client
	sqlMode  parsermysql.SQLMode
	timeZone *time.Location
	snapshot string
	charset  string // character_set_client
	inTxn    bool
	// server is the VERSION() of a server that isn't TiDB, "" for TiDB.
	server string

	user        string            // USER(): user@host of the client
	foreignKeys bool              // foreign_key_checks
	sysVars     map[string]string // expressionVars
}

// expressionVars are the variables that the value of an expression can depend
// on, beside sql_mode, time_zone and the clock.
var expressionVars = []string{"div_precision_increment", "default_week_format", "block_encryption_mode", "max_allowed_packet"}

// sessionQuery asks for what servers other than TiDB have too.
const sessionQuery = "SELECT HEX(DATABASE()), HEX(CURRENT_USER()), HEX(USER()), @@sql_mode, @@time_zone, @@system_time_zone, " +
	"@@character_set_client, @@foreign_key_checks"

// askVars asks a server that isn't TiDB for those of the variables that it has.
func (st *sessionState) askVars(ctx context.Context, s Session) error {
	r, err := s.Query(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('"+strings.Join(expressionVars, "', '")+"')")
	if err != nil {
		return err
	}
	for i := range r.RowNumber() {
		name, err1 := r.GetString(i, 0)
		value, err2 := r.GetString(i, 1)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("read session state: %w", err)
		}
		st.sysVars[strings.Clone(name)] = strings.Clone(value)
	}
	return nil
}

func askSession(ctx context.Context, s Session) (*sessionState, error) {
	// In hexadecimal what may hold any character: results come in the session's
	// character_set_results.
	vars := expressionVars
	r, err := s.Query(ctx, sessionQuery+", @@tidb_snapshot, @@tidb_current_ts, @@"+strings.Join(vars, ", @@"))
	if my := (*mysql.MyError)(nil); errors.As(err, &my) && my.Code == mysql.ER_UNKNOWN_SYSTEM_VARIABLE {
		vars = nil
		r, err = s.Query(ctx, sessionQuery+", '', '0', VERSION()")
	}
	if err != nil {
		return nil, err
	}
	const fixed = 10
	texts := make([]string, r.ColumnNumber())
	for i := range texts {
		if texts[i], err = r.GetString(0, i); err != nil {
			return nil, fmt.Errorf("read session state: %w", err)
		}
		texts[i] = strings.Clone(texts[i])
	}
	for i := range 3 {
		text, err := hex.DecodeString(texts[i])
		if err != nil {
			return nil, fmt.Errorf("read session state: %w", err)
		}
		texts[i] = string(text)
	}
	state := &sessionState{
		db: texts[0], account: texts[1], user: texts[2], charset: strings.ToLower(texts[6]), snapshot: texts[8],
		inTxn:       r.Status&mysql.SERVER_STATUS_IN_TRANS != 0 || texts[9] != "0",
		foreignKeys: texts[7] != "0" && !strings.EqualFold(texts[7], "OFF"), sysVars: make(map[string]string),
	}
	for i, name := range vars {
		state.sysVars[name] = texts[fixed+i]
	}
	if vars == nil {
		state.server = texts[fixed]
		if err := state.askVars(ctx, s); err != nil {
			return nil, err
		}
	}
	if state.sqlMode, err = sqlMode(texts[3]); err != nil {
		return nil, fmt.Errorf("read session state: %w", err)
	}
	if state.timeZone, err = parseTimeZone(texts[4], texts[5]); err != nil {
		return nil, err
	}
	return state, nil
}

// parseTimeZone reads the forms that @@time_zone has: SYSTEM, an offset such as
// -03:30, or a name of the IANA database.
func parseTimeZone(zone, system string) (*time.Location, error) {
	if strings.EqualFold(zone, "SYSTEM") {
		zone = system
	}
	if zone == "" {
		return time.UTC, nil
	}
	if zone[0] == '+' || zone[0] == '-' {
		// TiDB also takes one-digit hours.
		var hours, minutes int
		if n, err := fmt.Sscanf(zone[1:], "%d:%d", &hours, &minutes); err != nil || n != 2 || hours > 14 || minutes > 59 {
			return nil, unknownError("unknown time zone %q", zone)
		}
		offset := (hours*60 + minutes) * 60
		if zone[0] == '-' {
			offset = -offset
		}
		return time.FixedZone(zone, offset), nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil || strings.EqualFold(zone, "Local") {
		return nil, unknownError("unknown time zone %q", zone)
	}
	return location, nil
}
