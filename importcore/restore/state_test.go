package restore

import (
	"context"
	"errors"
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
	data, err := (&state{Version: stateVersion + 1}).pack()
	require.NoError(t, err)
	_, err = unpack(data)
	require.ErrorIs(t, err, checkpoint.ErrVersion)
	_, err = unpack([]byte("x"))
	require.Error(t, err)
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
	small, err := condense(data)
	require.NoError(t, err)
	require.Less(t, len(small), 400)
	s, err := checkpoint.Unmarshal(small)
	require.NoError(t, err)
	require.Equal(t, checkpoint.State{Version: checkpoint.Version, Filled: true, Basis: checkpoint.Basis{TableID: 9},
		Ingest: &checkpoint.Ingest{CommitTS: 7, Alone: true, Complete: true}}, *s)
	none, err := condense(nil)
	require.NoError(t, err)
	require.Empty(t, none)
}
