package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sort"
	"sync"
	"testing"

	"github.com/pingcap/kvproto/pkg/errorpb"
	"github.com/pingcap/kvproto/pkg/import_sstpb"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sluicedb/sluice/importcore/cluster/region"
)

// fakeTiKV is a few stores behind gRPC that keep files and pairs in maps. It
// checks what a TiKV checks and records as a violation what would crash it or corrupt data.
type fakeTiKV struct {
	conns map[uint64]*grpc.ClientConn

	mu         sync.Mutex
	regions    []*fakeRegion                                  // in key order
	files      map[uint64]map[string][]*import_sstpb.Pair     // by store, then file
	data       map[string]string                              // raw keys
	faults     map[string][]func(*fakeStore, *fakeCall) error // by method, used up one by one
	violations []string
	commitTS   map[uint64]bool
	archive    map[string][]*import_sstpb.Pair // by name
	splitKeys  [][]byte
	scattered  [][2]string // starts and ends
}

type fakeRegion struct {
	meta   *metapb.Region
	leader int // index into the peers
}

// fakeCall is what a fault may look at and change.
type fakeCall struct {
	ctx    context.Context
	region *fakeRegion // nil if unknown
	// answer, if set, is the region error to answer with; after lets the call
	// do its work first and then answers with the fault's error.
	answer *errorpb.Error
	after  bool
}

type fakeStore struct {
	import_sstpb.UnimplementedImportSSTServer
	id uint64
	kv *fakeTiKV
}

func newFakeTiKV(t *testing.T, stores int, borders ...string) *fakeTiKV {
	t.Helper()
	kv := &fakeTiKV{
		conns: map[uint64]*grpc.ClientConn{}, files: map[uint64]map[string][]*import_sstpb.Pair{},
		data: map[string]string{}, faults: map[string][]func(*fakeStore, *fakeCall) error{},
		commitTS: map[uint64]bool{},
	}
	for id := uint64(1); id <= uint64(stores); id++ {
		kv.files[id] = map[string][]*import_sstpb.Pair{}
		lis := bufconn.Listen(1 << 20)
		srv := grpc.NewServer()
		import_sstpb.RegisterImportSSTServer(srv, &fakeStore{id: id, kv: kv})
		served := make(chan struct{})
		go func() { defer close(served); _ = srv.Serve(lis) }()
		conn, err := grpc.NewClient("passthrough:///fake",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		kv.conns[id] = conn
		t.Cleanup(func() { _ = conn.Close(); srv.Stop(); <-served })
	}
	kv.regions = []*fakeRegion{kv.newRegion(1, nil, nil)}
	for _, b := range borders {
		kv.cut([]byte(b))
	}
	return kv
}

func (kv *fakeTiKV) newRegion(id uint64, start, end []byte) *fakeRegion {
	r := &fakeRegion{meta: &metapb.Region{
		Id: id, StartKey: start, EndKey: end, RegionEpoch: &metapb.RegionEpoch{Version: 1, ConfVer: 1},
	}}
	for store := uint64(1); store <= uint64(len(kv.files)); store++ {
		r.meta.Peers = append(r.meta.Peers, &metapb.Peer{Id: id*100 + store, StoreId: store})
	}
	r.leader = int(id) % len(r.meta.Peers)
	return r
}

// cut splits a region at a raw key; the old id keeps the right part, as TiKV does.
func (kv *fakeTiKV) cut(key []byte) {
	enc := region.Enc(key)
	for i, r := range kv.regions {
		if !(region.Region{Meta: r.meta}).Contains(enc) || bytes.Equal(r.meta.StartKey, enc) {
			continue
		}
		left := kv.newRegion(uint64(len(kv.regions))+10, r.meta.StartKey, enc)
		left.leader = r.leader
		right := *r.meta
		right.StartKey = enc
		right.RegionEpoch = &metapb.RegionEpoch{Version: r.meta.RegionEpoch.Version + 1, ConfVer: r.meta.RegionEpoch.ConfVer}
		left.meta.RegionEpoch = right.RegionEpoch
		r.meta = &right
		kv.regions = slices.Insert(kv.regions, i, left)
		return
	}
}

func (kv *fakeTiKV) byID(id uint64) *fakeRegion {
	for _, r := range kv.regions {
		if r.meta.Id == id {
			return r
		}
	}
	return nil
}

// inject makes the next call of the method fail by f.
func (kv *fakeTiKV) inject(method string, f func(*fakeStore, *fakeCall) error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.faults[method] = append(kv.faults[method], f)
}

func (kv *fakeTiKV) violate(format string, args ...any) {
	kv.violations = append(kv.violations, fmt.Sprintf(format, args...))
}

// ScanRegions implements Cluster.
func (kv *fakeTiKV) ScanRegions(_ context.Context, start, end []byte) ([]region.Region, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	var out []region.Region
	for _, r := range kv.regions {
		if region.BeforeEnd(start, r.meta.EndKey) && (len(end) == 0 || bytes.Compare(r.meta.StartKey, end) < 0) {
			out = append(out, region.Region{Meta: r.meta, Leader: r.meta.Peers[r.leader]})
		}
	}
	return out, nil
}

// SplitRegions implements Cluster.
func (kv *fakeTiKV) SplitRegions(_ context.Context, keys [][]byte) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.splitKeys = append(kv.splitKeys, keys...)
	for _, k := range keys {
		kv.cut(k)
	}
	return nil
}

