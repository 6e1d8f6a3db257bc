// Package tidb runs TiDB's own server in this process, against a cluster that
// is reached over PD's and TiKV's network protocols (the tikv:// driver, never
// the in-memory store).
//
// TiDB keeps its configuration, metrics and DDL owner in package variables, so
// one process can hold one server. Tests that want several clusters start
// several processes (see package playground).
//
// Layout: server.go starts and stops the parts in TiDB's own order, config.go
// fills its global configuration, doors.go has the ports that clients know.
package tidb
