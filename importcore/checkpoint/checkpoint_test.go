package checkpoint

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/encode"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/kv"
)

func someState() *State {
	return &State{
		Version: VersionRounds,
		Basis: Basis{
			Files: []Digest{"a", "b"}, TableID: 7, Table: map[string]Digest{"columns": "c"}, Options: map[string]Digest{"format": "f"},
		},
		Now: 1, FirstRowID: 2, Filled: true,
		Encoded: Encoded{
			Dir: "d", Next: Place{File: 1, At: format.RowPlace{Offset: 1 << 40, Line: 3, Row: 4}, Row: 5}, Rows: 6, SourceBytes: 7, Blocks: 8,
			IDs: encode.MaxIDs{RowID: 1, AutoIncrement: 1<<64 - 1, AutoRandom: 3}, Warnings: 2, Warned: []encode.Warning{{Code: 1, Column: "c", Message: "m"}},
		},
		Ingest: &Ingest{
			CommitTS: 1<<63 + 1, Alone: true, Sum: kv.Checksum{Sum: 1<<64 - 1, Pairs: 3, Bytes: 4}, Verifiable: true,
			Done: Ranges{{Start: []byte{0, 255}, End: []byte{1}, Pairs: 1, Bytes: 2}},
			End:  &Place{File: 1, At: format.RowPlace{Offset: 1 << 41, Line: 4, Row: 5}, Row: 9},
		},
		Rounds: &Rounds{Count: 2, Begin: Encoded{Next: Place{File: 1, Row: 3}}, Sum: kv.Checksum{Sum: 5, Pairs: 6, Bytes: 7}, Spilled: 8, CommitTS: 9, Alone: true},
	}
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	want := someState()
	data, err := want.Marshal()
	require.NoError(t, err)
	got, err := Unmarshal(data)
	require.NoError(t, err)
	require.Equal(t, want, got)

	for i := range data[:len(data)-1] {
		_, err := Unmarshal(data[:i])
		require.Error(t, err, "the first %d bytes", i)
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	t.Parallel()
	text, err := pack([]byte(`{"version": 99, "encoded": "something else"}`))
	require.NoError(t, err)
	_, err = Unmarshal(text)
	require.ErrorIs(t, err, ErrVersion)
}

// TestOnlyRoundsHaveTheirVersion: a Sluice that doesn't know of rounds goes on with other jobs, and with none that has some.
func TestOnlyRoundsHaveTheirVersion(t *testing.T) {
	t.Parallel()
	version := func(s *State) int {
		data, err := s.Marshal()
		require.NoError(t, err)
		s, err = Unmarshal(data)
		require.NoError(t, err)
		return s.Version
	}
	require.Equal(t, 1, version(&State{}))
	require.Equal(t, 1, version(&State{Ingest: &Ingest{}}))
	require.Equal(t, 2, version(&State{Ingest: &Ingest{End: &Place{}}}))
	require.Equal(t, 2, version(&State{Rounds: &Rounds{}}))
}

// FuzzUnmarshal: whatever the store returns, there is an error or a state of this version.
func FuzzUnmarshal(f *testing.F) {
	data, err := someState().Marshal()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Unmarshal(data)
		if (err == nil) != (s != nil) || s != nil && s.Version != Version && s.Version != VersionRounds {
			t.Fatalf("%v, %v", s, err)
		}
	})
}

func TestDifference(t *testing.T) {
	t.Parallel()
	name := func(i int) string { return string(rune('a'+i)) + ".csv" }
	for _, c := range []struct {
		change func(*Basis)
		want   string
	}{
		{func(*Basis) {}, ""},
		{func(b *Basis) { b.Files = b.Files[:1] }, "the location names 1 files now, it named 2"},
		{func(b *Basis) { b.Files[1] = "x" }, "file b.csv is not what it was: name, size or time of change differ"},
		{func(b *Basis) { b.TableID++ }, "the table was truncated, dropped or replaced"},
		{func(b *Basis) { b.Table["columns"] = "x" }, "the table was changed: its columns differ"},
		{func(b *Basis) { delete(b.Table, "columns") }, "the table was changed: its columns differ"},
		{func(b *Basis) { b.Options["a"] = "x"; b.Options["b"] = "x" }, "the job's a differs"},
	} {
		now := someState().Basis
		c.change(&now)
		was := someState().Basis
		require.Equal(t, c.want, was.Difference(&now, name))
	}
}

func TestDigestsDiffer(t *testing.T) {
	t.Parallel()
	a, err := DigestOf([]any{"x", 1})
	require.NoError(t, err)
	b, err := DigestOf([]any{"x", 2})
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	_, err = DigestOf(func() {})
	require.Error(t, err)
}

// TestRangesAgainstModel adds parts of a key space in any order and asks what is missing.
func TestRangesAgainstModel(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	key := func(n int) []byte { return []byte{byte(n)} }
	for range 500 {
		var parts []Range
		for at := 0; at < 200; {
			end := at + 1 + rnd.IntN(20)
			parts = append(parts, Range{Start: key(at), End: key(end), Pairs: int64(end - at), Bytes: 3})
			at = end
		}
		rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var done Ranges
		var in [256]bool
		var pairs, size int64
		for _, p := range parts[:rnd.IntN(len(parts)+1)] {
			done = done.Add(p)
			for n := p.Start[0]; n < p.End[0]; n++ {
				in[n] = true
			}
			pairs, size = pairs+p.Pairs, size+p.Bytes
		}
		for i := 1; i < len(done); i++ {
			require.Negative(t, bytes.Compare(done[i-1].End, done[i].Start), "neighbours are one")
		}
		gotPairs, gotSize := done.Total()
		require.Equal(t, [2]int64{pairs, size}, [2]int64{gotPairs, gotSize})

		from, to := rnd.IntN(200), rnd.IntN(230)
		var missing [256]bool
		last := []byte(nil)
		for _, m := range done.Missing(key(from), key(to)) {
			require.Positive(t, bytes.Compare(m[0], last))
			last = m[1]
			for n := m[0][0]; n < m[1][0]; n++ {
				missing[n] = true
			}
		}
		for n := range 256 {
			require.Equal(t, n >= from && n < to && !in[n], missing[n], "key %d", n)
		}
	}
}
