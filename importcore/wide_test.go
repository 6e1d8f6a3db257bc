package importcore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/format"
	"github.com/sluicedb/sluice/importcore/format/csv"
	"github.com/sluicedb/sluice/importcore/kv"
	"github.com/sluicedb/sluice/importcore/sortkv"
	"github.com/sluicedb/sluice/importcore/source"
)

// countedRoom watches what a Room has given out.
type countedRoom struct {
	*wideRows
	mu         sync.Mutex
	held, most int64
}

func (c *countedRoom) Take(ctx context.Context, have, size int) error {
	err := c.wideRows.Take(ctx, have, size)
	if err == nil {
		c.mu.Lock()
		c.held += c.perRow.of(size) - c.perRow.of(have)
		c.most = max(c.most, c.held)
		c.mu.Unlock()
	}
	return err
}

func (c *countedRoom) Give(size int) {
	c.mu.Lock()
	c.held -= c.perRow.of(size)
	c.mu.Unlock()
	c.wideRows.Give(size)
}

// wideBench is the encode step without tables: rows become a pair each.
type wideBench struct {
	t      *testing.T
	sorter *sortkv.Sorter
	room   *countedRoom
	blocks chan numberedBlock
	pool   *format.BlockPool
}

func newWideBench(t *testing.T, budget int64, arena, block, workers int, base int64) *wideBench {
	t.Helper()
	s, err := sortkv.New(sortkv.Options{Dir: t.TempDir(), MemoryBudget: budget, ArenaBytes: arena})
	require.NoError(t, err)
	w := &wideRows{sorter: s, base: base, most: base + sortkv.Reservable(budget, arena), perRow: (&Plan{}).rowCost(false),
		advice: func(row int64) string { return fmt.Sprintf("memory for %d", row) }}
	w.mu.freed = make(chan struct{})
	b := &wideBench{t: t, sorter: s, room: &countedRoom{wideRows: w}, blocks: make(chan numberedBlock, workers)}
	b.pool = format.NewBlockPool(block, 2*workers+2, b.room)
	return b
}

// feed splits a file, and makes all workers rest now and then, as checkpoints do.
func (b *wideBench) feed(ctx context.Context, path string, workers, restEvery int) error {
	defer close(b.blocks)
	store, err := source.Open(ctx, path, source.Config{})
	if err != nil {
		return err
	}
	files, err := store.List(ctx)
	if err != nil {
		return err
	}
	splitter, err := csv.NewSplitter(ctx, store, &files[0], 0, csv.DefaultConfig(), b.pool)
	if err != nil {
		return err
	}
	defer func() { _ = splitter.Close() }()
	for n := 1; ; n++ {
		block, err := splitter.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b.blocks <- numberedBlock{Block: block}
		if n%restEvery > 0 {
			continue
		}
		rest := &rest{begun: make(chan struct{}, workers), over: make(chan struct{})}
		for range workers {
			b.blocks <- numberedBlock{rest: rest}
		}
		for range workers {
			<-rest.begun
		}
		if _, err := b.sorter.Checkpoint(ctx); err != nil {
			return err
		}
		close(rest.over)
	}
}

// work is a worker: encodeBlocks without an encoder.
func (b *wideBench) work(ctx context.Context) (err error) {
	reader := csv.NewReader(csv.DefaultConfig())
	var arena *kv.Arena
	var holds bool
	handOver := func() error {
		a := arena
		if arena = nil; a == nil {
			return nil
		}
		return b.sorter.Add(ctx, a)
	}
	for {
		block, ok, err := b.room.receive(b.blocks, &holds, func() error { return errors.Join(handOver(), b.sorter.Relieve(ctx)) })
		if err != nil {
			return err
		}
		if !ok {
			return handOver()
		}
		if block.rest != nil {
			if err := handOver(); err != nil {
				return err
			}
			block.rest.begun <- struct{}{}
			<-block.rest.over
			continue
		}
		reader.Reset(block.Block)
		for {
			fields, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if arena == nil {
				holds = true
				if arena, err = b.sorter.Arena(ctx); err != nil {
					return err
				}
			}
			arena.Add(fields[0].Bytes, fields[1].Bytes)
			if arena.Bytes() >= b.sorter.ArenaBytes() {
				if err := handOver(); err != nil {
					return err
				}
			}
		}
		block.Release()
	}
}

