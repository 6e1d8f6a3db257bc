package restore

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/sluicedb/sluice/importcore"
	"github.com/sluicedb/sluice/importcore/checkpoint"
	"github.com/sluicedb/sluice/importcore/cluster"
	"github.com/sluicedb/sluice/importcore/encode"
)

// stateVersion is that of the form and the meaning of a state. One of oldestState has no Over; one that changes what was there has changingState, so
// that an older Sluice doesn't go on without doing that.
const (
	changingState = 3
	stateVersion  = 2
	oldestState   = 1
)

// state is what a job has done.
type state struct {
	Version int `json:"restore_version"`
	// Basis is a digest of the source's files and of what decides what becomes of them.
	Basis checkpoint.Digest `json:"basis"`
	// Now is the job's NOW(), in milliseconds since 1970 UTC.
	Now int64 `json:"now"`
	// Mark is in the text of every CREATE of the job: by it the cluster's history tells what it has made.
	Mark string `json:"mark,omitempty"`
	// BackupTS is that of an archive: none of its pairs is later.
	BackupTS uint64 `json:"backup_ts,omitempty"`
	// Databases are those that the job makes.
	Databases []string `json:"databases,omitempty"`
	// Policies are the placement policies that the job makes, if nobody else does before.
	Policies []string `json:"policies,omitempty"`
	// Objects are all that the job makes or fills, tables first, in the job's order.
	Objects []*object `json:"objects"`
	// Gone are objects that were there and that the job drops, because they are no more in the archive. Changing tells that the job has begun to
	// change what was there, and Altered that nothing of that is left to be done before rows come.
	Gone     []*object `json:"gone,omitempty"`
	Changing bool      `json:"changing,omitempty"`
	Altered  bool      `json:"altered,omitempty"`
	// SQL is set for a job whose rows go in by SQL.
	SQL *sqlState `json:"sql,omitempty"`
	// Warnings are told with the result, and so are those of tables, of which Warned have some, and Remarks, what the server said about the job's statements.
	Warnings []string `json:"warnings,omitempty"`
	Warned   int      `json:"warned,omitempty"`
	Remarks  []remark `json:"remarks,omitempty"`
	// System is set for a job that restores accounts and bindings.
	System *systemState `json:"system,omitempty"`
	// Ranges are the keys of tables from an archive that are in the cluster for good.
	Ranges checkpoint.Ranges `json:"ranges,omitempty"`
}

// sqlState is what only a job by SQL has.
type sqlState struct {
	// Job is its name in the ledger on the server, and Begun tells that the ledger knows it.
	Job   string `json:"job"`
	Begun bool   `json:"begun,omitempty"`
}

// object is the state of one table, view or sequence.
type object struct {
	DB   string             `json:"d"`
	Name string             `json:"n"`
	Kind cluster.ObjectKind `json:"k,omitempty"`
	// Own tells that the job makes it: it was not there. ID is what it has once it is made and that is noted, 0 before.
	Own  bool  `json:"o,omitempty"`
	Made bool  `json:"m,omitempty"`
	ID   int64 `json:"i,omitempty"`
	// Done tells that its rows are imported: so many.
	Done bool  `json:"f,omitempty"`
	Rows int64 `json:"r,omitempty"`
	// BadRows of it were left out because of MaxErrors.
	BadRows int64 `json:"b,omitempty"`
	// Warnings are what the user should know of its rows: see mostWarned.
	Warnings []string `json:"w,omitempty"`
	// Import is the checkpoint of the table's import, and when that is over what giving it up needs, which is Over in its lasting form.
	Import []byte `json:"c,omitempty"`
	Over   *over  `json:"x,omitempty"`
	// Sent tells that a table that the job has made may hold pairs of an archive.
	Sent bool `json:"s,omitempty"`
	// Alters tells that the job changes the structure of a table that was there, Renames its name, Later which of its indexes are made when all rows are.
	Alters  bool            `json:"a,omitempty"`
	Renames bool            `json:"e,omitempty"`
	Later   map[string]bool `json:"l,omitempty"`
}

// touched tells whether the table was there before the job and may hold a part of what the archive has changed.
func (s *state) touched(o *object) bool {
	return !o.Own && (o.Sent || s.Changing && (o.Alters || o.Renames))
}

func (o *object) name() Name { return Name{o.DB, o.Name} }

