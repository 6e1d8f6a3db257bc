package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/tidb/pkg/meta/model"
	"github.com/stretchr/testify/require"
	pd "github.com/tikv/pd/client"
	"go.uber.org/zap"

	"github.com/sluicedb/sluice/importcore/cluster/region"
	"github.com/sluicedb/sluice/importcore/fault"
	"github.com/sluicedb/sluice/importcore/fence"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		ok   bool
		want string
	}{
		{"v8.5.4", true, ""}, {"8.5.4", true, ""}, {"v6.5.0-alpha-12-gabcdef", true, ""}, {"v10.0.0", true, ""},
		{"v6.4.9", false, "need v6.5.0 or later"}, {"5.7.25", false, "need v6.5.0 or later"},
		{"", false, "can't be read"}, {"None", false, "can't be read"},
	} {
		err := checkVersion("TiDB", c.text)
		if c.ok {
			require.NoError(t, err, c.text)
			continue
		}
		require.ErrorContains(t, err, c.want, c.text)
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"256MiB": 256 << 20, "96MB": 96 << 20, "1GiB": 1 << 30, "8KiB": 8 << 10, "512": 512, "512B": 512,
		"1.5GiB": 3 << 29, "2T": 2 << 40,
	} {
		got, err := parseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "MiB", "-1MiB", "0", "12XB", "1KK", "NaN", "99999999999PiB", "1iB5"} {
		_, err := parseSize(text)
		require.Error(t, err, text)
	}
}

func TestQuoteTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "`a``b`.`c.d`", quoteTable("a`b", "c.d"))
}

func TestFailed(t *testing.T) {
	t.Parallel()
	require.NoError(t, failed(nil, "do it"))
	err := failed(fmt.Errorf("wrapped: %w", mysql.NewDefaultError(mysql.ER_NO_SUCH_TABLE, "d", "t")), "read %s", "t")
	require.ErrorContains(t, err, "cannot read t")
	require.EqualValues(t, 1146, fault.As(err).Code)
	require.Equal(t, fault.Cluster, fault.As(err).Whose)
	require.ErrorIs(t, failed(context.Canceled, "do it"), context.Canceled)
	inner := fault.New(fault.User, 7, "inner")
	require.EqualValues(t, 7, fault.As(failed(inner, "do it")).Code, "an owner is not replaced")
}

func TestAssignKeys(t *testing.T) {
	t.Parallel()
	border := func(s string) []byte { return region.EncEnd([]byte(s)) }
	regions := []region.Region{
		{Meta: &metapb.Region{Id: 1, EndKey: border("f")}},
		{Meta: &metapb.Region{Id: 2, StartKey: border("f"), EndKey: border("m")}},
		{Meta: &metapb.Region{Id: 3, StartKey: border("m")}},
	}
	keys := sortedKeys([][]byte{[]byte("z"), []byte("b"), []byte("f"), nil, []byte("a"), []byte("m\x00"), []byte("b")})
	got := map[uint64][]string{}
	for _, task := range assignKeys(regions, keys) {
		for _, k := range task.keys {
			got[task.region.ID()] = append(got[task.region.ID()], string(k))
		}
	}
	require.Equal(t, map[uint64][]string{1: {"a", "b"}, 3: {"m\x00", "z"}}, got)
}

func TestFirstKeys(t *testing.T) {
	t.Parallel()
	var keys [][]byte
	for range splitMaxKeys + 10 {
		keys = append(keys, make([]byte, 20))
	}
	require.Len(t, firstKeys(keys), splitMaxKeys)
	big := [][]byte{make([]byte, splitMaxBytes/2), make([]byte, splitMaxBytes/2), {1}}
	require.Len(t, firstKeys(big), 2)
	require.Len(t, firstKeys([][]byte{make([]byte, splitMaxBytes+1), {1}}), 1, "at least one")
}

func TestFollow(t *testing.T) {
	t.Parallel()
	leader := &metapb.Peer{Id: 9, StoreId: 1}
	for _, c := range []struct {
		name  string
		start string
		next  string
		first bool
		lead  *metapb.Peer
		ok    bool
	}{
		{"first begins before", "a", "c", true, leader, true},
		{"first begins behind", "d", "c", true, leader, false},
		{"continues", "c", "c", false, leader, true},
		{"hole", "d", "c", false, leader, false},
		{"overlap", "b", "c", false, leader, false},
		{"no leader", "c", "c", false, nil, false},
		{"empty leader", "c", "c", false, &metapb.Peer{}, false},
	} {
		_, err := follow(&pd.Region{Meta: &metapb.Region{Id: 1, StartKey: []byte(c.start)}, Leader: c.lead}, []byte(c.next), c.first)
		require.Equal(t, c.ok, err == nil, "%s: %v", c.name, err)
	}
}

// scanPD answers scans from a list of lists, one per call.
type scanPD struct {
	pdAPI
	calls   int
	answers [][]*pd.Region
}

