package logical

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/sluicedb/sluice/importcore/cluster/sqlconn"
	"github.com/sluicedb/sluice/importcore/fault"
)

// Kind is what a server is.
type Kind uint8

// The kinds.
const (
	MySQL Kind = iota
	MariaDB
	TiDB
)

// String returns the product's name.
func (k Kind) String() string {
	switch k {
	case MariaDB:
		return "MariaDB"
	case TiDB:
		return "TiDB"
	default:
		return "MySQL"
	}
}

// DefaultPatience is how long a batch is tried again when the server is away, fails over or is in the way of others.
const DefaultPatience = 5 * time.Minute

// idleTimeout is how long, in seconds, a session may be silent before the server ends it: a transaction whose process was
// stopped, or whose network is gone, must not keep its locks from whoever goes on.
const idleTimeout = 60

// Params say how to connect and what sessions are like.
type Params struct {
	// Addrs are host:port or the path of a socket, tried in turn.
	Addrs []string
	// User and Password are the account's. It needs INSERT on the tables (with replace DELETE too), and on the schema sluice what makes tables there.
	User, Password string
	// Session is what values mean.
	Session Session
	// Connections is the highest number at a time; 0 means MaxLanes + 1.
	Connections int
	// Patience is how long a batch is tried again; 0 means DefaultPatience.
	Patience time.Duration
}

// Session is what the session of a statement would be like.
type Session struct {
	// SQLMode is how strict values are taken.
	SQLMode mysql.SQLMode
	// TimeZone is what TIMESTAMP values are written in; nil means UTC.
	TimeZone *time.Location
	// Now is NOW() for the whole job; zero leaves the server's clock.
	Now time.Time
	// IgnoreForeignKeys is foreign_key_checks = 0.
	IgnoreForeignKeys bool
	// Vars are further variables to set, by name. Only those that the server has are sent.
	Vars map[string]string
}

// Target is a server. It is safe for concurrent use.
type Target struct {
	pool      *sqlconn.Pool
	kind      Kind
	version   string
	maxPacket int // bytes
	patience  time.Duration
}

// Open connects and looks at what the server is. The caller closes the target.
func Open(ctx context.Context, p Params) (*Target, error) {
	if p.Connections <= 0 {
		p.Connections = MaxLanes + 1
	}
	if p.Patience <= 0 {
		p.Patience = DefaultPatience
	}
	t := &Target{patience: p.Patience}
	vars, err := t.look(ctx, p)
	if err != nil {
		return nil, err
	}
	p.Session.Vars = vars
	setup, err := p.Session.statements(t.kind)
	if err != nil {
		return nil, err
	}
	t.pool = sqlconn.New(sqlconn.Config{Addrs: p.Addrs, User: p.User, Password: p.Password, Setup: setup, Sessions: p.Connections})
	// Sets what the session's settings are before anything depends on them.
	if err := t.pool.Use(ctx, func(*sqlconn.Session) error { return nil }); err != nil {
		t.Close()
		return nil, settingError(err)
	}
	return t, nil
}

// look asks what kind of server there is, with a session of its own: how to set one up depends on it. It returns the
// variables that can be set there.
func (t *Target) look(ctx context.Context, p Params) (vars map[string]string, err error) {
	pool := sqlconn.New(sqlconn.Config{Addrs: p.Addrs, User: p.User, Password: p.Password})
	defer func() { _ = pool.Close() }()
	err = pool.Use(ctx, func(s *sqlconn.Session) error {
		server, err := sqlconn.Identify(s)
		if err != nil {
			return err
		}
		t.version = server.Version
		res, err := s.Exec("SELECT @@max_allowed_packet")
		if err != nil {
			return fmt.Errorf("look at the server: %w", err)
		}
		var packet string
		if err := scan(res, 0, &packet); err != nil {
			return err
		}
		switch {
		case server.TiDB:
			t.kind = TiDB
		case strings.Contains(t.version, "MariaDB"):
			t.kind = MariaDB
		}
		if _, err := fmt.Sscan(packet, &t.maxPacket); err != nil || t.maxPacket < 1024 {
			return fault.New(fault.Cluster, 0, "the server's max_allowed_packet is %q", packet)
		}
		vars, err = known(s, p.Session.Vars)
		return err
	})
	return vars, err
}

// known returns those variables that the server has: MariaDB has no block_encryption_mode before 11.2, others none of TiDB's.
func known(s *sqlconn.Session, vars map[string]string) (map[string]string, error) {
	there := map[string]string{}
	for _, name := range sortedKeys(vars) {
		res, err := s.Exec("SHOW SESSION VARIABLES WHERE variable_name = " + quote(name))
		if err != nil {
			return nil, err
		}
		if res.RowNumber() > 0 {
			there[name] = vars[name]
		}
	}
	return there, nil
}

// settingError explains an error of a new session's statements.
func settingError(err error) error {
	switch sqlconn.Code(err) {
	case 1298:
		return fault.Wrap(err, fault.User, 1298, "the server doesn't know the time zone; MySQL and MariaDB know names only when their tables of time zones are filled")
	case 0:
		return err
	}
	return fault.Wrap(err, fault.Cluster, sqlconn.Code(err), "the server doesn't take the session's settings")
}

// Close closes the connections.
func (t *Target) Close() { _ = t.pool.Close() }

// Kind tells what the server is.
func (t *Target) Kind() Kind { return t.kind }

// Version is what VERSION() gives.
func (t *Target) Version() string { return t.version }