// pack returns the state's lasting form.
func (s *state) pack() ([]byte, error) {
	lean := *s
	lean.Objects = slices.Clone(s.Objects)
	for i, o := range lean.Objects {
		if o.Over != nil {
			small := *o
			small.Import, lean.Objects[i] = nil, &small
		}
	}
	text, err := json.Marshal(&lean)
	if err != nil {
		return nil, fmt.Errorf("write a checkpoint: %w", err)
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("write a checkpoint: %w", err)
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("write a checkpoint: %w", err)
	}
	return b.Bytes(), nil
}

// maxState bounds what is unpacked, in bytes, so that damaged data can't fill the memory.
const maxState = 512 << 20

// unpack reads a state.
func unpack(data []byte) (*state, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	s := &state{}
	if err := json.NewDecoder(io.LimitReader(r, maxState)).Decode(s); err != nil {
		return nil, fmt.Errorf("read a checkpoint: %w", err)
	}
	if s.Version < oldestState || s.Version > changingState {
		return nil, fmt.Errorf("%w: it has %d, this Sluice reads %d to %d", checkpoint.ErrVersion, s.Version, oldestState, changingState)
	}
	s.Version = max(s.Version, stateVersion)
	for _, o := range s.Objects {
		if o.Over == nil {
			continue
		}
		if o.Import, err = o.Over.checkpoint(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load takes up a job's state; nil if it has none.
func load(ctx context.Context, from importcore.Checkpoints) (*state, error) {
	if from == nil {
		return nil, nil
	}
	data, err := from.Load(ctx)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return unpack(data)
}

// keeper saves a state that several goroutines change. One save serves all that wait for one.
type keeper struct {
	to importcore.Checkpoints // may be nil

	mu struct {
		sync.Mutex
		state *state
		// wanted counts the calls of save; saved is how many of them are served.
		wanted, saved int64
	}
	turn chan struct{}
}

func newKeeper(to importcore.Checkpoints, s *state) *keeper {
	k := &keeper{to: to, turn: make(chan struct{}, 1)}
	k.mu.state = s
	return k
}

// change changes the state, which is not saved for it.
func (k *keeper) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// save returns when what the state is now is safe.
func (k *keeper) save(ctx context.Context) error {
	if k.to == nil {
		return nil
	}
	k.mu.Lock()
	k.mu.wanted++
	mine := k.mu.wanted
	k.mu.Unlock()
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-k.turn }()
	k.mu.Lock()
	if k.mu.saved >= mine {
		k.mu.Unlock()
		return nil
	}
	serves := k.mu.wanted
	data, err := k.mu.state.pack()
	k.mu.Unlock()
	if err == nil {
		err = k.to.Save(ctx, data)
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.mu.saved = serves
	k.mu.Unlock()
	return nil
}

// tableKeeper is the checkpoints of one table's import.
type tableKeeper struct {
	all   *keeper
	table *object
}

// Load implements importcore.Checkpoints.
func (t *tableKeeper) Load(context.Context) (data []byte, _ error) {
	t.all.change(func() { data = t.table.Import })
	return data, nil
}

// Save implements importcore.Checkpoints.
func (t *tableKeeper) Save(ctx context.Context, data []byte) error {
	t.all.change(func() { t.table.Import = data })
	return t.all.save(ctx)
}

// over is what Core.Abandon needs of the checkpoint of an import that is over. There are thousands of them in a state that is saved
// hundreds of times.
type over struct {
	Table    int64          `json:"t"`
	CommitTS uint64         `json:"c"`
	Alone    bool           `json:"a,omitempty"`
	Filled   bool           `json:"f,omitempty"`
	Used     *encode.MaxIDs `json:"u,omitempty"`
}

// checkpoint is the import's, as far as it is known.
func (o *over) checkpoint() ([]byte, error) {
	s := checkpoint.State{
		Basis: checkpoint.Basis{TableID: o.Table}, Filled: o.Filled, Ingest: &checkpoint.Ingest{CommitTS: o.CommitTS, Alone: o.Alone, Complete: true},
	}
	if o.Used != nil {
		s.Ingest.Used = *o.Used
	}
	return s.Marshal()
}

// condense makes the checkpoint of an import that is over small; both results are nil if nothing was sent.
func condense(data []byte) (small []byte, o *over, err error) {
	if len(data) == 0 {
		return nil, nil, nil
	}
	s, err := checkpoint.Unmarshal(data)
	if err != nil || s.Ingest == nil {
		return nil, nil, err
	}
	o = &over{Table: s.Basis.TableID, CommitTS: s.Ingest.CommitTS, Alone: s.Ingest.Alone, Filled: s.Filled}
	if used := s.Ingest.Used; used != (encode.MaxIDs{}) {
		o.Used = &used
	}
	small, err = o.checkpoint()
	return small, o, err
}