func (p *scanPD) ScanRegions(context.Context, []byte, []byte, int, ...pd.GetRegionOption) ([]*pd.Region, error) {
	p.calls++
	if p.calls > len(p.answers) {
		return nil, errors.New("no more answers")
	}
	return p.answers[p.calls-1], nil
}

func TestScanRegionsUntilThereIsNoHole(t *testing.T) {
	t.Parallel()
	part := func(id uint64, start, end string) *pd.Region {
		return &pd.Region{
			Meta:   &metapb.Region{Id: id, StartKey: []byte(start), EndKey: []byte(end)},
			Leader: &metapb.Peer{Id: id, StoreId: 1},
		}
	}
	fake := &scanPD{answers: [][]*pd.Region{
		{part(1, "", "c"), part(3, "f", "")}, // a hole: from the start again
		{part(1, "", "c")},                   // a page
		{part(2, "c", "f"), part(3, "f", "")},
	}}
	c := newCluster(Config{})
	c.pd = fake
	regions, err := c.ScanRegions(t.Context(), []byte("a"), nil)
	require.NoError(t, err)
	require.Len(t, regions, 3)
	require.Equal(t, 3, fake.calls)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.ScanRegions(ctx, []byte("a"), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDifference(t *testing.T) {
	t.Parallel()
	table := func(change func(*model.TableInfo)) *model.TableInfo {
		info := &model.TableInfo{
			ID: 5, UpdateTS: 1, State: model.StatePublic,
			Columns: []*model.ColumnInfo{{ID: 1, State: model.StatePublic}},
			Indices: []*model.IndexInfo{{ID: 1, State: model.StatePublic}},
		}
		change(info)
		return info
	}
	was := table(func(*model.TableInfo) {})
	for _, c := range []struct {
		want   string
		change func(*model.TableInfo)
	}{
		{"", func(i *model.TableInfo) { i.Comment = "new"; i.UpdateTS = 2; i.AutoIncID = 7 }},
		{"ids", func(i *model.TableInfo) { i.ID = 6 }},
		{"columns", func(i *model.TableInfo) { i.UpdateTS = 2; i.Columns[0].State = model.StateWriteOnly }},
		{"indexes", func(i *model.TableInfo) { i.UpdateTS = 2; i.Indices = append(i.Indices, &model.IndexInfo{ID: 2}) }},
		{"partitions", func(i *model.TableInfo) { i.UpdateTS = 2; i.Partition = &model.PartitionInfo{Num: 1} }},
		{"primary keys", func(i *model.TableInfo) { i.UpdateTS = 2; i.PKIsHandle = true }},
		{"row id bits", func(i *model.TableInfo) { i.Revision = 2; i.ShardRowIDBits = 4 }},
	} {
		require.Equal(t, c.want, difference(was, table(c.change)))
	}
}

// leaseCounter is a lease that only counts.
type leaseCounter struct {
	renewed, undone atomic.Int64
	fail            atomic.Pointer[error]
}

func (l *leaseCounter) spec(every time.Duration) leaseSpec {
	return leaseSpec{
		kind: "kind", id: "id", owner: "owner", ttl: 3 * every, every: every,
		renew: func(context.Context) error {
			l.renewed.Add(1)
			if err := l.fail.Load(); err != nil {
				return *err
			}
			return nil
		},
		undo: func(ctx context.Context) error {
			l.undone.Add(1)
			return ctx.Err()
		},
	}
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 5*time.Minute, time.Millisecond)
}

func TestLeaseIsRenewedAndReleased(t *testing.T) {
	t.Parallel()
	k, l := newKeeper(zap.NewNop(), nil), &leaseCounter{}
	ctx, cancel := context.WithCancel(t.Context())
	lease, err := k.take(ctx, l.spec(2*time.Millisecond))
	require.NoError(t, err)
	cancel() // the job is over, the lease is not
	renewed := l.renewed.Load()
	eventually(t, func() bool { return l.renewed.Load() > renewed+3 })
	require.Len(t, k.held(), 1)
	require.NoError(t, lease.Release(ctx))
	require.NoError(t, lease.Release(ctx))
	require.EqualValues(t, 1, l.undone.Load())
	require.Empty(t, k.held())
	after := l.renewed.Load()
	require.NoError(t, lease.Err())
	require.Equal(t, after, l.renewed.Load(), "nobody renews a released lease")
}

func TestLeaseThatCannotBeKept(t *testing.T) {
	t.Parallel()
	transient, final := errors.New("PD is away"), fmt.Errorf("%w: too old", errLeaseGone)
	for _, cause := range []error{transient, final} {
		k, l := newKeeper(zap.NewNop(), nil), &leaseCounter{}
		lease, err := k.take(t.Context(), l.spec(2*time.Millisecond))
		require.NoError(t, err)
		l.fail.Store(&cause)
		<-lease.Lost()
		require.ErrorIs(t, lease.Err(), cause)
		require.Equal(t, fault.Cluster, fault.As(lease.Err()).Whose)
		require.NoError(t, lease.Release(t.Context()))
		require.EqualValues(t, 1, l.undone.Load())
	}
}

func TestLeaseThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	k, l := newKeeper(zap.NewNop(), nil), &leaseCounter{}
	cause := errors.New("refused")
	l.fail.Store(&cause)
	_, err := k.take(t.Context(), l.spec(time.Hour))
	require.ErrorIs(t, err, cause)
	require.EqualValues(t, 1, l.undone.Load(), "the request may have had its effect")
	require.Empty(t, k.held())
}

