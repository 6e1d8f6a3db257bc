package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/sluicedb/sluice/server/wire"
)

// The script is free of what differs from run to run by nature: connection ids,
// times, statistics.

// scriptStatements is DDL, DML, transactions, errors and warnings.
func scriptStatements(c *rawClient, db string) {
	for _, sql := range []string{
		"drop database if exists " + db, "create database " + db, "use " + db,
		"create table t (id bigint primary key auto_increment, i int, u bigint unsigned, d decimal(20,4), f double, " +
			"s varchar(100), b varbinary(20), dt datetime(3), e enum('x','y'), j json, bt bit(5), unique key (i))",
		"insert into t (i, u, d, f, s, b, dt, e, j, bt) values (1, 18446744073709551615, -12.5, 1e300, 'hällo', x'00ff', " +
			"'2024-02-29 12:13:14.156', 'y', '{\"a\": [1, null]}', 5), (2, 0, 0, 0, '', '', null, null, null, null)",
		"insert into t (i) values (3), (4), (5)", "select * from t order by id", "select * from t where id < 0",
		"update t set s = concat(s, '!') where i < 3", "update t set s = 'same' where i = 99", "delete from t where i = 5",
		"select last_insert_id(), row_count(), found_rows()",
		"insert into t (i) values (1)", "select * from missing", "selec 1", "", ";", "select", "use missing_db",
		"select 1/0", "show warnings", "insert ignore into t (i, s) values (1, 'dup'), (7, 'new')", "show warnings",
		"begin", "insert into t (i) values (10)", "savepoint sp", "delete from t", "rollback to savepoint sp",
		"select count(*) from t", "commit", "start transaction read only", "select i from t where i = 10", "rollback",
		"set autocommit = 0", "select 1", "insert into t (i) values (11)", "rollback", "set autocommit = 1",
		"select 1; insert into t (i) values (20); select 2, 3; update t set s = 'm' where i = 20",
		"select 1; selec 2; select 3", "select 1; select * from missing; select 3",
		"set @x = 5; select @x; set @x = null; select @x",
		"alter table t add column extra int default 7", "create index k on t (s)", "explain select * from t where i = 1",
		// Not SHOW CREATE TABLE, whose AUTO_INCREMENT = depends on when TiDB reloads its schema.
		"show columns from t", "create view v as select i, s from t", "select * from v order by i", "drop view v",
		"set names gbk", "select s from t where i = 1", "set names latin1", "select 'x'", "set names utf8mb4",
		"set sql_mode = 'ANSI_QUOTES'", `select "id" from "t" where "id" = 1`, "set sql_mode = default",
		"prepare p from 'select ? + 1'", "set @a = 41", "execute p using @a", "deallocate prepare p",
		// Maybes: they make the proxy ask for the sql_mode first.
		"import into", "show import", "/*T![x] nonsense */ select 1", "restore point", "select 1; restore nonsense",
		"select 'a;import into t from b'", "EXPLAIN IMPORT",
	} {
		c.query(sql)
	}
}

// scriptResults is results and statements of unusual sizes.
func scriptResults(c *rawClient, _ string) {
	c.query("select " + strings.Repeat("null, ", 299) + "1")
	c.query("with recursive n as (select 1 as i union all select i + 1 from n where i < 900) " +
		"select a.i, b.i, repeat('r', a.i % 50), null from n a join n b on b.i <= 30 order by a.i, b.i")
	// Around the border of physical packets; from 16 MiB on a row starts with 0xfe.
	const border = wire.MaxPayload - 4 // the value whose row is exactly one full physical packet
	for _, n := range []int{border - 1, border, border + 1, wire.MaxPayload + 1} {
		c.query(fmt.Sprintf("select repeat('a', %d)", n))
	}
	c.query("select repeat('a', 16777216), 'b' union all select 'c', null order by 2 desc")
	for _, n := range []int{16 << 10, 64 << 10, 1 << 20, wire.MaxPayload - len("\x03select length('') as n"), 20 << 20} {
		c.query("select length('" + strings.Repeat("q", n) + "') as n")
	}
}

