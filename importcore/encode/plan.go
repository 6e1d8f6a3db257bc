// Package encode turns rows of fields into the key-value pairs that TiDB 8.5
// would write for an INSERT of the same values: one record in row format
// version 2 and one entry per index, byte for byte.
//
// # How a row goes through
//
// Compile looks at the table once and decides everything that is the same for
// all rows: which parser a column needs, the order of column ids in the record,
// key prefixes, how each index column is keyed, what columns without a field
// get. The Plan is immutable and shared; each worker has an Encoder with its
// buffers.
//
//	field bytes --parse--> cell --append--> record value (arena)
//	                         \----append--> index keys and values (arena)
//
// A cell is the smallest form that both the record and the index entries can be
// written from: a 64-bit number or a byte range (see cell.go). There is no
// datum per cell. The parsers in number.go, temporal.go and text.go accept only
// the plain, common spellings of a value, for which TiDB's result is certain
// and without warning; they answer "not me" to anything else, and that cell
// alone goes through TiDB's own conversion (slow.go), which also decides about
// truncation, warnings and errors as the SQL mode says.
//
// # Layout written
//
//	record key    keyspace 't' tableID '_' 'r' handle
//	record value  128 flags #notNull #null ids... offsets... data...   (row.go)
//	index key     keyspace 't' tableID '_' 'i' indexID parts... [handle]
//	index value   see index.go
//
// tableID is that of the row's partition if the table has partitions; see
// partition.go, and partition_locate.go for how it is found.
//
// Integers in keys are big-endian with the sign bit flipped.
package encode

import (
	"time"

	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/util/collate"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/table"
)

// Config is what a Plan is compiled from. Nothing of it may change afterwards.
type Config struct {
	// Target is the table; its CheckEncodable decides what Compile refuses.
	Target *table.Target
	// Mapping assigns the fields of a row to columns of Target.
	Mapping *table.Mapping
	// SQLMode is the session's sql_mode: strictness, zero dates, NO_AUTO_VALUE_ON_ZERO.
	SQLMode mysql.SQLMode
	// Location is the session's time_zone, for TIMESTAMP columns; nil means UTC.
	Location *time.Location
	// Now is what CURRENT_TIMESTAMP defaults give to every row of the job.
	Now time.Time
	// SysVars are variables of the session that expressions depend on, by name:
	// those that exprstatic.ExprContext.LoadSystemVars knows. May be nil.
	SysVars map[string]string
	// CurrentDB is the session's database, "" for none.
	CurrentDB string
	// User is what USER() gives, user@host; "" means that there is none.
	User string
	// Partitions are the places, among the definitions, of the partitions that
	// rows may go to; a row of another one is an error. nil means all of them.
	Partitions []int
	// KeyspacePrefix goes in front of every key; empty in a cluster without keyspaces.
	KeyspacePrefix []byte
}

// Plan is a table compiled for encoding. It is immutable and safe for
// concurrent use.
type Plan struct {
	cfg     Config
	columns []column    // by column offset
	fields  []fieldPlan // per field of a row

	shared  []byte // what the keys of the table (not of its partitions) start with
	common  []byte // what all keys start with
	record  []byte // shared + "r"
	handle  handle
	auto    auto
	row     rowPlan
	indexes []index
	multi   int          // how many of indexes are multi-valued
	compute *computePlan // nil: nothing of a row is computed

	partitions *partitioning // nil: none

	collators []collate.Collator // of index parts; encoders work with clones
}

// fieldPlan is where a field of a row goes.
type fieldPlan struct {
	offset int     // of the column, or table.Dropped
	column *column // nil if dropped
	parse  parser  // the column's, may be nil

	variable int // 1 more than its index, for a field that an assignment may use
}

// Compile checks the configuration and builds the plan. Errors are
// *fault.Error: what Target.CheckEncodable refuses, 1364 for a column that has
// neither field nor default under a strict SQL mode, and TiDB's code or 1235 for
// an expression that can't be evaluated.
func Compile(cfg Config) (*Plan, error) {
	if cfg.Target == nil || cfg.Mapping == nil {
		return nil, fault.New(fault.Sluice, 0, "an encoder needs a target table and a field mapping")
	}
	if err := cfg.Target.CheckEncodable(); err != nil {
		return nil, err
	}
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	p := &Plan{cfg: cfg}
	if err := p.compileColumns(); err != nil {
		return nil, err
	}
	p.fields = make([]fieldPlan, cfg.Mapping.Fields())
	if err := p.compileCompute(); err != nil {
		return nil, err
	}
	for i := range p.fields {
		to := &p.fields[i]
		if to.offset = cfg.Mapping.Column(i); to.offset != table.Dropped {
			to.column = &p.columns[to.offset]
			to.parse = to.column.parse
		}
	}
	info := cfg.Target.Info
	p.shared = append(append([]byte(nil), cfg.KeyspacePrefix...), 't')
	p.shared = append(appendKeyInt(p.shared, info.ID), '_')
	p.record = append(append([]byte(nil), p.shared...), 'r')
	p.compileHandle()
	p.compileAuto()
	p.compileRow()
	for _, idx := range cfg.Target.Indexes() {
		p.indexes = append(p.indexes, p.compileIndex(idx))
	}
	if err := p.compilePartitions(); err != nil {
		return nil, err
	}
	p.common = p.commonPrefix()
	return p, nil
}

// SharedPrefix returns the bytes that every key starts with: keyspace, 't',
// table id, '_', or only the part of it that the ids of Tables share. It is
// not to be changed.
func (p *Plan) SharedPrefix() []byte { return p.common }

// PairsPerRow returns how many pairs one row becomes, without those of
// multi-valued indexes, whose number depends on the row.
func (p *Plan) PairsPerRow() int { return 1 + len(p.indexes) - p.multi }
