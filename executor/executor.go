// Package executor runs the statements that sqlext recognises, one file per
// kind of statement, for a client session of the proxy.
//
// # What it may assume and what it asks
//
// Nothing about the client's session is shadowed: the current database, the SQL
// mode, the time zone, whether a transaction is open and what the user may do
// are asked on the user's own connection (Session.Query) at the moment a
// statement arrives. Job rows are kept by executor/jobstore with the service
// account, so every Sluice in front of the same cluster sees the same jobs.
//
// # A job's life here
//
// Accepted (row exists, table reserved by a unique key) -> claimed by this
// process with a lease -> run by the Engine -> finished, failed or cancelled.
// A job runs in a goroutine that the Executor owns and waits for in Close;
// neither a client that goes away nor a panic ends the process.
package executor

import (
	"context"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Session is the client session on whose behalf a statement runs. The
// executor uses it only while Execute runs and from one goroutine at a time.
type Session interface {
	// Query runs sql (text protocol) on the user's own backend connection and
	// returns its result, or the cluster's error as *mysql.MyError.
	Query(ctx context.Context, sql string) (*mysql.Result, error)
	// ClientAddr is the client's host:port, for logs.
	ClientAddr() string
	// ConnectionID is the cluster's id of the user's connection, for logs.
	ConnectionID() uint64
}

// Value is one cell of a Result in text protocol form; nil is NULL, an empty
// non-nil Value is the empty string.
type Value []byte

// Column describes one column of a Result as it is sent in a
// Protocol::ColumnDefinition41 packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
type Column struct {
	// Name is the column's label.
	Name string
	// Type is one of mysql.MYSQL_TYPE_*.
	Type uint8
	// Charset is the collation id (63 = binary for numbers and times).
	Charset uint16
	// Length is the display length in bytes.
	Length uint32
	// Flags are mysql.*_FLAG bits.
	Flags uint16
	// Decimals is the number of digits after the decimal point.
	Decimals uint8
}

// Result is what a statement answers: a result set when Columns is not empty,
// otherwise an OK packet. The caller owns it.
type Result struct {
	// Columns is empty for an OK packet.
	Columns []Column
	// Rows holds len(Columns) values each.
	Rows [][]Value
	// AffectedRows, Warnings and Info are those of the OK packet.
	AffectedRows uint64
	Warnings     uint16
	Info         string
}

// ServiceAccount is the cluster user with which Sluice does its own work. It
// needs all privileges on the job schema, SELECT on information_schema and
// mysql, and for the core what an import needs. Never logged.
type ServiceAccount struct {
	User     string
	Password string
}

// Config is what an Executor is built from. The caller has validated it.
type Config struct {
	// Instance names this process among all Sluices of the cluster. It is
	// written as the owner into job rows, so it must be unique (for example
	// host:port) and should be stable across restarts.
	Instance string
	// Schema is where the job tables live; "" means "sluice".
	Schema string
	// ServiceAccount is used for job rows and by the core.
	ServiceAccount ServiceAccount
	// Backends are the SQL addresses (host:port) of the cluster's TiDB
	// servers; at least one. They are tried in turn.
	Backends []string
	// SortDir is the local directory for sorting, absolute.
	SortDir string
	// MemoryBudget is the import core's memory in bytes; 0 means the core's
	// default.
	MemoryBudget int64
	// Threads caps the THREAD option and is the base of its default (half of
	// it, at least 1); 0 means the number of CPUs.
	Threads int
	// Logger is required. Secrets never reach it.
	Logger *zap.Logger
	// Registerer takes the executor's metrics; nil means none are registered.
	Registerer prometheus.Registerer
}