// Collations returns the names of the collations that the server has, in lower case.
func (t *Target) Collations(ctx context.Context) (map[string]bool, error) {
	have := map[string]bool{}
	err := t.pool.Use(ctx, func(s *sqlconn.Session) error {
		res, err := s.Exec("SHOW COLLATION")
		if err != nil {
			return err
		}
		for i := range res.RowNumber() {
			name, err := res.GetString(i, 0)
			if err != nil {
				return err
			}
			have[strings.ToLower(name)] = true
		}
		return nil
	})
	return have, err
}

// Engines returns the names of the storage engines that the server has, in lower case, whether each has transactions, and which one is the default.
func (t *Target) Engines(ctx context.Context) (have map[string]bool, def string, err error) {
	err = t.pool.Use(ctx, func(s *sqlconn.Session) error {
		have, def = map[string]bool{}, ""
		res, err := s.Exec("SELECT engine, support, COALESCE(transactions, '') FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')")
		if err != nil {
			return err
		}
		for i := range res.RowNumber() {
			var name, support, transactions string
			if err := scan(res, i, &name, &support, &transactions); err != nil {
				return err
			}
			have[strings.ToLower(name)] = strings.EqualFold(transactions, "YES")
			if support == "DEFAULT" {
				def = strings.Clone(name)
			}
		}
		return nil
	})
	return have, def, err
}

// Exec runs a statement, such as one that makes a table, once. What it has done after an error of the connection is unknown.
func (t *Target) Exec(ctx context.Context, sql string) error {
	return t.pool.Use(ctx, func(s *sqlconn.Session) error {
		_, err := s.Exec(sql)
		return err
	})
}

// modes are those that matter to the values of an INSERT, and that all servers know. Others are left out: ANSI_QUOTES
// and NO_BACKSLASH_ESCAPES are about how statements are written, and MySQL 8 refuses NO_AUTO_CREATE_USER.
var modes = []struct {
	flag mysql.SQLMode
	name string
}{
	{mysql.ModeStrictTransTables, "STRICT_TRANS_TABLES"},
	{mysql.ModeStrictAllTables, "STRICT_ALL_TABLES"},
	{mysql.ModeNoZeroDate, "NO_ZERO_DATE"},
	{mysql.ModeNoZeroInDate, "NO_ZERO_IN_DATE"},
	{mysql.ModeAllowInvalidDates, "ALLOW_INVALID_DATES"},
	{mysql.ModeErrorForDivisionByZero, "ERROR_FOR_DIVISION_BY_ZERO"},
	{mysql.ModeNoAutoValueOnZero, "NO_AUTO_VALUE_ON_ZERO"},
	{mysql.ModeNoUnsignedSubtraction, "NO_UNSIGNED_SUBTRACTION"},
	{mysql.ModePadCharToFullLength, "PAD_CHAR_TO_FULL_LENGTH"},
	{mysql.ModePipesAsConcat, "PIPES_AS_CONCAT"},
	{mysql.ModeHighNotPrecedence, "HIGH_NOT_PRECEDENCE"},
}

// statements are what makes a new session the one that is asked for. Settings of the server that would hurt are set back:
// autocommit = 0 would keep single statements uncommitted, a limit of a statement's time would end a batch that waits.
func (s Session) statements(kind Kind) ([]string, error) {
	var names []string
	for _, m := range modes {
		if s.SQLMode&m.flag != 0 {
			names = append(names, m.name)
		}
	}
	zone, err := zoneName(s.TimeZone)
	if err != nil {
		return nil, err
	}
	checks := 1
	if s.IgnoreForeignKeys {
		checks = 0
	}
	set := []string{
		"SET NAMES utf8mb4",
		"SET SESSION autocommit = 1, sql_mode = " + quote(strings.Join(names, ",")) + ", time_zone = " + quote(zone) +
			fmt.Sprintf(", foreign_key_checks = %d, wait_timeout = %d", checks, idleTimeout),
	}
	if !s.Now.IsZero() {
		set = append(set, fmt.Sprintf("SET SESSION timestamp = %d.%06d", s.Now.Unix(), s.Now.Nanosecond()/1000))
	}
	switch kind {
	case TiDB:
		// A row that collides has to be known at its INSERT; with the other setting COMMIT tells.
		set = append(set, "SET SESSION tidb_constraint_check_in_place_pessimistic = 1, allow_auto_random_explicit_insert = 1")
	case MariaDB:
		set = append(set, "SET SESSION max_statement_time = 0")
	}
	if kind != TiDB { // or values could be changed without a word
		set = append(set, "SET SESSION sql_notes = 1, max_error_count = 64")
	}
	for _, name := range sortedKeys(s.Vars) {
		value := quote(s.Vars[name])
		if number.MatchString(s.Vars[name]) { // variables that are numbers take no strings
			value = s.Vars[name]
		}
		set = append(set, "SET SESSION "+sqlconn.QuoteName(name)+" = "+value)
	}
	return set, nil
}

var number = regexp.MustCompile(`^-?[0-9]+$`)

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// zoneName is a location as time_zone takes it.
func zoneName(l *time.Location) (string, error) {
	if l == nil || l == time.UTC || l.String() == "UTC" {
		return "+00:00", nil
	}
	name := l.String()
	if name == "Local" {
		return "", fault.New(fault.Sluice, 0, "the time zone of this machine has no name that a server knows")
	}
	if _, err := time.LoadLocation(name); err == nil && name != "" {
		return name, nil
	}
	// A fixed offset.
	_, seconds := time.Unix(0, 0).In(l).Zone()
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	return fmt.Sprintf("%c%02d:%02d", sign, seconds/3600, seconds/60%60), nil
}