// scriptCommands is the commands besides queries and prepared statements.
func scriptCommands(c *rawClient, db string) {
	for _, payload := range []string{
		"\x0e", "\x02" + db, "\x02missing_db", "\x04t\x00", "\x04missing\x00", "\x1b\x01\x00", "\x1b\x00\x00", "\x1b\x09\x00",
		"\x0a", "\x0d", "\x05x", "\x63", "\x14", "\x07\x00",
	} {
		c.do(fmt.Sprintf("%s %q", wire.Command(payload[0]), payload[1:]), []byte(payload))
	}
	// COM_REFRESH with FLUSH PRIVILEGES is answered twice.
	c.send(0, []byte("\x07\x01"))
	c.readPackets(2)
	c.note("refresh privileges")
	// Two commands at once.
	two, _ := wire.AppendPacket(nil, []byte("\x03select 'first'"), 0)
	two, _ = wire.AppendPacket(two, []byte("\x03select 'second'"), 0)
	if _, err := c.conn.Write(two); err != nil {
		c.t.Fatal(err)
	}
	packets := 4 // of each: column count, column, row, end
	if !c.caps.Has(wire.ClientDeprecateEOF) {
		packets = 5
	}
	c.readPackets(2 * packets)
	c.note("two commands at once")
	c.query("set @before_reset = 1")
	c.do("reset", []byte{byte(wire.ComResetConnection)})
	c.query("select @before_reset, database()")
	c.do("change user", []byte("\x11root\x00\x00"+db+"\x00\x2e\x00mysql_native_password\x00"))
	c.query("select current_user(), database()")
	// What its number or its time of day makes differ is read, not compared.
	c.do("statistics", []byte{byte(wire.ComStatistics)})
	last := &c.record[len(c.record)-1]
	if !bytes.HasPrefix(last.head[wire.HeaderSize:], []byte("Uptime: ")) {
		c.t.Fatalf("statistics: %q", last.head)
	}
	*last = step{name: "statistics"}
}

// scriptPrepared is the binary protocol: parameters, cursors, long data.
func scriptPrepared(c *rawClient, db string) {
	const noCursor, cursor = "\x00\x01\x00\x00\x00", "\x01\x01\x00\x00\x00"
	number := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	c.query("use " + db)
	c.query("create table p (id bigint primary key, v longblob)")

	insert := c.prepare("insert into p values (?, ?)")
	const types = "\x01\x08\x00\xfe\x00" // bound: BIGINT, STRING
	for i := range 25 {
		c.statement(wire.ComStmtExecute, insert, noCursor+"\x00"+types+number(uint64(i))+"\x03abc")
	}
	c.statement(wire.ComStmtExecute, insert, noCursor+"\x02"+types+number(100)) // v is NULL
	c.statement(wire.ComStmtExecute, insert, noCursor+"\x00"+types+number(1)+"\x03dup")
	for _, part := range []string{"long ", strings.Repeat("l", 40<<10), " end"} {
		c.statement(wire.ComStmtSendLongData, insert, "\x01\x00"+part)
	}
	c.statement(wire.ComStmtExecute, insert, noCursor+"\x00"+types+number(200))
	c.statement(wire.ComStmtReset, insert, "")

	sel := c.prepare("select id, v, null, length(v) from p where id >= ? order by id")
	const one = "\x00\x01\x08\x00"
	c.statement(wire.ComStmtExecute, sel, noCursor+one+number(0))
	c.statement(wire.ComStmtExecute, sel, noCursor+one+number(1000))
	c.statement(wire.ComStmtExecute, sel, cursor+one+number(0))
	for _, rows := range []uint32{1, 10, 1000, 1} { // the last finds the cursor closed
		c.statement(wire.ComStmtFetch, sel, string(binary.LittleEndian.AppendUint32(nil, rows)))
	}
	c.statement(wire.ComStmtExecute, sel, cursor+one+number(0))
	c.statement(wire.ComStmtReset, sel, "")
	c.statement(wire.ComStmtFetch, sel, "\x01\x00\x00\x00")

	c.prepare("select 1")
	c.prepare("set @y = 1")
	c.prepare("selec ?")
	c.prepare("import into p from '/nowhere.csv'")
	c.statement(wire.ComStmtClose, sel, "")
	c.statement(wire.ComStmtExecute, sel, noCursor+one+number(0))
	c.statement(wire.ComStmtReset, 4711, "")
	c.query("select id, length(v) from p order by id")
}

// scriptLoadData is LOAD DATA LOCAL with the file sub-protocol.
func scriptLoadData(c *rawClient, _ string) {
	const load = "load data local infile 'some/file' into table l fields terminated by ',' (a, b)"
	c.query("create table l (a bigint primary key, b varchar(1000))")
	c.query(load, []byte("1,one\n2,two\n3,"), []byte("three\n"))
	c.query(load, []byte("\x03select 1,\n"), []byte("\x01"), []byte("\x0e\n")) // looks like commands
	c.query(load)                                                              // an empty file
	var big bytes.Buffer
	for i := 10; big.Len() < 2<<20; i++ {
		fmt.Fprintf(&big, "%d,%s\n", i, strings.Repeat("x", i%900))
	}
	c.query(load, big.Bytes())
	c.query(load, []byte("1,dup\nnonsense\n"))
	c.query("show warnings")
	c.query("load data local infile 'f' into table missing", []byte("1\n"))
	c.query("select count(*), sum(a), sum(length(b)) from l")
	c.query("select 1; " + load + "; select 2")
	c.do("ping after files", []byte{byte(wire.ComPing)})
}
