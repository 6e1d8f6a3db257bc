package sqlconn

import (
	"strings"

	"github.com/sluicedb/sluice/importcore/fault"
)

// awayCodes are TiDB's and MySQL's numbers of errors that say nothing about the statement: a
// part of the cluster is away or overloaded, another transaction was in the way, or somebody
// has ended the session. See TiDB's error code manual page.
var awayCodes = map[uint16]bool{
	1040: true,                                     // too many connections
	1053: true,                                     // the server shuts down
	1158: true, 1159: true, 1160: true, 1161: true, // network errors
	1205: true, 1213: true, // lock wait timeout, deadlock
	1317: true,             // interrupted: KILL
	8005: true,             // write conflict
	8022: true, 8027: true, // the transaction or the schema is to be tried anew
	8028: true,                                     // the schema has changed
	9001: true,                                     // PD doesn't answer
	9002: true, 9003: true, 9004: true, 9005: true, // TiKV doesn't answer, is busy, locks, regions
	9007: true,                                     // write conflict
	9010: true, 9011: true, 9012: true, 9013: true, // TiFlash, TiKV is busy
}

// awayTexts are parts of errors that TiDB answers without a number of their own (1105).
var awayTexts = []string{
	"rpc error: code = Unavailable", "rpc error: code = DeadlineExceeded", "rpc error: code = Canceled", "connection refused",
	"connection reset", "broken pipe", "context deadline exceeded", "PD server timeout", "[PD:", "no available connections",
	"etcdserver: ", "not leader", "TiKV server timeout", "Region is unavailable", "error reading from server: EOF",
}

// markAnswered marks an error that a server has answered as one that may not come again, see fault.IsRetryable.
func markAnswered(err error, code uint16) error {
	if awayCodes[code] {
		return fault.Retryable(err)
	}
	if code == 1105 {
		for _, text := range awayTexts {
			if strings.Contains(err.Error(), text) {
				return fault.Retryable(err)
			}
		}
	}
	return err
}
