package kv_test

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicedb/sluice/importcore/kv"
)

func TestChecksumIsCRC64ECMAOfKeyAndValue(t *testing.T) {
	t.Parallel()
	table := crc64.MakeTable(crc64.ECMA)
	rnd := rand.New(rand.NewPCG(1, 1))
	var want, pairs, arenas kv.Checksum
	for range 100 {
		a := kv.NewArena(64, 0)
		for range rnd.IntN(20) {
			key, value := make([]byte, rnd.IntN(40)), make([]byte, rnd.IntN(200))
			if rnd.IntN(50) == 0 { // about and above what an overlay takes
				value = make([]byte, 64<<10-len(key)-20+rnd.IntN(40))
			}
			for i := range key {
				key[i] = byte(rnd.Uint32())
			}
			for i := range value {
				value[i] = byte(rnd.Uint32())
			}
			want.Sum ^= crc64.Checksum(append(append([]byte{}, key...), value...), table)
			want.Pairs++
			want.Bytes += uint64(len(key) + len(value))
			pairs.Add(key, value)
			a.Add(key, value)
		}
		var one kv.Checksum
		one.AddArena(a)
		arenas.Merge(one)
	}
	require.Equal(t, want, pairs)
	require.Equal(t, want, arenas)
}

func BenchmarkChecksum(b *testing.B) {
	for name, value := range map[string]int{"short": 60, "long": 16 << 10} {
		b.Run(name, func(b *testing.B) {
			a := kv.NewArena(1<<20, 0)
			for len(a.Buf) < 1<<20 {
				a.Add(make([]byte, 19), make([]byte, value))
			}
			b.SetBytes(int64(len(a.Buf)))
			b.ReportAllocs()
			for b.Loop() {
				var c kv.Checksum
				c.AddArena(a)
			}
		})
	}
}