// TestLongRowsNeitherStallNorExceed: with long rows in any place, any number of workers and hardly
// more memory than the longest needs, all rows come through, and long rows never hold more than they may.
func TestLongRowsNeitherStallNorExceed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 77))
		workers := 1 + rng.IntN(6)
		const budget, base = 256 << 10, 16 << 10
		arena := 4<<10 + rng.IntN(10<<10)
		b := newWideBench(t, budget, arena, 1<<10<<rng.IntN(3), workers, base)
		longest := 1
		for b.room.perRow.of(2*longest) <= b.room.wideRows.most {
			longest *= 2 // blocks grow by doubling
		}
		var text bytes.Buffer
		rows, share := 300+rng.IntN(300), rng.IntN(4)
		want := make(map[uint64]int, rows)
		for i := range rows {
			size := rng.IntN(100)
			if rng.IntN(4) < share {
				size = rng.IntN(longest - 50)
			}
			want[uint64(i)] = size
			fmt.Fprintf(&text, "%08d,\"%s\"\n", i, strings.Repeat(string(rune('a'+i%26)), size))
		}
		path := filepath.Join(t.TempDir(), "rows.csv")
		require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		group, groupCtx := errgroup.WithContext(ctx)
		group.Go(func() error { return b.feed(groupCtx, path, workers, 1+rng.IntN(100)) })
		for range workers {
			group.Go(func() error { return b.work(groupCtx) })
		}
		require.NoError(t, group.Wait(), "seed %d", seed)
		b.room.close()
		require.LessOrEqual(t, b.room.most, b.room.wideRows.most, "seed %d", seed)
		require.Zero(t, b.room.held, "seed %d", seed)
		sorted, err := b.sorter.Finish(ctx)
		require.NoError(t, err)
		it, err := sorted.Iter(ctx, nil, nil)
		require.NoError(t, err)
		for n := range rows {
			require.True(t, it.Next())
			require.Equal(t, fmt.Sprintf("%08d", n), string(it.Key()))
			require.Len(t, it.Value(), want[uint64(n)])
		}
		require.False(t, it.Next())
		require.NoError(t, it.Close())
		require.NoError(t, b.sorter.Close())
		cancel()
	}
}

// TestRowWithoutRoom: the error says where the row is and what would be enough.
func TestRowWithoutRoom(t *testing.T) {
	t.Parallel()
	b := newWideBench(t, 256<<10, 8<<10, 1<<10, 1, 0)
	path := filepath.Join(t.TempDir(), "rows.csv")
	text := "1,a\n2,b\n3," + strings.Repeat("x", 200<<10) + "\n4,d\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error { return b.feed(ctx, path, 1, 1<<30) })
	group.Go(func() error { return b.work(ctx) })
	err := group.Wait()
	f := fault.As(err)
	require.NotNil(t, f, "%v", err)
	require.Equal(t, fault.Position{File: path, Line: 3, Offset: 8}, f.At)
	require.ErrorContains(t, err, fmt.Sprintf("memory for %d is enough", len(text)-8))
	require.NoError(t, b.sorter.Close())
}

// TestAdviceIsEnough: what the error advises is enough for the row, and not much too much.
func TestAdviceIsEnough(t *testing.T) {
	t.Parallel()
	for _, task := range []ImportTask{
		{Threads: 1}, {Threads: 4}, {Threads: 64}, {Threads: 4, OnDuplicate: DuplicateReplace},
		{Threads: 2, CSV: csv.Config{CharacterSet: "gbk"}},
	} {
		plan := &Plan{Task: task}
		var budget int64
		r := &run{plan: plan, core: &Core{cfg: Config{MemoryAdvice: func(job int64) string {
			budget = job
			return ""
		}}}}
		for _, row := range []int64{1 << 20, 1<<24 - 1, 20 << 20, csv.MaxRowBytes} {
			r.adviseFor(row)
			cost := plan.rowCost(false).of(format.BlockBytesFor(row))
			_, most := plan.splitMemory(budget).wideMemory()
			require.GreaterOrEqual(t, most, cost)
			require.GreaterOrEqual(t, budget, int64(MinMemoryBudget))
			if budget > MinMemoryBudget {
				require.Less(t, budget, 2*cost)
			}
		}
	}
}

// TestMediumTextFitsTheDefault: with the default budget the longest value of a MEDIUMTEXT is no problem,
// also if rows that collide are looked for.
func TestMediumTextFitsTheDefault(t *testing.T) {
	t.Parallel()
	for _, task := range []ImportTask{{Threads: 1}, {Threads: 8}, {Threads: 8, OnDuplicate: DuplicateIgnore}, {Threads: 8, AllowNonEmpty: true}} {
		plan := &Plan{Task: task, filled: task.AllowNonEmpty}
		_, most := plan.splitMemory(DefaultMemoryBudget).wideMemory()
		require.GreaterOrEqual(t, most, plan.rowCost(false).of(format.BlockBytesFor(1<<24+200<<10)), "%+v", task)
	}
}
