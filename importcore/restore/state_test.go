package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/checkpoint"
)

// slow is Checkpoints whose saves are counted; none runs beside another.
type slow struct {
	mu    sync.Mutex
	busy  atomic.Bool
	saves int
	data  []byte
	err   error
}

func (s *slow) Load(context.Context) ([]byte, error) { return s.data, nil }

func (s *slow) Save(_ context.Context, data []byte) error {
	if !s.busy.CompareAndSwap(false, true) {
		return errors.New("two at a time")
	}
	defer s.busy.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	s.data = data
	return s.err
}

// TestKeeperSavesForAllThatWait: what a table has changed is in what was saved when its save returns.
func TestKeeperSavesForAllThatWait(t *testing.T) {
	t.Parallel()
	to := &slow{}
	s := &state{Version: stateVersion}
	for range 50 {
		s.Objects = append(s.Objects, &object{DB: "d", Name: "t"})
	}
	k := newKeeper(to, s)
	var all sync.WaitGroup
	for i, o := range s.Objects {
		all.Go(func() {
			tables := &tableKeeper{k, o}
			require.NoError(t, tables.Save(t.Context(), []byte{byte(i)}))
			to.mu.Lock()
			data := to.data
			to.mu.Unlock()
			saved, err := unpack(data)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(i)}, saved.Objects[i].Import)
		})
	}
	all.Wait()
	require.LessOrEqual(t, to.saves, 50)

	to.err = errors.New("no")
	require.ErrorIs(t, k.save(t.Context()), to.err)
}

func TestStatesOfOtherVersionsAreRefused(t *testing.T) {
	t.Parallel()
	data, err := (&state{Version: changingState + 1}).pack()
	require.NoError(t, err)
	_, err = unpack(data)
	require.ErrorIs(t, err, checkpoint.ErrVersion)
	_, err = unpack([]byte("x"))
	require.Error(t, err)
	before, err := (&state{Version: oldestState, Objects: []*object{{DB: "d", Name: "t", Done: true, Import: []byte("x")}}}).pack()
	require.NoError(t, err)
	s, err := unpack(before)
	require.NoError(t, err)
	require.Equal(t, []byte("x"), s.Objects[0].Import)
	one, err := (&checkpoint.State{}).Marshal() // an import's
	require.NoError(t, err)
	_, err = unpack(one)
	require.Error(t, err)
}

func TestCondenseKeepsWhatGivingUpNeeds(t *testing.T) {
	t.Parallel()
	full := checkpoint.State{Filled: true, FirstRowID: 5, Basis: checkpoint.Basis{TableID: 9, Files: make([]checkpoint.Digest, 1000)},
		Ingest: &checkpoint.Ingest{CommitTS: 7, Alone: true, Complete: true, Rows: 3}}
	data, err := full.Marshal()
	require.NoError(t, err)
	small, over, err := condense(data)
	require.NoError(t, err)
	require.Less(t, len(small), 400)
	job := &state{Version: stateVersion, Objects: []*object{{DB: "d", Name: "t", Own: true, Done: true, Import: small, Over: over}, {DB: "d", Name: "u", Import: data}}}
	for range 3000 {
		job.Objects = append(job.Objects, &object{DB: "d", Name: "t", Own: true, Done: true, Import: small, Over: over})
	}
	packed, err := job.pack()
	require.NoError(t, err)
	require.Less(t, len(packed), 3000*10)
	again, err := unpack(packed)
	require.NoError(t, err)
	require.Equal(t, job, again)
	small = again.Objects[0].Import
	s, err := checkpoint.Unmarshal(small)
	require.NoError(t, err)
	require.Equal(t, checkpoint.State{Version: checkpoint.Version, Filled: true, Basis: checkpoint.Basis{TableID: 9},
		Ingest: &checkpoint.Ingest{CommitTS: 7, Alone: true, Complete: true}}, *s)
	none, over, err := condense(nil)
	require.NoError(t, err)
	require.Empty(t, none)
	require.Nil(t, over)
}

// BenchmarkPack is what each save of a job with thousands of tables costs.
func BenchmarkPack(b *testing.B) {
	s := &state{Version: stateVersion}
	for i := range 10_000 {
		s.Objects = append(s.Objects, &object{DB: "many", Name: fmt.Sprintf("t%05d", i), Own: true, Made: true, ID: int64(2 * i), Done: true, Rows: 10,
			Over: &over{Table: int64(2 * i), CommitTS: 1 << 58, Alone: true}})
	}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		data, err := s.pack()
		if err != nil {
			b.Fatal(err)
		}
		size = len(data)
	}
	b.ReportMetric(float64(size), "bytes")
}
