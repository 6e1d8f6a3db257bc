package tikv

import (
	"testing"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/stretchr/testify/require"
)

// TestSnapshotsDoNotChange: what a transaction has read stays what it was as of
// its timestamp, also when another one commits in one phase or asynchronously
// at that moment. Otherwise its write would be lost, or meet an assertion that
// is wrong through no fault of the client's (TiDB's error 8141).
func TestSnapshotsDoNotChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		ask  func(*kvrpcpb.PrewriteRequest)
	}{
		{"one phase", func(req *kvrpcpb.PrewriteRequest) { req.TryOnePc = true }},
		{"asynchronous", func(req *kvrpcpb.PrewriteRequest) { req.UseAsyncCommit = true }},
		{"two phases", func(*kvrpcpb.PrewriteRequest) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1)
			key := []byte("k")
			r := b.region(key)
			kv := b.kv(r.Leader.StoreId)
			prewrite := func(start uint64) *kvrpcpb.PrewriteRequest {
				return &kvrpcpb.PrewriteRequest{
					Context: rpc(r), StartVersion: start, PrimaryLock: key, LockTtl: 3000, AssertionLevel: kvrpcpb.AssertionLevel_Strict,
					Mutations: []*kvrpcpb.Mutation{{Op: kvrpcpb.Op_Put, Key: key, Value: []byte("v"), Assertion: kvrpcpb.Assertion_NotExist}},
				}
			}
			read := func(ts uint64) (*kvrpcpb.GetResponse, error) {
				return kv.KvGet(b.ctx, &kvrpcpb.GetRequest{Context: rpc(r), Key: key, Version: ts})
			}

			// The second transaction begins and reads when the first one's commit
			// timestamp is known, if the store takes it itself, or else when it is prewritten.
			var second uint64
			var seen *kvrpcpb.GetResponse
			var readErr error
			begin := func() {
				second = b.clock.next()
				seen, readErr = read(second)
			}
			b.clock.given.Store(&begin)
			first := prewrite(b.clock.next())
			tc.ask(first)
			done, err := kv.KvPrewrite(b.ctx, first)
			require.NoError(t, err)
			require.Empty(t, done.Errors)
			if second == 0 {
				begin()
			}
			require.NoError(t, readErr)
			if done.OnePcCommitTs == 0 {
				commit := done.MinCommitTs
				if commit == 0 {
					commit = b.clock.next()
				}
				com, err := kv.KvCommit(b.ctx, &kvrpcpb.CommitRequest{
					Context: rpc(r), StartVersion: first.StartVersion, CommitVersion: commit, Keys: [][]byte{key},
				})
				require.NoError(t, err)
				require.Nil(t, com.Error)
			}

			again, err := read(second)
			require.NoError(t, err)
			if seen.Error.GetLocked() == nil { // else it waits, and reads again
				require.Equal(t, seen.Value, again.Value, "the snapshot has changed")
			}
			conflict, err := kv.KvPrewrite(b.ctx, prewrite(second))
			require.NoError(t, err)
			require.Len(t, conflict.Errors, 1)
			require.NotNil(t, conflict.Errors[0].Conflict, "%v", conflict.Errors[0])
			require.Greater(t, conflict.Errors[0].Conflict.ConflictCommitTs, second)
		})
	}
}
