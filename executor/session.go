package executor

import (
	"context"
	"encoding/hex"
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
	return parsermysql.GetSQLMode(text)
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

	user        string            // USER(): user@host of the client
	foreignKeys bool              // foreign_key_checks
	sysVars     map[string]string // expressionVars
}

// expressionVars are the variables that the value of an expression can depend
// on, beside sql_mode, time_zone and the clock.
var expressionVars = []string{"div_precision_increment", "default_week_format", "block_encryption_mode", "max_allowed_packet"}

func askSession(ctx context.Context, s Session) (*sessionState, error) {
	// In hexadecimal what may hold any character: results come in the session's
	// character_set_results.
	r, err := s.Query(ctx, "SELECT HEX(DATABASE()), HEX(CURRENT_USER()), HEX(USER()), @@sql_mode, @@time_zone, @@system_time_zone, "+
		"@@tidb_snapshot, @@character_set_client, @@tidb_current_ts, @@foreign_key_checks, @@"+strings.Join(expressionVars, ", @@"))
	if err != nil {
		return nil, err
	}
	const fixed = 10
	texts := make([]string, fixed+len(expressionVars))
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
		db: texts[0], account: texts[1], user: texts[2], snapshot: texts[6], charset: strings.ToLower(texts[7]),
		inTxn:       r.Status&mysql.SERVER_STATUS_IN_TRANS != 0 || texts[8] != "0",
		foreignKeys: texts[9] != "0" && !strings.EqualFold(texts[9], "OFF"), sysVars: make(map[string]string),
	}
	for i, name := range expressionVars {
		state.sysVars[name] = texts[fixed+i]
	}
	if state.sqlMode, err = parsermysql.GetSQLMode(texts[3]); err != nil {
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