func TestReleaseAll(t *testing.T) {
	t.Parallel()
	k, l := newKeeper(zap.NewNop(), nil), &leaseCounter{}
	_, err := k.take(t.Context(), l.spec(time.Hour))
	require.NoError(t, err)
	_, err = k.take(t.Context(), l.spec(time.Hour))
	require.ErrorContains(t, err, "already holds")
	require.NoError(t, k.releaseAll(t.Context()))
	require.EqualValues(t, 1, l.undone.Load())
	_, err = k.take(t.Context(), l.spec(time.Hour))
	require.ErrorContains(t, err, "closed")
}

// TestLeaseOfAnother: a lease whose job is another's is neither renewed nor undone.
func TestLeaseOfAnother(t *testing.T) {
	t.Parallel()
	k, l := newKeeper(zap.NewNop(), nil), &leaseCounter{}
	var lost atomic.Bool
	asked := make(chan struct{}, 1)
	gone := errors.New("another has the job")
	ctx := fence.With(t.Context(), func(context.Context) error {
		if !lost.Load() {
			return nil
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		return gone
	})
	left := 0
	spec := l.spec(2 * time.Millisecond)
	spec.ttl = time.Hour
	spec.leave = func(context.Context) error { left++; return nil }
	lease, err := k.take(ctx, spec)
	require.NoError(t, err)
	lost.Store(true)
	<-asked
	renewed := l.renewed.Load()
	<-asked
	require.Equal(t, renewed, l.renewed.Load())
	require.ErrorIs(t, k.release(ctx, lease), gone)
	require.Zero(t, l.undone.Load())
	require.Equal(t, 1, left)
	require.Empty(t, k.held())
}

// fencedLedger asks before it sends anything, as statements do.
type fencedLedger struct{ noted, forgotten int }

// Note implements Ledger.
func (l *fencedLedger) Note(ctx context.Context, _ Change) error {
	l.noted++
	return fence.Check(ctx)
}

// Forget implements Ledger.
func (l *fencedLedger) Forget(ctx context.Context, _ Change) error {
	if err := fence.Check(ctx); err != nil {
		return err
	}
	l.forgotten++
	return nil
}

// TestLeaseUndoneBehindItsJob: a job that is paused doesn't wait long for its leases. What is undone when it has been
// given back is no longer noted all the same.
func TestLeaseUndoneBehindItsJob(t *testing.T) {
	t.Parallel()
	ledger, l := &fencedLedger{}, &leaseCounter{}
	k := newKeeper(zap.NewNop(), ledger)
	var lost atomic.Bool
	ctx := fence.With(t.Context(), func(context.Context) error {
		if lost.Load() {
			return errors.New("the job has been given back")
		}
		return nil
	})
	spec := l.spec(time.Hour)
	undo := spec.undo
	spec.undo = func(ctx context.Context) error {
		lost.Store(true)
		return undo(ctx)
	}
	lease, err := k.take(ctx, spec)
	require.NoError(t, err)
	require.NoError(t, k.release(ctx, lease))
	require.EqualValues(t, 1, l.undone.Load())
	require.Equal(t, fencedLedger{noted: 1, forgotten: 1}, *ledger)
}

// TestLeaseThatIsSlowToEnd: nobody waits long for a lease that can't be given back, it
// is in nobody's way, and closing waits for it.
func TestLeaseThatIsSlowToEnd(t *testing.T) {
	t.Parallel()
	k, l, slow := newKeeper(zap.NewNop(), nil), &leaseCounter{}, &leaseCounter{}
	hang := make(chan struct{})
	spec := slow.spec(time.Hour)
	spec.undo = func(ctx context.Context) error {
		slow.undone.Add(1)
		select {
		case <-hang:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	first, err := k.take(t.Context(), spec)
	require.NoError(t, err)
	other := l.spec(time.Hour)
	other.kind = "other"
	second, err := k.take(t.Context(), other)
	require.NoError(t, err)
	ctx, hurry := context.WithCancel(t.Context())
	hurry()
	require.ErrorContains(t, k.release(ctx, first, second), "not all of 2 leases")
	require.EqualValues(t, 1, l.undone.Load())
	again, err := k.take(t.Context(), l.spec(time.Hour))
	require.NoError(t, err)
	close(hang)
	require.NoError(t, k.releaseAll(t.Context()))
	require.EqualValues(t, 1, slow.undone.Load())
	require.EqualValues(t, 2, l.undone.Load())
	require.NoError(t, again.Release(t.Context()))
}
