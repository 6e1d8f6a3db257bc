package fault

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFire(t *testing.T) {
	t.Parallel()
	const get, write = "/tikvpb.Tikv/KvGet", "/import_sstpb.ImportSST/Write"
	cases := []struct {
		name    string
		rule    Rule
		store   uint64
		methods []string
		want    int // times out of 5 tries
	}{
		{"any store, any RPC, for ever", Rule{Kind: Drop}, 7, []string{get}, 5},
		{"counted", Rule{Kind: Drop, Count: 2}, 7, []string{get}, 2},
		{"other store", Rule{Kind: Drop, Store: 8}, 7, []string{get}, 0},
		{"this store", Rule{Kind: Drop, Store: 7}, 7, []string{get}, 5},
		{"by service and method", Rule{Kind: Drop, RPC: "Tikv/KvGet"}, 7, []string{get}, 5},
		{"by method", Rule{Kind: Drop, RPC: "KvGet"}, 7, []string{get}, 5},
		{"a suffix inside a word is no match", Rule{Kind: Drop, RPC: "Get"}, 7, []string{get}, 0},
		{"other method", Rule{Kind: Drop, RPC: "ImportSST/Write"}, 7, []string{get}, 0},
		{"second name", Rule{Kind: Drop, RPC: "ImportSST/Write"}, 7, []string{get, write}, 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s Set
			require.NoError(t, s.Add(c.rule))
			got := 0
			for range 5 {
				if r, ok := s.Fire(c.store, c.methods...); ok {
					require.Equal(t, c.rule, r)
					got++
				}
			}
			require.Equal(t, c.want, got)
			require.Equal(t, []Hit{{Rule: c.rule, Fired: c.want}}, s.Hits())
			s.Clear()
			require.Empty(t, s.Hits())
			_, ok := s.Fire(c.store, c.methods...)
			require.False(t, ok)
		})
	}
}

func TestRulesInOrder(t *testing.T) {
	t.Parallel()
	var s Set
	require.NoError(t, s.Add(Rule{Kind: ServerIsBusy, Count: 1}))
	require.NoError(t, s.Add(Rule{Kind: Drop, Count: 1}))
	var kinds []Kind
	for range 3 {
		if r, ok := s.Fire(1, "/a.B/C"); ok {
			kinds = append(kinds, r.Kind)
		}
	}
	require.Equal(t, []Kind{ServerIsBusy, Drop}, kinds)
}

func TestHoldUntilRemoved(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*Set){"clear": (*Set).Clear, "remove": func(s *Set) { s.Remove("B/C") }} {
		var s Set
		require.NoError(t, s.Add(Rule{Kind: Hold, RPC: "B/C"}))
		require.NoError(t, s.Add(Rule{Kind: Hold, RPC: "B/D"}))
		held, ok := s.Fire(1, "/a.B/C")
		require.True(t, ok)
		other, ok := s.Fire(1, "/a.B/D")
		require.True(t, ok)
		select {
		case <-held.Removed():
			require.Fail(t, "released before its time")
		default:
		}
		require.Len(t, s.Hits(), 2)
		remove(&s)
		<-held.Removed()
		_, ok = s.Fire(1, "/a.B/C")
		require.False(t, ok)
		if name == "remove" {
			require.Equal(t, []Hit{{Rule: Rule{Kind: Hold, RPC: "B/D"}, Fired: 1}}, s.Hits())
			s.Clear()
		}
		<-other.Removed()
		require.Empty(t, s.Hits())
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	for _, r := range []Rule{{}, {Kind: "Fire"}, {Kind: Drop, Count: -1}, {Kind: Slow}} {
		var s Set
		require.Error(t, s.Add(r), "%+v", r)
		require.Empty(t, s.Hits())
	}
}

func TestNilSetNeverFires(t *testing.T) {
	t.Parallel()
	var s *Set
	_, ok := s.Fire(1, "/a.B/C")
	require.False(t, ok)
	require.Empty(t, s.Hits())
}

func TestJSON(t *testing.T) {
	t.Parallel()
	in := Rule{Store: 4, RPC: "ImportSST/Write", Kind: Slow, Count: 2, Delay: time.Second}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	require.JSONEq(t, `{"store":4,"rpc":"ImportSST/Write","kind":"Slow","count":2,"delay":1000000000}`, string(b))
	var out Rule
	require.NoError(t, json.Unmarshal(b, &out))
	require.Equal(t, in, out)
}

func TestCountHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	var (
		s     Set
		fired atomic.Int64
		wg    sync.WaitGroup
	)
	require.NoError(t, s.Add(Rule{Kind: Drop, Count: 50}))
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				if _, ok := s.Fire(1, "/a.B/C"); ok {
					fired.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	require.EqualValues(t, 50, fired.Load())
}