// ScatterRegions implements Cluster.
func (kv *fakeTiKV) ScatterRegions(_ context.Context, start, end []byte) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	kv.scattered = append(kv.scattered, [2]string{string(start), string(end)})
	return nil
}

// StoreConn implements Cluster.
func (kv *fakeTiKV) StoreConn(_ context.Context, id uint64) (grpc.ClientConnInterface, error) {
	return kv.conns[id], nil
}

// fault plays the next fault of a method, if there is one. kv.mu is held.
func (s *fakeStore) fault(method string, call *fakeCall) (fires bool, played error) {
	list := s.kv.faults[method]
	if len(list) == 0 {
		return false, nil
	}
	s.kv.faults[method] = list[1:]
	err := list[0](s, call)
	return err != nil || call.answer != nil, err
}

func fileName(m *import_sstpb.SSTMeta, cf string) string {
	return fmt.Sprintf("%x_%d_%s_%s", m.Uuid, m.RegionId, m.RegionEpoch, cf)
}

// Write implements import_sstpb.ImportSSTServer.
func (s *fakeStore) Write(stream import_sstpb.ImportSST_WriteServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	meta := first.GetMeta()
	if err := s.beginWrite(stream.Context(), meta); err != nil {
		return err
	}
	var pairs []*import_sstpb.Pair
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, p := range msg.GetBatch().GetPairs() {
			if n := len(pairs); n > 0 && bytes.Compare(pairs[n-1].Key, p.Key) >= 0 {
				return status.Error(codes.Unknown, `Engine("Keys must be added in strict ascending order")`)
			}
			pairs = append(pairs, p)
		}
		s.kv.mu.Lock()
		s.kv.commitTS[msg.GetBatch().GetCommitTs()] = true
		s.kv.mu.Unlock()
	}
	resp := &import_sstpb.WriteResponse{}
	s.kv.mu.Lock()
	defer s.kv.mu.Unlock()
	if len(pairs) > 0 {
		out := *meta
		out.CfName = "write"
		s.kv.files[s.id][fileName(meta, "write")] = pairs
		resp.Metas = append(resp.Metas, &out)
	}
	return stream.SendAndClose(resp)
}

func (s *fakeStore) beginWrite(ctx context.Context, meta *import_sstpb.SSTMeta) error {
	s.kv.mu.Lock()
	defer s.kv.mu.Unlock()
	r := s.kv.byID(meta.GetRegionId())
	if ok, err := s.fault("Write", &fakeCall{ctx: ctx, region: r}); ok {
		return err
	}
	switch {
	case len(meta.GetUuid()) != 16:
		return status.Error(codes.Unknown, "InvalidChunk")
	case r == nil:
		return status.Error(codes.Unknown, `RequestTooOld("region is not found")`)
	case r.meta.RegionEpoch.Version < meta.RegionEpoch.Version:
		return status.Error(codes.Unknown, `RequestTooNew("")`)
	case r.meta.RegionEpoch.String() != meta.RegionEpoch.String():
		return status.Error(codes.Unknown, `RequestTooOld("")`)
	}
	return nil
}

// MultiIngest implements import_sstpb.ImportSSTServer.
func (s *fakeStore) MultiIngest(ctx context.Context, req *import_sstpb.MultiIngestRequest) (*import_sstpb.IngestResponse, error) {
	s.kv.mu.Lock()
	defer s.kv.mu.Unlock()
	r := s.kv.byID(req.GetContext().GetRegionId())
	call := &fakeCall{ctx: ctx, region: r}
	method := "MultiIngest"
	if len(req.Ssts) == 0 {
		method = "Probe"
	}
	failed, err := s.fault(method, call)
	if failed && !call.after {
		return &import_sstpb.IngestResponse{Error: call.answer}, err
	}
	if answer := s.ingest(req, r); answer != nil {
		return &import_sstpb.IngestResponse{Error: answer}, nil
	}
	if failed {
		return &import_sstpb.IngestResponse{Error: call.answer}, err
	}
	return &import_sstpb.IngestResponse{}, nil
}

func (s *fakeStore) ingest(req *import_sstpb.MultiIngestRequest, r *fakeRegion) *errorpb.Error {
	switch {
	case r == nil:
		return &errorpb.Error{RegionNotFound: &errorpb.RegionNotFound{}}
	case r.meta.Peers[r.leader].StoreId != s.id:
		return &errorpb.Error{NotLeader: &errorpb.NotLeader{Leader: r.meta.Peers[r.leader]}}
	case r.meta.RegionEpoch.Version != req.Context.RegionEpoch.Version:
		return &errorpb.Error{EpochNotMatch: s.kv.current()}
	}
	for _, m := range req.Ssts {
		name := fileName(m, m.CfName)
		pairs, ok := s.kv.files[s.id][name]
		if !ok {
			return &errorpb.Error{StaleCommand: &errorpb.StaleCommand{}, Message: "The file which would be ingested doest not exist."}
		}
		reg := region.Region{Meta: r.meta}
		if m.RegionEpoch.String() != r.meta.RegionEpoch.String() || !reg.Contains(m.Range.Start) || !reg.Contains(m.Range.End) {
			return &errorpb.Error{EpochNotMatch: s.kv.current()}
		}
		if !bytes.Equal(m.Range.Start, region.Enc(pairs[0].Key)) || !bytes.Equal(m.Range.End, region.Enc(pairs[len(pairs)-1].Key)) {
			s.kv.violate("range [%x, %x] is not that of the pairs", m.Range.Start, m.Range.End)
		}
		for store, files := range s.kv.files {
			if len(files[name]) != len(pairs) {
				s.kv.violate("store %d would crash: no file %s", store, name)
			}
			delete(files, name)
		}
		for _, p := range pairs {
			if have, ok := s.kv.data[string(p.Key)]; ok && have != string(p.Value) {
				s.kv.violate("key %q changed", p.Key)
			}
			s.kv.data[string(p.Key)] = string(p.Value)
		}
	}
	return nil
}

func (kv *fakeTiKV) current() *errorpb.EpochNotMatch {
	e := &errorpb.EpochNotMatch{}
	for _, r := range kv.regions {
		e.CurrentRegions = append(e.CurrentRegions, r.meta)
	}
	return e
}

// mapPairs is a source in memory.
type mapPairs struct {
	keys, values []string
	fail         error // returned by iterators instead of their end
}

func somePairs(n int) *mapPairs {
	p := &mapPairs{}
	for i := range n {
		p.keys = append(p.keys, fmt.Sprintf("k%06d", i))
		p.values = append(p.values, fmt.Sprintf("value %d", i))
	}
	return p
}

// Iter implements Pairs.
func (p *mapPairs) Iter(_ context.Context, start, end []byte) (Iterator, error) {
	from := sort.SearchStrings(p.keys, string(start))
	to := sort.SearchStrings(p.keys, string(end))
	return &mapIter{pairs: p, at: from - 1, end: to}, nil
}

type mapIter struct {
	pairs   *mapPairs
	at, end int
	err     error
}

func (i *mapIter) Next() bool {
	i.at++
	if i.at < i.end {
		return true
	}
	i.err = i.pairs.fail
	return false
}
func (i *mapIter) Key() []byte   { return []byte(i.pairs.keys[i.at]) }
func (i *mapIter) Value() []byte { return []byte(i.pairs.values[i.at]) }
func (i *mapIter) Err() error    { return i.err }
func (i *mapIter) Close() error  { return nil }

// total is what the source holds.
func (p *mapPairs) total() Total {
	t := Total{Pairs: int64(len(p.keys))}
	for i, k := range p.keys {
		t.Bytes += int64(len(k) + len(p.values[i]))
	}
	return t
}

// ranges cuts the source into n ranges that end at keys of it.
func (p *mapPairs) ranges(n int) []Range {
	var out []Range
	start := 0
	for i := range n {
		end := len(p.keys) * (i + 1) / n
		rng := Range{Start: []byte(p.keys[start]), End: []byte("l"), Keys: int64(end - start)}
		if end < len(p.keys) {
			rng.End = []byte(p.keys[end])
		}
		for j := start; j < end; j++ {
			rng.Bytes += int64(len(p.keys[j]) + len(p.values[j]))
		}
		out = append(out, rng)
		start = end
	}
	return out
}
